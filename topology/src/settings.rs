//! The `[topology]` table of the configuration: a profile, and what is to be other than it says.

use std::collections::BTreeMap;

use hephaestus_schemas::registry::Level;
use serde::{Deserialize, Serialize};

use crate::Profile;

/// Key of `[topology.compatibility]` for the subjects that are not named.
pub const DEFAULT: &str = "default";

/// A profile by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    /// One machine, one broker.
    #[default]
    Development,
    /// Three brokers or more.
    Production,
}

/// Which changes of a schema a subject allows, by the names that Confluent gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Compatibility(pub Level);

impl TryFrom<String> for Compatibility {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Level::parse(&name).map(Self).ok_or_else(|| {
            let names: Vec<&str> = Level::ALL.iter().map(|level| level.as_str()).collect();
            format!("no compatibility level {name:?}, wanted one of {}", names.join(", "))
        })
    }
}

impl From<Compatibility> for String {
    fn from(compatibility: Compatibility) -> Self {
        compatibility.0.as_str().to_owned()
    }
}

/// The `[topology]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Profile that says whatever is not said.
    pub profile: ProfileName,
    /// Copies of each partition, on as many brokers; without it the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<u16>,
    /// Copies that have to be written before a write is acknowledged; without it the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_insync_replicas: Option<u16>,
    /// Id of the one cluster that may be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// Compatibility level by subject, and `default`.
    pub compatibility: BTreeMap<String, Compatibility>,
}

impl Settings {
    /// The profile with what the table says otherwise.
    pub fn profile(&self) -> Profile {
        let mut profile = match self.profile {
            ProfileName::Development => Profile::development(),
            ProfileName::Production => Profile::production(),
        };
        if let Some(replicas) = self.replication_factor {
            profile.replication_factor = replicas;
        }
        if let Some(replicas) = self.min_insync_replicas {
            profile.min_insync_replicas = replicas;
        }
        for (subject, compatibility) in &self.compatibility {
            if subject == DEFAULT {
                profile.compatibility = compatibility.0;
            } else {
                profile.subject_compatibility.insert(subject.clone(), compatibility.0);
            }
        }
        profile
    }

    /// Checks that a cluster is the one that is meant.
    ///
    /// # Errors
    /// Names both.
    pub fn check_cluster(&self, found: &str) -> Result<(), OtherCluster> {
        match &self.cluster_id {
            Some(wanted) if wanted != found => {
                Err(OtherCluster { wanted: wanted.clone(), found: found.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// The cluster is not the one that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is cluster {found:?}, and topology.cluster_id allows {wanted:?} alone; nothing is looked at or changed"
)]
pub struct OtherCluster {
    /// Id that the configuration names.
    pub wanted: String,
    /// Id of the cluster that was reached.
    pub found: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_wins_over_the_profile() {
        let text = r#"
            profile = "production"
            min_insync_replicas = 1
            compatibility = { default = "BACKWARD", "analyses-value" = "none" }
        "#;
        let settings: Settings = toml::from_str(text).unwrap();
        let profile = settings.profile();
        assert_eq!((profile.replication_factor, profile.min_insync_replicas), (3, 1));
        assert_eq!(profile.default_partitions, Profile::production().default_partitions);
        assert_eq!(profile.compatibility, Level::Backward);
        assert_eq!(profile.subject_compatibility["analyses-value"], Level::None);
        assert_eq!(Settings::default().profile(), Profile::development());
    }

    #[test]
    fn what_is_none_is_refused_with_what_there_is() {
        for (text, meant) in [
            ("compatibility = { default = \"SIDEWAYS\" }", "BACKWARD_TRANSITIVE"),
            ("profile = \"prod\"", "production"),
            ("replicas = 3", "replication_factor"),
        ] {
            let error = toml::from_str::<Settings>(text).unwrap_err().to_string();
            assert!(error.contains(meant), "{text}: {error}");
        }
    }

    #[test]
    fn another_cluster_is_refused_by_both_names() {
        let settings = Settings { cluster_id: Some("one".to_owned()), ..Settings::default() };
        assert_eq!(settings.check_cluster("one"), Ok(()));
        assert_eq!(Settings::default().check_cluster("two"), Ok(()));
        let refused = settings.check_cluster("two").unwrap_err().to_string();
        assert!(refused.contains("\"one\"") && refused.contains("\"two\""), "{refused}");
    }
}

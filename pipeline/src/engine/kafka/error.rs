//! What an error of librdkafka asks for: the same call again, an abort, a new producer, or the end.
//!
//! Told apart here and nowhere else.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::engine::EngineError;

/// What an error asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The same call may work later; nothing is lost.
    Retriable(String),
    /// The open transaction is to be aborted; the same work may succeed in the next one.
    Abortable(String),
    /// The group went on without this member: abort, and see what the next polls say.
    Moved(String),
    /// Another producer took the transactional id, or the broker gave up on this one: it is to be made anew.
    Fenced(String),
    /// It will not work without a change.
    Fatal(String),
}

impl Trouble {
    /// What happened, for people.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Retriable(message)
            | Self::Abortable(message)
            | Self::Moved(message)
            | Self::Fenced(message)
            | Self::Fatal(message) => message,
        }
    }
}

impl From<Trouble> for EngineError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Fatal(message) => Self::Fatal(message),
            other => Self::Unavailable(other.message().to_owned()),
        }
    }
}

/// What an error of librdkafka asks for.
pub(crate) fn classify(error: &KafkaError) -> Trouble {
    let message = error.to_string();
    match error {
        KafkaError::Transaction(error) => {
            let code = error.code();
            if let Some(trouble) = by_code(code, &message) {
                return trouble;
            }
            if error.is_fatal() {
                return Trouble::Fatal(message);
            }
            if error.txn_requires_abort() {
                return Trouble::Abortable(message);
            }
            if error.is_retriable() {
                return Trouble::Retriable(message);
            }
            // A call in the wrong state: nothing that a repetition changes.
            Trouble::Fatal(message)
        }
        KafkaError::MessageConsumptionFatal(code) => {
            let fatal = Trouble::Fatal(message.clone());
            by_code(*code, &message)
                .map_or(fatal, |trouble| Trouble::Fatal(trouble.message().to_owned()))
        }
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => {
            Trouble::Fatal(message)
        }
        other => match other.rdkafka_error_code() {
            Some(code) => classify_code(code, &message),
            None => Trouble::Retriable(message),
        },
    }
}

/// What a code asks for where librdkafka says nothing more about it.
pub(crate) fn classify_code(code: Code, message: &str) -> Trouble {
    by_code(code, message).unwrap_or_else(|| Trouble::Retriable(message.to_owned()))
}

/// What a code asks for, whatever else is said of it; nothing where it depends.
fn by_code(code: Code, message: &str) -> Option<Trouble> {
    let message = || message.to_owned();
    let trouble = match code {
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::RebalanceInProgress
        | Code::StaleMemberEpoch
        | Code::FencedMemberEpoch
        | Code::FencedInstanceId
        | Code::AssignmentLost => Trouble::Moved(message()),
        // What an id that was not used for its expiration, or a transaction that was given up, ends with is mended by
        // a new producer too.
        Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::InvalidProducerIdMapping
        | Code::UnknownProducerId
        | Code::InvalidTransactionalState => Trouble::Fenced(message()),
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::Authentication
        | Code::MessageSizeTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::InvalidTransactionTimeout
        | Code::InvalidTopic
        | Code::PolicyViolation
        | Code::SecurityDisabled
        | Code::UnsupportedVersion
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedFeature
        | Code::InvalidConfig
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::InconsistentGroupProtocol
        | Code::UnknownTopic => Trouble::Fatal(message()),
        _ => return None,
    };
    Some(trouble)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_code_decides_what_is_to_be_done() {
        let commit = |code| classify(&KafkaError::ConsumerCommit(code));
        assert!(matches!(commit(Code::IllegalGeneration), Trouble::Moved(_)));
        assert!(matches!(commit(Code::RequestTimedOut), Trouble::Retriable(_)));
        assert!(matches!(commit(Code::GroupAuthorizationFailed), Trouble::Fatal(_)));
        // A broker that has just come back does not know its partitions yet.
        let asked = classify(&KafkaError::MetadataFetch(Code::UnknownPartition));
        assert!(matches!(asked, Trouble::Retriable(_)), "{asked:?}");
        let produced = |code| classify(&KafkaError::MessageProduction(code));
        assert!(matches!(produced(Code::MessageSizeTooLarge), Trouble::Fatal(_)));
        assert!(matches!(produced(Code::InvalidProducerEpoch), Trouble::Fenced(_)));
        assert!(matches!(produced(Code::NotEnoughReplicas), Trouble::Retriable(_)));
        let consumed = classify(&KafkaError::MessageConsumptionFatal(Code::FencedInstanceId));
        assert!(matches!(consumed, Trouble::Fatal(_)), "{consumed:?}");
    }

    #[test]
    fn only_what_is_fatal_stops_the_process() {
        let engine = |trouble: Trouble| EngineError::from(trouble);
        assert!(matches!(engine(Trouble::Fatal("x".into())), EngineError::Fatal(_)));
        for trouble in [
            Trouble::Retriable("x".into()),
            Trouble::Abortable("x".into()),
            Trouble::Moved("x".into()),
            Trouble::Fenced("x".into()),
        ] {
            assert!(matches!(engine(trouble), EngineError::Unavailable(_)));
        }
    }
}

//! Deterministic recipes for well-known failures, kept as data.
//!
//! A recipe recognises, explains, and may edit the syntax that a frame pointed at, and no other.

mod builtin;
mod change;
mod compile;
mod conditions;
mod engine;
mod matching;
mod recipe;
mod recognise;
mod template;
mod words;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use engine::PlaybookProvider;

use compile::Recipe;

/// Recipes that a directory may hold.
const MAX_RECIPES: usize = 1024;
/// Bytes of one recipe.
const MAX_RECIPE_BYTES: u64 = 64 * 1024;

/// Why a playbook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaybookError {
    /// A file could not be read.
    #[error("cannot read recipe {path}: {source}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no recipe.
    #[error("recipe {file} cannot be read: {reason}")]
    Text {
        /// Name of the file, without its ending.
        file: String,
        /// What is wrong, and on which line.
        reason: String,
    },
    /// A recipe could not work.
    #[error("recipe {file} is wrong: {reason}")]
    Recipe {
        /// Name of the file, without its ending.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A directory holds too much.
    #[error("{path} holds more than {MAX_RECIPES} recipes, or one beyond {MAX_RECIPE_BYTES} bytes")]
    TooMuch {
        /// The directory or file.
        path: PathBuf,
    },
    /// Two recipes have one name.
    #[error("two recipes are named {name}")]
    Twice {
        /// The name.
        name: String,
    },
}

/// A set of recipes, ordered by name.
#[derive(Debug)]
pub struct Playbook {
    recipes: Vec<Recipe>,
}

impl Playbook {
    /// The recipes that come with the program, checked on first use and shared afterwards.
    ///
    /// # Errors
    /// Where one of them is wrong, which a test rules out.
    pub fn builtin() -> Result<Arc<Self>, PlaybookError> {
        static SHARED: OnceLock<Arc<Playbook>> = OnceLock::new();
        if let Some(shared) = SHARED.get() {
            return Ok(Arc::clone(shared));
        }
        let playbook = Arc::new(Self::from_texts(builtin::RECIPES.iter().copied())?);
        Ok(Arc::clone(SHARED.get_or_init(|| playbook)))
    }

    /// The recipes in the files `*.toml` of a directory.
    ///
    /// # Errors
    /// Where the directory cannot be read, holds too much, or one recipe is wrong.
    pub fn from_directory(directory: &Path) -> Result<Self, PlaybookError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| PlaybookError::Read { path, source }
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(unreadable(directory))? {
            let path = entry.map_err(unreadable(directory))?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                paths.push(path);
            }
            if paths.len() > MAX_RECIPES {
                return Err(PlaybookError::TooMuch { path: directory.to_owned() });
            }
        }
        let mut texts = Vec::new();
        for path in paths {
            let size = std::fs::metadata(&path).map_err(unreadable(&path))?.len();
            if size > MAX_RECIPE_BYTES {
                return Err(PlaybookError::TooMuch { path });
            }
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            texts.push((stem.into_owned(), text));
        }
        Self::from_texts(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
    }

    /// Recipes from pairs of a name and a text.
    ///
    /// # Errors
    /// Where one of them is wrong, or two have one name.
    pub fn from_texts<'a>(
        texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, PlaybookError> {
        let mut recipes = Vec::new();
        for (name, text) in texts {
            recipes.push(compile::compiled(name, text)?);
        }
        recipes.sort_by(|left, right| left.name.cmp(&right.name));
        for pair in recipes.windows(2) {
            if let [left, right] = pair
                && left.name == right.name
            {
                return Err(PlaybookError::Twice { name: left.name.clone() });
            }
        }
        Ok(Self { recipes })
    }

    /// Names of the recipes, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.recipes.iter().map(|recipe| recipe.name.as_str())
    }

    /// Names of the recipes that can propose a change, in order.
    pub fn names_with_fixes(&self) -> impl Iterator<Item = &str> {
        let with_fixes = self.recipes.iter().filter(|recipe| !recipe.fixes.is_empty());
        with_fixes.map(|recipe| recipe.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn directory() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("playbook")
    }

    #[test]
    fn every_recipe_of_the_directory_is_built_in_and_sound() {
        let from_directory =
            Playbook::from_directory(&directory()).unwrap_or_else(|error| panic!("{error}"));
        let builtin = Playbook::builtin().unwrap_or_else(|error| panic!("{error}"));
        let listed: Vec<&str> = builtin.names().collect();
        assert_eq!(from_directory.names().collect::<Vec<_>>(), listed);
        assert!(builtin.names_with_fixes().count() >= 18);
    }

    /// A recipe that works, as a base for those that do not.
    const SOUND: &str = r#"
name = "sound"
languages = ["python"]
title = "{type} in {function}"
confidence = 0.5
explanation = "{key} is missing."
[recognise]
exceptions = ["KeyError"]
message = "(?<key>.*)"
[suspect]
query = "(subscript value: (_) @mapping) @at"
explanation = "in {at}"
confidence = 0.6
[[fix]]
query = "(subscript) @at"
explanation = "so"
confidence = 0.7
[[fix.change]]
replace = { capture = "at", with = "{mapping}.get()" }
"#;

    #[test]
    fn what_is_wrong_with_a_recipe_is_said_at_start() {
        assert!(Playbook::from_texts([("sound", SOUND)]).is_ok());
        for (old, new, said) in [
            ("title =", "titel =", "unknown field `titel`"),
            ("capture = \"at\", with", "capture = \"at\", whit", "unknown field `whit`"),
            ("replace = {", "replaces = {", "unknown variant `replaces`"),
            ("name = \"sound\"", "name = \"other\"", "want that of the file"),
            ("{key} is", "{kee} is", "\"kee\" is captured nowhere"),
            ("{mapping}.get()", "{map}.get()", "\"map\" is captured nowhere"),
            ("confidence = 0.7", "confidence = 7", "want 0 to 1"),
            ("(subscript) @at", "(subscrypt) @at", "no query for python"),
            ("(subscript) @at", "(subscript) @here", "captures no @at"),
            ("(?<key>.*)", "(?<key>.*", "message: "),
            ("[\"python\"]", "[]", "languages is empty"),
            ("[\"python\"]", "[\"python\", \"java\"]", "for one language"),
            ("[\"python\"]", "[\"cobol\"]", "unknown variant `cobol`"),
            (
                "exceptions = [\"KeyError\"]\nmessage = \"(?<key>.*)\"",
                "",
                "neither an exception nor a message",
            ),
        ] {
            let wrong = SOUND.replacen(old, new, 1);
            assert_ne!(wrong, SOUND, "{old}");
            let error = Playbook::from_texts([("sound", wrong.as_str())]).unwrap_err().to_string();
            assert!(error.contains("sound") && error.contains(said), "{old} -> {new}: {error}");
        }
    }

    #[test]
    fn a_name_stands_once() {
        let error = Playbook::from_texts([("sound", SOUND), ("sound", SOUND)]).unwrap_err();
        assert_eq!(error.to_string(), "two recipes are named sound");
    }

    #[test]
    fn a_directory_that_is_missing_or_holds_too_much_is_refused() {
        let empty = tempfile::tempdir().unwrap();
        assert!(Playbook::from_directory(&empty.path().join("none")).is_err());
        assert_eq!(Playbook::from_directory(empty.path()).unwrap().names().count(), 0);
        std::fs::write(empty.path().join("big.toml"), vec![b' '; 65 * 1024]).unwrap();
        let error = Playbook::from_directory(empty.path()).unwrap_err();
        assert!(matches!(error, PlaybookError::TooMuch { .. }), "{error}");
    }
}

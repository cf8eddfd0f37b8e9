//! Text with named places, `{name}`; a brace itself is written twice.
//!
//! Rendering never looks into the values, so a value cannot name another.

use std::collections::BTreeMap;

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Stands as it is.
    Text(String),
    /// Is replaced by the value of this name.
    Name(String),
}

/// Text with named places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence that says which brace is wrong.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut characters = source.chars().peekable();
        while let Some(character) = characters.next() {
            let doubled = characters.peek() == Some(&character);
            match character {
                '{' | '}' if doubled => {
                    characters.next();
                    text.push(character);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match characters.next() {
                            Some('}') => break,
                            Some(letter) if letter.is_ascii_lowercase() || letter == '_' => {
                                name.push(letter);
                            }
                            _ => {
                                return Err(format!(
                                    "no name in lower case and '}}' follow '{{{name}' in {source:?}"
                                ));
                            }
                        }
                    }
                    if name.is_empty() {
                        return Err(format!("a place has no name in {source:?}"));
                    }
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text)));
                    }
                    parts.push(Part::Name(name));
                }
                '}' => return Err(format!("a single '}}' stands in {source:?}; write it twice")),
                _ => text.push(character),
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { parts })
    }

    /// Names of the places.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with every place filled, by `missing` where a name has no value.
    pub(crate) fn render_with(&self, values: &BTreeMap<String, String>, missing: &str) -> String {
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Name(name) => {
                    rendered.push_str(values.get(name).map_or(missing, String::as_str));
                }
            }
        }
        rendered
    }

    /// The text with every place filled; `None` where a name has no value.
    pub(crate) fn render(&self, values: &BTreeMap<String, String>) -> Option<String> {
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Name(name) => rendered.push_str(values.get(name)?),
            }
        }
        Some(rendered)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn places_are_filled_and_doubled_braces_stay() {
        let template = Template::parse("({name} or {{}}).items()").unwrap();
        let values = BTreeMap::from([("name".to_owned(), "{x}".to_owned())]);
        assert_eq!(template.render(&values).unwrap(), "({x} or {}).items()");
        assert_eq!(template.render(&BTreeMap::new()), None);
    }

    #[test]
    fn wrong_braces_are_named() {
        for wrong in ["{", "{a b}", "{}", "a } b", "{Name}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}

//! Turns the tree of settings into a configuration, by `serde`.
//!
//! Each error says where the innermost setting stands that it is about.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor, value::StrDeserializer,
};

use super::{
    ConfigError, Place, Problem,
    error::Hint,
    secret::SECRET,
    tree::{Node, Value},
};

/// Longest value that a message shows, in characters.
const SHOWN_CHARS: usize = 60;

/// An error on its way up to where its place and the whole of its key are known.
#[derive(Debug)]
pub(super) struct Error {
    place: Option<Place>,
    /// Innermost first.
    path: Vec<String>,
    what: What,
}

#[derive(Debug)]
enum What {
    Unknown(Hint),
    Missing,
    Kind { found: String, wanted: String },
    Choice { found: String, hint: Hint },
    Message(String),
}

impl Error {
    fn new(what: What) -> Self {
        Self { place: None, path: Vec::new(), what }
    }

    /// Says where it is, unless something further in has said so.
    pub(super) fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    fn below(mut self, key: impl Into<String>, place: &Place) -> Self {
        self.path.push(key.into());
        self.at(place)
    }
}

impl From<Error> for ConfigError {
    fn from(error: Error) -> Self {
        let path: Vec<String> = error.path.into_iter().rev().collect();
        let key = path.join(".");
        let problem = match error.what {
            What::Unknown(hint) => Problem::UnknownKey { key, hint },
            What::Missing => Problem::Missing { key },
            What::Kind { found, wanted } => Problem::Kind { key, found, wanted },
            What::Choice { found, hint } => Problem::Choice { key, found, hint },
            What::Message(message) => Problem::Value { key, message },
        };
        Self { place: error.place.unwrap_or(Place::Defaults), problem }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(What::Message(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::new(What::Kind { found: cut(&found.to_string()), wanted: wanted.to_string() })
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Choice { found: cut(variant), hint: Hint::new(variant, known) })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let mut error = Self::new(What::Unknown(Hint::new(field, known)));
        error.path.push(cut(field));
        error
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = Self::new(What::Missing);
        error.path.push(field.to_owned());
        error
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl Node {
    /// What stands here, for messages.
    fn found(&self) -> String {
        match &self.value {
            Value::Table(_) => "a table".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::String(text) | Value::Raw(text) => format!("the text {:?}", cut(text)),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(value) => value.to_string(),
            Value::Other(text) => cut(text),
        }
    }

    fn is_no(&self, wanted: impl fmt::Display) -> Error {
        Error::new(What::Kind { found: self.found(), wanted: wanted.to_string() })
    }

    fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) | Value::Raw(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number within bounds.
    fn whole<N: TryFrom<i64> + fmt::Display>(&self, least: N, most: N) -> Result<N, Error> {
        let number = match &self.value {
            Value::Integer(number) => Some(*number),
            Value::Raw(text) => text.trim().parse().ok(),
            _ => None,
        };
        let fitting = number.and_then(|number| N::try_from(number).ok());
        fitting.ok_or_else(|| self.is_no(format_args!("a whole number from {least} to {most}")))
    }

    fn number(&self) -> Result<f64, Error> {
        let number = match &self.value {
            Value::Float(number) => Some(*number),
            // Whole numbers that a person writes are far below 2^53.
            Value::Integer(number) => Some(*number as f64),
            Value::Raw(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.is_no("a number"))
    }

    fn boolean(&self) -> Result<bool, Error> {
        let value = match &self.value {
            Value::Boolean(value) => Some(*value),
            Value::Raw(text) => text.trim().parse().ok(),
            _ => None,
        };
        value.ok_or_else(|| self.is_no("true or false"))
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $number:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.whole(<$number>::MIN, <$number>::MAX)?)
        }
    )*};
}

/// Nothing is borrowed from the tree, which lives no longer than the loading.
impl<'de> de::Deserializer<'de> for &Node {
    type Error = Error;

    whole_numbers!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    );

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Table(entries) => visitor.visit_map(Entries::new(entries)),
            Value::List(items) => visitor.visit_seq(Items::new(items)),
            Value::String(text) | Value::Raw(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Other(_) => Err(self.is_no(&visitor as &dyn de::Expected)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.boolean()?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.number()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.number()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.text() {
            Some(text) => visitor.visit_str(text),
            None => Err(self.is_no(&visitor as &dyn de::Expected)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == SECRET && self.text().is_none() {
            let (found, wanted) = ("no text (not shown)".to_owned(), "a secret as text".to_owned());
            return Err(Error::new(What::Kind { found, wanted }));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::List(items) => visitor.visit_seq(Items::new(items)),
            // A variable holds a list as `one,two`.
            Value::Raw(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                let item = |part: &str| Node {
                    place: self.place.clone(),
                    value: Value::Raw(part.to_owned()),
                };
                let items: Vec<Node> = parts.map(item).collect();
                visitor.visit_seq(Items::new(&items))
            }
            _ => Err(self.is_no("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Table(entries) => visitor.visit_map(Entries::new(entries)),
            _ => Err(self.is_no("a table")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if let Value::Table(entries) = &self.value {
            for (key, entry) in entries {
                if !fields.contains(&key.as_str()) {
                    return Err(unknown(key, entry, fields));
                }
            }
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if let Some(text) = self.text() {
            return visitor.visit_enum(Variant { name: text, node: None });
        }
        match &self.value {
            Value::Table(entries) => match entries.as_slice() {
                [(name, node)] => visitor.visit_enum(Variant { name, node: Some(node) }),
                _ => Err(self.is_no("a table with one entry")),
            },
            _ => Err(self.is_no(format_args!("one of {}", variants.join(", ")))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { bytes byte_buf unit unit_struct }
}

fn unknown(key: &str, entry: &Node, known: &'static [&'static str]) -> Error {
    let mut hint = Hint::new(key, known);
    // `HEPHAESTUS_TELEMETRY_FILTER`: one underscore where two were meant.
    if let Place::Variable(_) = entry.place {
        let joined = known.iter().find(|name| {
            key.strip_prefix(**name).is_some_and(|rest| rest.len() > 1 && rest.starts_with('_'))
        });
        if let Some(name) = joined {
            let rest = key.strip_prefix(name).unwrap_or_default();
            hint = Hint::Nearest(format!("{name}_{rest}"));
        }
    }
    let mut error = Error::new(What::Unknown(hint));
    error.path.push(cut(key));
    error.at(&entry.place)
}

/// The entries of a table.
struct Entries<'n> {
    entries: std::slice::Iter<'n, (String, Node)>,
    current: Option<&'n (String, Node)>,
}

impl<'n> Entries<'n> {
    fn new(entries: &'n [(String, Node)]) -> Self {
        Self { entries: entries.iter(), current: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.current = self.entries.next();
        let Some((key, node)) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, Error> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(&node.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, node)) = self.current else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(node).map_err(|error| error.below(key, &node.place))
    }
}

/// The items of a list.
struct Items<'n> {
    items: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
}

impl<'n> Items<'n> {
    fn new(items: &'n [Node]) -> Self {
        Self { items: items.iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let item = seed.deserialize(node).map(Some);
        item.map_err(|error| error.below((index + 1).to_string(), &node.place))
    }
}

/// One of an enum's variants, with what it holds.
struct Variant<'n> {
    name: &'n str,
    node: Option<&'n Node>,
}

impl Variant<'_> {
    fn node(&self) -> Result<&Node, Error> {
        self.node.ok_or_else(|| {
            let found = format!("the text {:?} alone", cut(self.name));
            let wanted = format!("a table {} with its settings", cut(self.name));
            Error::new(What::Kind { found, wanted })
        })
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.node {
            None => Ok(()),
            Some(node) => Err(node.is_no(format_args!("the text {:?} alone", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let node = self.node()?;
        seed.deserialize(node).map_err(|error| error.below(self.name, &node.place))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        let node = self.node()?;
        let items = de::Deserializer::deserialize_seq(node, visitor);
        items.map_err(|error| error.below(self.name, &node.place))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let node = self.node()?;
        let fields = de::Deserializer::deserialize_struct(node, "", fields, visitor);
        fields.map_err(|error| error.below(self.name, &node.place))
    }
}

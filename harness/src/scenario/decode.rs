//! A tree to a type, with every error and where it stands.
//!
//! serde stops at the first error. So each error is noted, what caused it is taken out of a copy
//! of the tree or replaced by something harmless, and the decoding begins again.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};

use super::path::{Path, Step};
use super::tree::{Entry, Node, Value};

/// More than anyone corrects in one go.
const MAX_ERRORS: usize = 100;

/// What a type could not take.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DecodeError {
    /// For an unknown or missing key the mapping that it is, or should be, in.
    pub(super) path: Path,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    UnknownKey {
        key: String,
        expected: &'static [&'static str],
    },
    MissingKey(&'static str),
    UnknownChoice {
        given: String,
        expected: &'static [&'static str],
    },
    WrongType {
        found: String,
        wanted: String,
    },
    Other(String),
}

impl DecodeError {
    fn new(kind: Kind) -> Self {
        Self {
            path: Path::default(),
            kind,
        }
    }

    /// The place that has to change.
    pub(super) fn place(&self) -> Path {
        match &self.kind {
            Kind::UnknownKey { key, .. } => self.path.clone().key(key),
            Kind::MissingKey(key) => self.path.clone().key(*key),
            _ => self.path.clone(),
        }
    }
}

/// What came out of a decoding.
pub(super) struct Decoded<T> {
    /// With harmless values where there were errors. Absent if none were found.
    pub(super) value: Option<T>,
    pub(super) errors: Vec<DecodeError>,
    /// Where `value` is not what the file says.
    pub(super) replaced: Vec<Path>,
}

pub(super) fn decode<T: DeserializeOwned>(root: &Node) -> Decoded<T> {
    let mut tree = root.clone();
    let mut errors: Vec<DecodeError> = Vec::new();
    let mut replaced: Vec<(Path, usize)> = Vec::new();
    let mut attempts = 0;
    let value = loop {
        attempts += 1;
        let mut error = match T::deserialize(&tree) {
            Ok(value) => break Some(value),
            Err(error) => error,
        };
        // Steps are pushed on the way out.
        error.path.0.reverse();
        let place = error.place();
        if !replaced.iter().any(|(path, _)| path.holds(&place)) {
            errors.push(error.clone());
        }
        if errors.len() >= MAX_ERRORS || attempts > 20 * MAX_ERRORS {
            break None;
        }
        let tried = match replaced.iter_mut().find(|(path, _)| *path == place) {
            Some((_, tried)) => {
                *tried += 1;
                *tried
            }
            None => {
                replaced.push((place.clone(), 0));
                0
            }
        };
        if !replace(&mut tree, &place, &error.kind, tried) {
            break None;
        }
    };
    Decoded {
        value,
        errors,
        replaced: replaced.into_iter().map(|(path, _)| path).collect(),
    }
}

/// Puts the next harmless thing in a place: nothing, where that is possible, else a value of the
/// next type. `false` when all have been tried.
fn replace(tree: &mut Node, place: &Path, kind: &Kind, tried: usize) -> bool {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let value = match kind {
        Kind::UnknownKey { .. } => None,
        Kind::UnknownChoice { expected, .. } => match expected.first() {
            Some(first) => text(first),
            None => return false,
        },
        _ => match tried {
            0 if !matches!(kind, Kind::MissingKey(_)) => None,
            0 | 1 => text("none"),
            2 => text("1M"),
            3 => text("1s"),
            4 => Some(Value::Unsigned(1)),
            5 => Some(Value::Bool(false)),
            6 => Some(Value::List(Vec::new())),
            7 => Some(Value::Mapping(Vec::new())),
            _ => return false,
        },
    };
    let Some((last, parents)) = place.0.split_last() else {
        // The root itself is of the wrong type.
        *tree = Node::new(Value::Mapping(Vec::new()), tree.span.clone());
        return tried == 0;
    };
    let Some(parent) = tree.get_mut(parents) else {
        return false;
    };
    match (last, &mut parent.value) {
        (Step::Key(key), Value::Mapping(entries)) => {
            entries.retain(|entry| entry.key != *key);
            entries.extend(value.map(|value| Entry {
                key: key.clone(),
                key_span: 0..0,
                value: Node::new(value, 0..0),
            }));
            true
        }
        // Taking an item out would move those behind it to other paths.
        (Step::Index(index), Value::List(items)) => match items.get_mut(*index) {
            Some(item) => {
                *item = Node::new(value.unwrap_or(Value::Null), 0..0);
                true
            }
            None => false,
        },
        _ => false,
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::UnknownKey { key, .. } => write!(f, "unknown key `{key}`"),
            Kind::MissingKey(key) => write!(f, "`{key}` is missing"),
            Kind::UnknownChoice { given, .. } => write!(f, "`{given}` is not known here"),
            Kind::WrongType { found, wanted } => write!(f, "expected {wanted}, found {found}"),
            Kind::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Kind::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Bool(value) => format!("`{value}`"),
            Unexpected::Unsigned(number) => format!("the number {number}"),
            Unexpected::Signed(number) => format!("the number {number}"),
            Unexpected::Float(number) => format!("the number {number}"),
            Unexpected::Str(_) => "text".to_owned(),
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a mapping".to_owned(),
            other => other.to_string(),
        };
        let wanted = plain_words(&wanted.to_string());
        Self::new(Kind::WrongType { found, wanted })
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_variant(given: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownChoice {
            given: given.to_owned(),
            expected,
        })
    }

    fn unknown_field(key: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownKey {
            key: key.to_owned(),
            expected,
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Kind::MissingKey(key))
    }
}

/// serde speaks of Rust's types.
fn plain_words(wanted: &str) -> String {
    match wanted {
        "a string" => "text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        "a nonzero u16" => "a whole number from 1 to 65535".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u64" | "u32" | "u8" => "a whole number".to_owned(),
        other if other.starts_with("struct ") => "a mapping".to_owned(),
        other => other.to_owned(),
    }
}

fn found(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Unsigned(number) => Unexpected::Unsigned(*number),
        Value::Signed(number) => Unexpected::Signed(*number),
        Value::Float(number) => Unexpected::Float(*number),
        Value::Text(text) => Unexpected::Str(text),
        Value::List(_) => Unexpected::Seq,
        Value::Mapping(_) => Unexpected::Map,
    }
}

impl<'de> Deserializer<'de> for &Node {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(number) => visitor.visit_u64(*number),
            Value::Signed(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Value::Mapping(entries) => visitor.visit_map(Entries { entries, next: 0 }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        choices: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.value {
            Value::Text(text) => {
                let text: StrDeserializer<'_, DecodeError> = text.as_str().into_deserializer();
                visitor.visit_enum(text)
            }
            other => {
                let wanted = format!("one of `{}`", choices.join("`, `"));
                Err(DecodeError::invalid_type(found(other), &wanted.as_str()))
            }
        }
    }

    /// Of a word, digits or not: what wants text and nothing else asks for a `String`.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.number {
            Some(word) => visitor.visit_str(word),
            None => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(item) = self.items.get(self.next) else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        seed.deserialize(item).map(Some).map_err(|mut error| {
            error.path.0.push(Step::Index(index));
            error
        })
    }
}

struct Entries<'a> {
    entries: &'a [Entry],
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some(entry) = self.entries.get(self.next) else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, DecodeError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some(entry) = self.entries.get(self.next) else {
            return Err(DecodeError::custom("a value without its key"));
        };
        self.next += 1;
        seed.deserialize(&entry.value).map_err(|mut error| {
            error.path.0.push(Step::Key(entry.key.clone()));
            error
        })
    }
}

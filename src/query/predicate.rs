//! What the payload or the metadata of an event must hold.

use super::parse;
use crate::error::Error;
use crate::event::{Codec, RecordedEvent};
use serde_json::{Number, Value};
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A condition on the JSON of an event: `data.team = "owls" and data.guesses > 3`.
///
/// A comparison is `PATH OPERATOR LITERAL` with one of `=`, `!=`, `<`, `<=`, `>` and `>=`; `exists PATH` asks whether
/// there is anything at all. They are joined by `and`, `or` and `not`, which bind in the order `not`, `and`, `or`, and by
/// parentheses. A path begins with `data`, the payload, or `metadata`, and goes down by keys and by indexes of arrays:
/// `data.guesses.0.word`; a key that is more than letters, digits, `_` and `-` stands in quotes, as a JSON string. A
/// literal is a JSON string, number, `true`, `false` or `null`.
///
/// A comparison is false where nothing stands at the path, and where the payload is no JSON that can be read: a number
/// beyond those of 64 bits, such as `1e400`, makes it none. Numbers are compared as
/// numbers, exactly; strings by their bytes; a value of another kind is equal to none and has no order.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, Predicate, StreamName};
/// let store = EventStore::open_in_memory()?;
/// let events = (1..=5).map(|n| NewEvent::json("guessed", &[n, n * n])).collect::<Result<Vec<_>, _>>()?;
/// store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, events).wait().map_err(|e| e.into_error())?;
///
/// let predicate: Predicate = "data.1 > 4 and not data.0 = 4".parse()?;
/// let found = store.read_all().filtered_by(predicate).into_iter();
/// let positions = found.map(|event| Ok(event?.position().get())).collect::<Result<Vec<_>, scorebook::Error>>()?;
/// assert_eq!(positions, [3, 5]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    expression: Expression,
    text: String,
}

/// What a predicate is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Compare(Path, Operator, Value),
    Exists(Path),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) root: Root,
    /// Keys of objects, or indexes of arrays.
    pub(super) steps: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Data,
    Metadata,
}

/// The JSON of an event, decoded when it is first asked for.
struct Document<'a> {
    event: &'a RecordedEvent,
    data: OnceCell<Option<Value>>,
    metadata: OnceCell<Option<Value>>,
}

impl Predicate {
    /// Whether it holds for an event.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.expression.holds(&Document { event, data: OnceCell::new(), metadata: OnceCell::new() })
    }
}

impl FromStr for Predicate {
    type Err = Error;

    /// Reads a predicate.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument): it cannot be read; the text says where and why.
    /// * [`TooLarge`](crate::ErrorKind::TooLarge): it is longer than
    ///   [`PREDICATE_BYTES_MAX`](crate::limits::PREDICATE_BYTES_MAX).
    fn from_str(text: &str) -> Result<Predicate, Error> {
        Ok(Predicate { expression: parse::expression(text)?, text: text.to_owned() })
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Expression {
    fn holds(&self, document: &Document<'_>) -> bool {
        match self {
            Expression::Compare(path, operator, literal) => {
                document.value(path).is_some_and(|value| operator.holds(value, literal))
            }
            Expression::Exists(path) => document.value(path).is_some(),
            Expression::Not(inner) => !inner.holds(document),
            Expression::And(all) => all.iter().all(|one| one.holds(document)),
            Expression::Or(any) => any.iter().any(|one| one.holds(document)),
        }
    }
}

impl Document<'_> {
    fn value(&self, path: &Path) -> Option<&Value> {
        let root = match path.root {
            Root::Data => self.data.get_or_init(|| match self.event.codec() {
                Codec::Json => serde_json::from_slice(self.event.data()).ok(),
                _ => None,
            }),
            Root::Metadata => self.metadata.get_or_init(|| serde_json::from_str(self.event.metadata_json()).ok()),
        };
        path.steps.iter().try_fold(root.as_ref()?, |value, step| match value {
            Value::Object(fields) => fields.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

impl Operator {
    fn holds(self, value: &Value, literal: &Value) -> bool {
        let order = compare(value, literal);
        match self {
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::NotEqual => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// The order of two values of one kind.
fn compare(value: &Value, literal: &Value) -> Option<Ordering> {
    match (value, literal) {
        (Value::Number(value), Value::Number(literal)) => compare_numbers(value, literal),
        (Value::String(value), Value::String(literal)) => Some(value.as_bytes().cmp(literal.as_bytes())),
        (Value::Bool(value), Value::Bool(literal)) => Some(value.cmp(literal)),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

fn compare_numbers(value: &Number, literal: &Number) -> Option<Ordering> {
    match (integer(value), integer(literal)) {
        (Some(value), Some(literal)) => Some(value.cmp(&literal)),
        (Some(value), None) => compare_with_fraction(value, literal.as_f64()?),
        (None, Some(literal)) => compare_with_fraction(literal, value.as_f64()?).map(Ordering::reverse),
        (None, None) => value.as_f64()?.partial_cmp(&literal.as_f64()?),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// Compares without rounding the integer, which may have more digits than a float holds.
fn compare_with_fraction(integer: i128, float: f64) -> Option<Ordering> {
    // Beyond this every float lies beyond every integer of 64 bits, and below it the floor fits.
    if float.abs() < 2_f64.powi(65) {
        let floor = float.floor();
        let fraction = if floor < float { Ordering::Less } else { Ordering::Equal };
        Some(integer.cmp(&(floor as i128)).then(fraction))
    } else {
        0.0.partial_cmp(&float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventStore, ExpectedVersion, NewEvent, StreamName};

    fn event(json: &str) -> RecordedEvent {
        let store = EventStore::open_in_memory().unwrap();
        let stream = StreamName::new("s").unwrap();
        let event = NewEvent::with_codec("t", Codec::Json, json.into()).actor("ann").meta("n", &[1, 2]);
        store.append(&stream, ExpectedVersion::Any, [event]).wait().unwrap();
        store.read_all().into_iter().next().unwrap().unwrap()
    }

    #[test]
    fn comparisons_follow_the_kinds_of_json() {
        let event = event(
            r#"{"n": 3, "f": 2.5, "s": "owls", "t": true, "z": null, "o": {"a b": [1, {"x": "y"}]}, "big": 9007199254740993}"#,
        );
        for (text, expected) in [
            ("data.n = 3", true),
            ("data.n = 3.0", true),
            ("data.n != 3", false),
            ("data.n != \"3\"", true),
            ("data.n = \"3\"", false),
            ("data.n > \"3\"", false),
            ("data.n < 3.5 and data.n > 2.5", true),
            ("data.f <= 2.5 and data.f >= 2.5 and not data.f < 2.5", true),
            ("data.f > 2 and data.f < 3", true),
            ("data.big = 9007199254740993", true),
            ("data.big > 9007199254740992.0", true),
            ("data.big < 1e30 and data.big > -1e30", true),
            ("data.s = \"owls\"", true),
            ("data.s > \"owl\" and data.s < \"p\"", true),
            ("data.t = true and data.t != false", true),
            ("data.z = null and exists data.z", true),
            ("data.z = 0", false),
            ("data.o.\"a b\".1.x = \"y\"", true),
            ("data.o.\"a b\".7 = 1", false),
            ("data.missing != 1", false),
            ("not data.missing = 1", true),
            ("exists data.missing", false),
            ("exists data", true),
            ("metadata.actor = \"ann\" and metadata.n.1 = 2", true),
            ("data.n.x = 1", false),
        ] {
            let predicate: Predicate = text.parse().unwrap();
            assert_eq!(predicate.matches(&event), expected, "{text}");
            assert_eq!(predicate.to_string(), text);
        }
    }

    #[test]
    fn and_binds_before_or_and_not_before_both() {
        let event = event(r#"{"a": 1}"#);
        let (yes, no) = ("data.a = 1", "data.a = 2");
        for (text, expected) in [
            (format!("{yes} or {no} and {no}"), true),
            (format!("({yes} or {no}) and {no}"), false),
            (format!("not {no} and {yes}"), true),
            (format!("not ({no} or {yes})"), false),
            (format!("not not {yes}"), true),
        ] {
            assert_eq!(text.parse::<Predicate>().unwrap().matches(&event), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_has_nothing_at_any_path() {
        let broken = event("{\"a\": ");
        assert!(!"exists data".parse::<Predicate>().unwrap().matches(&broken));
        assert!("not data.a = 1".parse::<Predicate>().unwrap().matches(&broken));
    }
}

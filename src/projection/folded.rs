//! A state, up to where it is folded, and its hash.

use crate::error::{Error, ErrorKind};
use crate::modelling::caught;
use crate::position::Position;
use crate::sync::Arc;
use serde::Serialize;
use serde_json::Value;
use std::any::type_name;
use std::fmt;
use std::ops::Deref;
use xxhash_rust::xxh3::Xxh3;

/// The state of a projection up to some position. Cheap to clone: clones share the state, which changes no more.
pub struct Folded<P> {
    state: Arc<P>,
    position: Position,
}

impl<P> Folded<P> {
    pub(super) fn new(state: Arc<P>, position: Position) -> Folded<P> {
        Folded { state, position }
    }

    /// The state. Also what this dereferences to.
    #[must_use]
    pub fn state(&self) -> &P {
        &self.state
    }

    /// The state, to keep. It is copied where others hold it too.
    #[must_use]
    pub fn into_state(self) -> P
    where
        P: Clone,
    {
        Arc::unwrap_or_clone(self.state)
    }

    /// Every event up to here is in it that the projection asks for, and none behind.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// What tells this state from others: the same for states that are serialized to the same, in whatever order their maps
    /// and sets of fields come. Sequences count in their order, so a set in the state is one that is ordered, as a
    /// `BTreeSet` is.
    ///
    /// # Errors
    ///
    /// * [`Encode`](ErrorKind::Encode): the state cannot be written as JSON.
    pub fn hash(&self) -> Result<StateHash, Error>
    where
        P: Serialize,
    {
        StateHash::of(self.state())
    }
}

impl<P> Deref for Folded<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.state
    }
}

impl<P> Clone for Folded<P> {
    fn clone(&self) -> Folded<P> {
        Folded { state: self.state.clone(), position: self.position }
    }
}

impl<P> fmt::Debug for Folded<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at position {}", type_name::<P>(), self.position)
    }
}

/// A hash of the state of a projection: of its JSON, with maps sorted by their keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateHash(u128);

impl StateHash {
    pub(super) fn of<P: Serialize>(state: &P) -> Result<StateHash, Error> {
        let act = || format!("hashing the state of {}", type_name::<P>());
        let value = encoded(|| serde_json::to_value(state), act)?;
        let mut hasher = Xxh3::new();
        feed(&mut hasher, &value);
        Ok(StateHash(hasher.digest128()))
    }
}

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes something of a state down, which is what its author has written.
pub(super) fn encoded<T>(
    encode: impl FnOnce() -> Result<T, serde_json::Error>,
    act: impl Fn() -> String,
) -> Result<T, Error> {
    let encode = || encode().map_err(|fault| Error::with_source(ErrorKind::Encode, act(), fault));
    caught(|| format!("while {}", act()), encode)
}

/// A value as bytes that no other value has: each begins with its kind, and what has a length with that.
fn feed(hasher: &mut Xxh3, value: &Value) {
    let text = |hasher: &mut Xxh3, kind: u8, text: &str| {
        hasher.update(&[kind]);
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    match value {
        Value::Null => hasher.update(&[0]),
        Value::Bool(is) => hasher.update(&[1, u8::from(*is)]),
        Value::Number(number) => text(hasher, 2, &number.to_string()),
        Value::String(string) => text(hasher, 3, string),
        Value::Array(values) => {
            hasher.update(&[4]);
            hasher.update(&(values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| feed(hasher, value));
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            hasher.update(&[5]);
            hasher.update(&(fields.len() as u64).to_le_bytes());
            for (key, value) in fields {
                text(hasher, 3, key);
                feed(hasher, value);
            }
        }
    }
}

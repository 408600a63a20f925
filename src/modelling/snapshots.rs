//! What a user says of the snapshots of an aggregate: how a state is written, and when.

use super::payload::{self, Cause};
use crate::event::Codec;
use crate::position::Version;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::any::type_name;
use std::fmt;
use std::time::Duration;

/// How the states of an aggregate are saved, and when: see [`Aggregate::snapshots`](crate::Aggregate::snapshots).
///
/// A state is saved every 500 events where nothing else is said. The policies add up: each that is met has one saved. The
/// first that is said takes the place of the 500 events.
///
/// Everything that makes the state is in what it is serialized to, for that is what is read back;
/// [`verify_snapshots`](crate::AggregateStream::verify_snapshots) tries that.
///
/// ```
/// use scorebook::{Codec, Snapshots};
/// use std::time::Duration;
/// let often: Snapshots<u32> = Snapshots::json(2).every_events(100).when_replay_takes(Duration::from_millis(5));
/// let by_hand: Snapshots<u32> = Snapshots::bincode(2).by_hand();
/// assert_eq!((often.schema(), by_hand.codec()), (2, Codec::Bincode));
/// ```
#[must_use = "nothing is saved until an aggregate gives it back"]
pub struct Snapshots<A> {
    codec: Codec,
    schema: u32,
    write: fn(&A) -> Result<Vec<u8>, Cause>,
    read: fn(&[u8]) -> Result<A, Cause>,
    value: fn(&A) -> Option<Value>,
    policy: Policy,
}

/// When a state is saved.
#[derive(Clone, Copy, Debug)]
struct Policy {
    is_default: bool,
    every_events: Option<u64>,
    every_bytes: Option<u64>,
    slow: Option<Duration>,
    at_close: bool,
}

/// How often where nothing is said.
const EVERY_EVENTS: u64 = 500;

/// What was saved last of a stream, as far as a policy asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest {
    pub(super) version: Version,
    pub(super) folded_bytes: u64,
}

impl<A: Serialize + DeserializeOwned> Snapshots<A> {
    /// States are written as JSON. `schema` is the number of their shape: one more whenever the state or what
    /// [`apply`](crate::Aggregate::apply) makes of it changes, and whenever events are read as something else; what was saved
    /// under another number is passed over.
    pub fn json(schema: u32) -> Snapshots<A> {
        Snapshots {
            codec: Codec::Json,
            schema,
            write: |state| payload::encode_state(Codec::Json, state),
            read: |bytes| payload::decode_state(Codec::Json, bytes),
            value: |state| serde_json::to_value(state).ok(),
            policy: Policy::DEFAULT,
        }
    }

    /// The same in bincode: smaller and faster, and of a state whose fields have changed nothing can be told but by the
    /// number.
    pub fn bincode(schema: u32) -> Snapshots<A> {
        Snapshots {
            codec: Codec::Bincode,
            write: |state| payload::encode_state(Codec::Bincode, state),
            read: |bytes| payload::decode_state(Codec::Bincode, bytes),
            ..Snapshots::json(schema)
        }
    }
}

impl<A> Snapshots<A> {
    /// Has one saved when so many events of the stream have come since the last; 0 is the same as 1.
    pub fn every_events(mut self, events: u64) -> Snapshots<A> {
        self.policy = Policy { every_events: Some(events.max(1)), ..self.policy.chosen() };
        self
    }

    /// Has one saved when events with so many bytes of payload have come since the last; 0 is the same as 1.
    pub fn every_bytes(mut self, bytes: u64) -> Snapshots<A> {
        self.policy = Policy { every_bytes: Some(bytes.max(1)), ..self.policy.chosen() };
        self
    }

    /// Has one saved when a [load](crate::AggregateStream::load) took so long to replay events, and there were some.
    pub fn when_replay_takes(mut self, time: Duration) -> Snapshots<A> {
        self.policy = Policy { slow: Some(time), ..self.policy.chosen() };
        self
    }

    /// Has those states saved when the store is closed that are [kept in memory](crate::Aggregate::states_kept) then and have
    /// gone on since the last. Not where the store is closed by being dropped on two threads at once.
    pub fn at_close(mut self) -> Snapshots<A> {
        self.policy = Policy { at_close: true, ..self.policy.chosen() };
        self
    }

    /// Has none saved but by [`save_snapshot`](crate::AggregateStream::save_snapshot), and by the policies that follow.
    pub fn by_hand(mut self) -> Snapshots<A> {
        self.policy = Policy::NONE;
        self
    }

    /// The number of the shape of the state.
    #[must_use]
    pub fn schema(&self) -> u32 {
        self.schema
    }

    /// How a state is written.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    pub(super) fn write(&self, state: &A) -> Result<Vec<u8>, Cause> {
        (self.write)(state)
    }

    pub(super) fn read(&self, bytes: &[u8]) -> Result<A, Cause> {
        (self.read)(bytes)
    }

    /// Whether two states are the same, of one of which this is the state as it was written: byte by byte, or else as JSON
    /// with sorted maps.
    pub(super) fn is_same(&self, (saved, bytes): (&A, &[u8]), replayed: &A) -> Result<bool, Cause> {
        if self.write(replayed)? == bytes {
            return Ok(true);
        }
        let (saved, replayed) = ((self.value)(saved), (self.value)(replayed));
        Ok(saved.is_some() && saved == replayed)
    }

    pub(super) fn is_at_close(&self) -> bool {
        self.policy.at_close
    }

    /// Whether a state that was folded up to a version, of so many bytes, is to be saved; `replayed` is how long its load took.
    pub(super) fn is_due(&self, version: Version, bytes: u64, newest: Newest, replayed: Option<Duration>) -> bool {
        let Policy { every_events, every_bytes, slow, .. } = self.policy;
        // Fewer than it had: the stream begins with a state that it carries, and counts from there.
        let bytes = bytes.checked_sub(newest.folded_bytes).unwrap_or(bytes);
        let events = version.get().saturating_sub(newest.version.get());
        let is_slow = || slow.zip(replayed).is_some_and(|(slow, replayed)| slow <= replayed);
        let has_come = |due: Option<u64>, come: u64| due.is_some_and(|due| due <= come);
        events != 0 && (has_come(every_events, events) || has_come(every_bytes, bytes) || is_slow())
    }
}

impl Policy {
    const NONE: Policy =
        Policy { is_default: false, every_events: None, every_bytes: None, slow: None, at_close: false };
    const DEFAULT: Policy = Policy { is_default: true, every_events: Some(EVERY_EVENTS), ..Policy::NONE };

    /// What was chosen by now.
    fn chosen(self) -> Policy {
        if self.is_default { Policy::NONE } else { self }
    }
}

impl<A> Clone for Snapshots<A> {
    fn clone(&self) -> Snapshots<A> {
        Snapshots { ..*self }
    }
}

impl<A> fmt::Debug for Snapshots<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, codec, schema) = (type_name::<A>(), self.codec, self.schema);
        write!(f, "snapshots of {of} as {codec:?}, schema {schema}, {:?}", self.policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(snapshots: &Snapshots<u32>, version: u64, bytes: u64, replayed: Option<u64>) -> bool {
        let newest = Newest { version: Version::new(100), folded_bytes: 1_000 };
        snapshots.is_due(Version::new(version), bytes, newest, replayed.map(Duration::from_millis))
    }

    #[test]
    fn a_state_is_due_when_a_policy_says_so_and_none_other_is_left() {
        let default = Snapshots::<u32>::json(1);
        assert_eq!([599, 600, 601].map(|version| due(&default, version, 0, Some(9_999))), [false, true, true]);
        let events = Snapshots::<u32>::json(1).every_events(3);
        assert_eq!([100, 102, 103].map(|version| due(&events, version, 0, None)), [false, false, true]);
        let bytes = Snapshots::<u32>::bincode(1).every_bytes(50);
        assert_eq!([1_049, 1_050].map(|bytes_now| due(&bytes, 999, bytes_now, None)), [false, true]);
        let slow = Snapshots::<u32>::json(1).when_replay_takes(Duration::from_millis(5));
        assert_eq!([None, Some(4), Some(5)].map(|took| due(&slow, 101, 0, took)), [false, false, true]);
        assert!(!due(&slow, 100, 0, Some(9)), "nothing was replayed");
        let both = Snapshots::<u32>::json(1).every_bytes(50).every_events(3);
        assert!(due(&both, 103, 1_000, None) && due(&both, 101, 1_050, None) && !due(&both, 102, 1_049, None));
        let hand = Snapshots::<u32>::json(1).by_hand();
        assert!(!due(&hand, u64::MAX, u64::MAX, Some(u64::MAX)));
        assert!(!hand.is_at_close() && hand.at_close().is_at_close());
    }
}

//! What a batch does to streams besides appending: finishing, deleting and truncating them, saying something about them, and
//! deciding what is kept.

use super::EventStore;
use super::batch::BatchBuilder;
use super::pending::PendingReceipt;
use crate::error::{Error, ErrorKind};
use crate::format::{Fact, KeepDeed, KeepFact, StreamDeed, StreamFact};
use crate::limits::{REASON_BYTES_MAX, STREAM_METADATA_BYTES_MAX};
use crate::name::StreamName;
use crate::position::{ExpectedVersion, Revision, Version};
use crate::retention::{Retention, Scope};
use serde::Serialize;

impl BatchBuilder<'_> {
    /// Deletes all that a stream has by the end of this batch: it is not read by its name any more, until it is
    /// [undeleted](Self::undelete). What is appended later continues its versions, and is read. The events stay in the log and
    /// in reads over everything. The stream must be there, and be expected to be at some version before the batch.
    ///
    /// ```
    /// use scorebook::{ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let (team, board) = (StreamName::new("team-7")?, StreamName::new("board-1")?);
    /// let append = |name, event| store.append(name, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error());
    /// append(&team, NewEvent::json("created", "otters")?)?;
    ///
    /// let left = NewEvent::json("team_left", &7)?;
    /// let batch = store.batch().append(&board, ExpectedVersion::Any, [left]).delete(&team, ExpectedVersion::Any, "a mistake");
    /// batch.commit().wait().map_err(|error| error.into_error())?;
    /// assert_eq!(store.read(&team).into_iter().next().expect("an error").unwrap_err().kind(), ErrorKind::Deleted);
    ///
    /// append(&team, NewEvent::json("created", "beavers")?)?;
    /// let versions = store.read(&team).into_iter().map(|event| Ok(event?.version().get()));
    /// assert_eq!(versions.collect::<Result<Vec<_>, scorebook::Error>>()?, [2]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn delete(mut self, stream: &StreamName, expected: ExpectedVersion, reason: &str) -> Self {
        self.request.expect(stream, expected);
        self.request.expect(stream, ExpectedVersion::StreamExists);
        self.deed(stream, reason, StreamDeed::Delete(reason.to_owned()))
    }

    /// Has what is deleted of a stream read again.
    pub fn undelete(self, stream: &StreamName) -> Self {
        self.deed(stream, "", StreamDeed::Undelete)
    }

    /// Finishes a stream for ever, behind what this batch appends: nothing of it is read by its name any more, nothing is
    /// appended to it, and its name is never used again. A compaction removes its events. The stream need not be there, and is
    /// expected to be at some version before the batch.
    pub fn tombstone(mut self, stream: &StreamName, expected: ExpectedVersion, reason: &str) -> Self {
        self.request.expect(stream, expected);
        self.deed(stream, reason, StreamDeed::Tombstone(reason.to_owned()))
    }

    /// Has a stream begin with a version: reads of it begin there, and whoever asks for less is told of that version. A
    /// compaction removes what is before it. It may be the version of the stream's next event, and nothing later. A version
    /// no higher than the one it begins with changes nothing; with a higher one a [state](Self::truncate_carrying) that it
    /// begins with does not count any more.
    pub fn truncate_before(self, stream: &StreamName, first: Version) -> Self {
        let first = first.max(Version::FIRST);
        self.deed(stream, "", StreamDeed::Truncate { first, state: None })
    }

    /// Says something about a stream: any JSON of up to 16 KiB, in place of what was said before. It is numbered: where a
    /// revision is given, that must be the last. The stream need not be there.
    pub fn set_metadata(mut self, stream: &StreamName, last: Option<Revision>, metadata: &impl Serialize) -> Self {
        let json = match serde_json::to_string(metadata) {
            Ok(json) => json,
            Err(error) => {
                let act = format!("encoding what is said about stream {stream}");
                self.take(Err(Error::with_source(ErrorKind::Encode, act, error)));
                return self;
            }
        };
        if STREAM_METADATA_BYTES_MAX < json.len() {
            let bytes = json.len();
            let act = format!("saying {bytes} bytes about stream {stream}: the limit is {STREAM_METADATA_BYTES_MAX}");
            self.take(Err(Error::new(ErrorKind::TooLarge, act)));
            return self;
        }
        self.request.expect_revision(stream, last);
        self.deed(stream, "", StreamDeed::Metadata { revision: 0, json })
    }

    /// Keeps events from being removed, whatever the rules say, until the hold of this label is
    /// [released](Self::release). Several labels hold apart from each other.
    pub fn hold(self, scope: &Scope, label: &str) -> Self {
        self.keep(scope, Some(label), KeepDeed::Hold(label.to_owned()))
    }

    /// Ends a hold. Where there is none, nothing changes.
    pub fn release(self, scope: &Scope, label: &str) -> Self {
        self.keep(scope, Some(label), KeepDeed::Release(label.to_owned()))
    }

    /// Sets the rule for what is kept, in place of the one before. Without a rule everything is kept, but for `once` keys:
    /// these are kept for [30 days](crate::limits::ONCE_KEY_KEPT_FOR).
    pub fn retain(self, scope: &Scope, rule: Retention) -> Self {
        self.keep(scope, None, KeepDeed::Retain(rule))
    }

    /// Takes a rule away. Where there is none, nothing changes.
    pub fn clear_retention(self, scope: &Scope) -> Self {
        self.keep(scope, None, KeepDeed::Forget)
    }

    pub(super) fn deed(mut self, stream: &StreamName, reason: &str, deed: StreamDeed) -> Self {
        let checked = check_text("a reason", reason);
        let (stream, time) = (stream.as_str().to_owned(), self.store.clock());
        let fact = StreamFact { stream, version: Version::NONE, time, deed };
        let pushed = checked.and_then(|()| self.request.push_fact(Fact::Stream(fact)));
        self.take(pushed);
        self
    }

    fn keep(mut self, scope: &Scope, label: Option<&str>, deed: KeepDeed) -> Self {
        let checked = match label {
            Some("") => Err(Error::new(ErrorKind::InvalidArgument, "the label of a hold is empty")),
            Some(label) => check_text("a label", label),
            None if *scope == Scope::OnceKeys && matches!(&deed, KeepDeed::Retain(rule) if rule.events().is_some()) => {
                let act = "keeping so many of the newest once keys: how long they are kept can be said alone";
                Err(Error::new(ErrorKind::InvalidArgument, act))
            }
            None => Ok(()),
        };
        let fact = KeepFact { scope: scope.clone(), time: self.store.clock(), deed };
        let pushed = checked.and_then(|()| self.request.push_fact(Fact::Keep(fact)));
        self.take(pushed);
        self
    }
}

fn check_text(what: &str, text: &str) -> Result<(), Error> {
    if text.len() <= REASON_BYTES_MAX {
        return Ok(());
    }
    let act = format!("{what} has {} bytes: the limit is {REASON_BYTES_MAX}", text.len());
    Err(Error::new(ErrorKind::TooLarge, act))
}

impl EventStore {
    /// Deletes what a stream has, as [`BatchBuilder::delete`] does. `Ok` guarantees that it is not read by its name any more.
    ///
    /// # Errors
    ///
    /// * [`Conflict`](crate::AppendError::Conflict): the stream is not at the version that is expected, is not there, or is
    ///   deleted already (`Version`); it is finished (`Finished`). Nothing has changed.
    /// * Those of an append.
    pub fn delete(&self, stream: &StreamName, expected: ExpectedVersion, reason: &str) -> PendingReceipt {
        self.batch().delete(stream, expected, reason).commit()
    }

    /// Has what is deleted of a stream read again, as [`BatchBuilder::undelete`] does.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let team = StreamName::new("team-7")?;
    /// let receipt = |pending: scorebook::PendingReceipt| pending.wait().map_err(|error| error.into_error());
    /// receipt(store.append(&team, ExpectedVersion::Any, [NewEvent::json("created", "otters")?]))?;
    /// receipt(store.delete(&team, ExpectedVersion::Any, "a mistake"))?;
    /// assert!(!store.exists(&team)?);
    /// receipt(store.undelete(&team))?;
    /// assert!(store.exists(&team)?);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Store`](crate::AppendError::Store) of kind [`InvalidArgument`](ErrorKind::InvalidArgument): nothing of it is
    ///   deleted.
    /// * Those of [`delete`](Self::delete).
    pub fn undelete(&self, stream: &StreamName) -> PendingReceipt {
        self.batch().undelete(stream).commit()
    }

    /// Finishes a stream for ever, as [`BatchBuilder::tombstone`] does.
    ///
    /// ```
    /// use scorebook::{Conflict, EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let player = StreamName::new("player-8812")?;
    /// store.tombstone(&player, ExpectedVersion::Any, "asked to be forgotten").wait().map_err(|error| error.into_error())?;
    /// let refused = store.append(&player, ExpectedVersion::Any, [NewEvent::json("joined", &1)?]).wait().unwrap_err();
    /// assert_eq!(refused.conflict(), Some(&Conflict::Finished { stream: player }));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`delete`](Self::delete), but a stream that is not there can be finished.
    pub fn tombstone(&self, stream: &StreamName, expected: ExpectedVersion, reason: &str) -> PendingReceipt {
        self.batch().tombstone(stream, expected, reason).commit()
    }

    /// Has a stream begin with a version, as [`BatchBuilder::truncate_before`] does.
    ///
    /// ```
    /// use scorebook::{ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamName, Version};
    /// let store = EventStore::open_in_memory()?;
    /// let log = StreamName::new("refusals-8812")?;
    /// let events = (1..=5).map(|n| NewEvent::json("refused", &n)).collect::<Result<Vec<_>, _>>()?;
    /// store.append(&log, ExpectedVersion::Any, events).wait().map_err(|error| error.into_error())?;
    /// store.truncate_before(&log, Version::new(4)).wait().map_err(|error| error.into_error())?;
    /// assert_eq!(store.read(&log).into_iter().count(), 2);
    /// let asked = store.read(&log).from(Version::new(2)).into_iter().next().expect("an error").unwrap_err();
    /// assert_eq!(asked.kind(), ErrorKind::BelowFloor);
    /// assert_eq!(asked.to_string(), "reading stream refusals-8812 from version 2: it begins with version 4");
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Store`](crate::AppendError::Store) of kind [`InvalidArgument`](ErrorKind::InvalidArgument): the version is behind
    ///   that of the stream's next event.
    /// * Those of [`delete`](Self::delete).
    pub fn truncate_before(&self, stream: &StreamName, first: Version) -> PendingReceipt {
        self.batch().truncate_before(stream, first).commit()
    }
}

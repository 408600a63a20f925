//! Where floors above write down the states of folds, and how far these may speak of the log.

use super::snapshots::Sought;
use super::writer::Writer;
use super::{AllRead, Engine, EventStore, closed};
use crate::error::{Error, ErrorKind};
use crate::event::{Codec, RecordedEvent};
use crate::mutant::Mutant;
use crate::position::{Place, Position, Version};
use crate::snapshot::{BODY_BYTES_MAX, Catalog, Head, LastEvent, SnapshotSource};
use crate::storage::Storage;
use crate::sync::Arc;
use crate::time::Timestamp;

/// The files of a store that is open for writing, for states of folds. It does not keep the store open: what is saved once
/// that is closed is refused.
#[derive(Clone)]
pub(crate) struct Desk {
    storage: Arc<dyn Storage>,
    writer: Arc<Writer>,
    catalog: Arc<Catalog>,
    kept: usize,
}

/// A state that is to be saved.
pub(crate) struct Draft<'a> {
    pub(crate) source: &'a SnapshotSource,
    pub(crate) schema: u32,
    pub(crate) shape: u64,
    pub(crate) codec: Codec,
    pub(crate) position: Position,
    pub(crate) version: Version,
    /// The hash of the state that the stream began with; 0 where it began with its first event.
    pub(crate) carried: u64,
    pub(crate) folded_bytes: u64,
    pub(crate) state: &'a [u8],
    /// It takes the place of one that goes as far.
    pub(crate) replaces: bool,
}

impl EventStore {
    pub(crate) fn desk(&self) -> Result<Desk, Error> {
        let writer = match &*self.shared.engine.read() {
            Engine::Writing(writer) => writer.clone(),
            Engine::Reading(_) => return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only")),
            Engine::Closed(_) => return Err(closed()),
        };
        let kept = self.shared.options.snapshots_kept;
        Ok(Desk { storage: self.shared.storage.clone(), writer, catalog: self.catalog(), kept })
    }

    /// Whether files take other room than memory, and this handle may write some.
    pub(crate) fn has_a_desk(&self) -> bool {
        matches!(&*self.shared.engine.read(), Engine::Writing(_)) && self.shared.storage.is_apart_from_memory()
    }

    /// Which snapshots there are.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.kept_or(Catalog::default)
    }
}

impl Desk {
    /// Writes a state down, of which everything is durable then. `is_last` says whether an event is the last that the state
    /// knows of. False where nothing was written: there is a newer one, or there is no event to know the log by.
    pub(crate) fn save(&self, draft: &Draft<'_>, is_last: impl Fn(&RecordedEvent) -> bool) -> Result<bool, Error> {
        self.save_at(draft, None, is_last)
    }

    /// The same for a state that was written down before, at some time.
    pub(super) fn save_at(
        &self,
        draft: &Draft<'_>,
        time: Option<Timestamp>,
        is_last: impl Fn(&RecordedEvent) -> bool,
    ) -> Result<bool, Error> {
        let act = || format!("saving the state of {} up to position {}", draft.source, draft.position);
        if BODY_BYTES_MAX <= draft.state.len() {
            let act = format!("{}: {} bytes, the limit is {BODY_BYTES_MAX}", act(), draft.state.len());
            return Err(Error::new(ErrorKind::TooLarge, act));
        }
        let read = AllRead::new(Ok(self.writer.view.clone())).to(draft.position).backwards().limit(1);
        let Some(last) = read.into_iter().next().transpose()?.filter(is_last) else { return Ok(false) };
        if !Mutant::SavesWhatIsNotDurable.is_on() {
            self.make_durable(draft.position)?;
        }
        let Some((durable, segment)) = self.durable_spot() else { return Ok(false) };
        let head = Head {
            store: self.writer.log.store(),
            durable,
            segment,
            source: draft.source.clone(),
            schema: draft.schema,
            shape: draft.shape,
            codec: draft.codec,
            position: draft.position,
            version: draft.version,
            last: LastEvent::of(&last),
            carried: draft.carried,
            folded_bytes: draft.folded_bytes,
            time: time.unwrap_or_else(|| self.storage.now()),
        };
        let saved = self.catalog.save(&*self.storage, (&head, draft.state), (self.kept, draft.replaces));
        if saved.is_err() {
            self.catalog.rest(self.storage.elapsed());
        }
        saved.map_err(|error| Error::io(act(), error))
    }

    /// The newest snapshot of a source that may be used, by its name: the version, and of how many bytes it is folded.
    pub(crate) fn newest(&self, sought: &Sought<'_>) -> Option<(Version, u64)> {
        let newest = self.catalog.newest(&*self.storage, sought.source.key(), sought.schema);
        newest.map(|(name, folded_bytes)| (name.version, folded_bytes.unwrap_or(0)))
    }

    /// Whether saving has failed just now.
    pub(crate) fn is_resting(&self) -> bool {
        self.catalog.is_resting(self.storage.elapsed())
    }

    /// Sees to it that everything up to a position is durable: a derived file speaks of nothing else, since what a power cut
    /// takes is given again to other events.
    fn make_durable(&self, position: Position) -> Result<(), Error> {
        let log = &self.writer.log;
        if let Some(failure) = log.failure() {
            return Err(failure);
        }
        if log.ends().durable_position < position {
            log.sync_behind()?;
        }
        if log.ends().durable_position < position {
            let act = format!("making position {position} durable: there was no room to copy what is not proven");
            return Err(Error::new(ErrorKind::Full, act));
        }
        Ok(())
    }

    /// Up to where the log is durable, and the random id of the segment there.
    fn durable_spot(&self) -> Option<(Place, [u8; 16])> {
        let durable = self.writer.log.ends().durable;
        let view = self.writer.view.0.read();
        if let Some(segment) = view.segment(durable.segment) {
            return Some((durable, segment.preamble.segment));
        }
        // What is durable may be ahead of what is visible for a moment: the segment before has ended.
        let last = view.segments.last().filter(|last| last.sequence() < durable.segment)?;
        Some((Place { segment: last.sequence(), offset: view.end_of(last) }, last.preamble.segment))
    }
}

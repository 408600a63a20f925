//! What of a store is durable, for floors above that copy it.

use super::info::KnownOfLog;
use super::writer::Writer;
use super::{Engine, EventStore};
use crate::error::{Error, ErrorKind};
use crate::position::Position;
use crate::segment::Segment;
use crate::sync::Arc;

/// The segments of a log up to where it is durable.
pub(crate) struct DurableLog {
    pub(crate) store: [u8; 16],
    /// Each with the end up to which it is durable, rising.
    pub(crate) segments: Vec<(Arc<Segment>, u32)>,
    pub(crate) epoch: u32,
}

impl EventStore {
    /// How many bytes there is room for on its disk, where that is known.
    pub(crate) fn room_left(&self) -> Result<Option<u64>, Error> {
        let storage = &self.shared.storage;
        storage.room().map_err(|error| Error::io(format!("asking for the room in {}", storage.describe()), error))
    }

    /// Positions that were lost and whose loss nobody has accepted, and those that cannot be read.
    pub(crate) fn doubtful_positions(&self) -> Result<Option<(Position, Position)>, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let doubt = view.table.holes().doubt_behind(Position::BEGINNING);
        Ok(doubt.map(|hole| (hole.range.first, hole.range.last)))
    }

    /// Why nothing is written any more, and why nothing is written until there is room.
    pub(crate) fn obstacles(&self) -> (Option<Error>, Option<Error>) {
        match &*self.shared.engine.read() {
            Engine::Writing(writer) => (writer.log.failure(), writer.log.full().or_else(|| unproven(writer))),
            Engine::Reading(_) | Engine::Closed(_) => (None, None),
        }
    }

    /// Beside another process: forgets what that may have compacted since.
    pub(crate) fn look_anew(&self) -> Result<(), Error> {
        match &*self.shared.engine.read() {
            Engine::Reading(reader) => reader.open_anew(&self.shared.storage, &self.shared.options),
            Engine::Writing(_) | Engine::Closed(_) => Ok(()),
        }
    }

    /// What is durable at this moment.
    pub(crate) fn durable_log(&self) -> Result<DurableLog, Error> {
        let shared = self.view()?;
        let KnownOfLog { store, epoch, ends } = self.known_of_log()?;
        let view = shared.0.read();
        let durable = ends.durable;
        let of_it = view.segments.iter().filter(|segment| segment.sequence() <= durable.segment);
        let with_end = |segment: &Arc<Segment>| {
            let is_last = segment.sequence() == durable.segment;
            (segment.clone(), if is_last { durable.offset } else { segment.end() })
        };
        Ok(DurableLog { store, segments: of_it.map(with_end).collect(), epoch })
    }
}

/// Nothing is built on a tail that is not proven durable, and there was no room to copy it.
fn unproven(writer: &Writer) -> Option<Error> {
    let events = writer.report.unproven_events;
    let act = || format!("copying {events} events that are not proven durable");
    writer.is_unproven.then(|| Error::new(ErrorKind::Full, act()))
}

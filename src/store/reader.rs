//! The reading side of a store that another process may be writing.

use super::view::{SharedView, View};
use crate::error::Error;
use crate::index::StreamTable;
use crate::log::{CloseState, Follower, Look, Opened, RecoveryReport, Visitor, is_same_writer, open_for_reading};
use crate::options::Options;
use crate::position::Place;
use crate::storage::Storage;
use crate::sync::{Arc, Mutex, RwLock, sleep};

/// A store that is open for reading only.
pub(super) struct Reader {
    state: Mutex<State>,
}

struct State {
    /// Replaced as a whole when the log must be opened anew, so that reads that have begun keep what they have.
    view: Arc<SharedView>,
    follower: Follower,
    facts: Facts,
}

/// What opening found.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) report: RecoveryReport,
    pub(super) store: [u8; 16],
    pub(super) epoch: u32,
    pub(super) ends: crate::log::Ends,
}

/// How often opening is tried again when files vanish under it because a writer recovers at this moment.
const ATTEMPTS: u32 = 20;

impl Reader {
    pub(super) fn open(storage: &Arc<dyn Storage>, options: &Options) -> Result<Reader, Error> {
        Ok(Reader { state: Mutex::new(open(storage, options)?) })
    }

    /// Forgets everything and opens the log again.
    pub(super) fn open_anew(&self, storage: &Arc<dyn Storage>, options: &Options) -> Result<(), Error> {
        let state = open(storage, options)?;
        *self.state.lock() = state;
        Ok(())
    }

    pub(super) fn report(&self) -> RecoveryReport {
        self.state.lock().facts.report.clone()
    }

    pub(super) fn facts(&self) -> Facts {
        self.state.lock().facts.clone()
    }

    /// What is visible by now.
    pub(super) fn view(&self, storage: &Arc<dyn Storage>, options: &Options) -> Result<Arc<SharedView>, Error> {
        let mut state = self.state.lock();
        let live = match state.follower.look(&**storage) {
            Look::Same => return Ok(state.view.clone()),
            Look::More(live) => Some(live),
            Look::Anew => None,
        };
        if let Some(live) = live {
            let shared = state.view.clone();
            let mut started = |segment: &Arc<crate::segment::Segment>| shared.0.write().segments.push(segment.clone());
            let followed = state.follower.advance(
                &**storage,
                options.read_mode,
                &live,
                &mut started,
                &mut |segment, batch, head| {
                    let mut view = shared.0.write();
                    let place = Place { segment: segment.sequence(), offset: batch.offset };
                    let is_sequel = view.table.batch(place, batch).is_ok();
                    view.head = head;
                    is_sequel
                },
            );
            // What cannot be followed is opened anew, which says what is wrong if that does not help.
            if followed.unwrap_or(false) {
                state.facts.ends.visible = live.visible_end;
                state.facts.ends.durable = live.durable_end;
                state.facts.ends.visible_position = live.visible_position;
                state.facts.epoch = live.epoch;
                return Ok(shared);
            }
        }
        *state = open(storage, options)?;
        Ok(state.view.clone())
    }
}

fn open(storage: &Arc<dyn Storage>, options: &Options) -> Result<State, Error> {
    let mut attempt = 0;
    let mut was_locked;
    let opened: Opened<StreamTable> = loop {
        attempt += 1;
        was_locked = storage.is_locked().unwrap_or(false);
        // A writer may have come or gone while the log was read, so both moments count.
        let opened = open_for_reading(&**storage, options, StreamTable::default);
        let was_changing = was_locked || storage.is_locked().unwrap_or(false);
        match opened {
            Ok(opened) if ATTEMPTS <= attempt => break opened,
            Ok(opened)
                if opened.report.close_state == CloseState::Open
                    && !is_same_writer(&**storage, opened.seen.as_ref()) => {}
            Ok(opened) if opened.report.damage().is_empty() => break opened,
            // A writer may be recovering right now: files vanish and others take their place.
            Ok(_) if was_changing => {}
            Ok(opened) => break opened,
            Err(error) if ATTEMPTS <= attempt || !was_changing => return Err(error),
            Err(_) => {}
        }
        if storage.has_threads() {
            sleep(std::time::Duration::from_millis(5));
        }
    };
    let last = opened.segments.last().cloned();
    let is_beside_writer = opened.report.close_state == CloseState::Open;
    let follower = Follower::new(opened.seen, is_beside_writer, was_locked, opened.sequence, last);
    let facts = Facts { report: opened.report, store: opened.store, epoch: opened.sequence.epoch, ends: opened.ends };
    let view = View { segments: opened.segments, table: opened.visitor, head: opened.head };
    Ok(State { view: Arc::new(SharedView(RwLock::new(view))), follower, facts })
}

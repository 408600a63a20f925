//! The file `live`: written now and then, off the path of appends; failing to write it is ignored.

use crate::error::Error;
use crate::format::{LIVE_LEN, Live, LiveState};
use crate::mutant::Mutant;
use crate::position::{Place, Position};
use crate::segment::Segment;
use crate::storage::{Access, File, Storage};
use crate::sync::{Arc, Mutex};
use std::io;

const LIVE_FILE: &str = "live";

/// What `live` says, if it exists and one of its slots verifies. Bad bytes prove nothing, but what cannot be read now may
/// be a witness: that is an error of the operating system, as for every other file.
pub(crate) fn find_live(storage: &dyn Storage) -> Result<Option<Live>, Error> {
    match storage.open(LIVE_FILE, Access::Read) {
        Ok(file) => read_slots(&*file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(READING, error)),
    }
}

/// The same for whoever only looks for news, and looks again later.
pub(crate) fn read_live(storage: &dyn Storage) -> Option<Live> {
    find_live(storage).ok().flatten()
}

/// Removes it: the places that it names are going to be others.
pub(crate) fn forget_live(storage: &dyn Storage) -> io::Result<()> {
    match storage.remove(LIVE_FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| storage.sync_dir("")),
    }
}

const READING: &str = "reading the file `live`";

/// What is missing at the end of the file counts as zeros: that is what it will be once a slot is written behind it.
fn read_slots(file: &dyn File) -> Result<Option<Live>, Error> {
    let mut bytes = [0; LIVE_LEN];
    file.read_at(&mut bytes, 0).map_err(|error| Error::io(READING, error))?;
    Ok(Live::decode(&bytes))
}

/// How far the log reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) durable: Place,
    pub(crate) visible: Place,
    pub(crate) visible_position: Position,
    /// Every event up to here is durable. It may lag behind the durable end where nobody counted.
    pub(crate) durable_position: Position,
}

/// Up to which position events are durable for sure, by the places of some of them.
pub(crate) fn durable_position(segments: &[Arc<Segment>], ends: &Ends) -> Position {
    if ends.visible <= ends.durable {
        return ends.visible_position;
    }
    let segment = segments.iter().rev().find(|segment| segment.sequence() <= ends.durable.segment);
    let mark = segment.and_then(|segment| match segment.sequence() == ends.durable.segment {
        true => segment.mark_before_offset(ends.durable.offset.saturating_add(1)),
        false => segment.marks().last().copied(),
    });
    mark.map_or(Position::BEGINNING, |mark| Position::new(mark.position.get().saturating_sub(1)))
}

/// The writer's hold on `live`.
///
/// It is a witness and a help to readers in other processes; a store without it works the same. So nothing here
/// fails: what cannot be written is not written.
pub(crate) struct LiveFile {
    state: Mutex<State>,
    boot: [u8; 16],
}

struct State {
    file: Option<Arc<dyn File>>,
    last: Option<Live>,
    /// What was to be said last was written.
    is_said: bool,
    /// The log was closed: whoever comes late says nothing any more.
    is_final: bool,
}

impl LiveFile {
    /// Opens the file and marks it as opening, keeping the ends it names. Returns what it said before.
    pub(crate) fn mark_opening(storage: &dyn Storage) -> Result<(LiveFile, Option<Live>), Error> {
        let file = match storage.open(LIVE_FILE, Access::ReadWrite) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io(READING, error)),
        };
        let found = file.as_ref().map(|file| read_slots(&**file)).transpose()?.flatten();
        let live = LiveFile {
            state: Mutex::new(State { file, last: found, is_said: false, is_final: false }),
            boot: storage.boot_id(),
        };
        if let Some(found) = found {
            live.state.lock().write(Live { state: LiveState::Opening, ..found });
        }
        Ok((live, found))
    }

    /// Takes the mark back: the opening failed, and the next one should find what this one found.
    pub(crate) fn unmark(&self, found: Option<Live>) {
        if let Some(found) = found {
            self.state.lock().write(found);
        }
    }

    /// Creates the file where it is missing, really written before it is used. Where there was no room for it when the
    /// log was opened there may be some later.
    pub(crate) fn ensure(&self, storage: &dyn Storage) {
        let mut state = self.state.lock();
        if state.file.is_some() {
            return;
        }
        let made = storage.create(LIVE_FILE).or_else(|error| match error.kind() {
            // What an attempt without room left behind.
            io::ErrorKind::AlreadyExists => storage.open(LIVE_FILE, Access::ReadWrite),
            _ => Err(error),
        });
        let made = made.and_then(|file| {
            file.write_at(&[0; LIVE_LEN], 0)?;
            file.sync()?;
            storage.sync_dir("")?;
            Ok(file)
        });
        state.file = made.ok();
    }

    /// Says how far the log reaches, if that is news. The ends are looked up here, so that of two who say it at a time the
    /// later never says less.
    pub(crate) fn update(&self, store: [u8; 16], epoch: (u32, u64), ends: impl FnOnce() -> Ends) {
        let mut state = self.state.lock();
        if !state.is_final && !Mutant::SaysNothingInLive.is_on() {
            self.say(&mut state, store, epoch, ends(), LiveState::Open);
        }
    }

    /// Says how far the log reaches, and that nothing more will be said.
    pub(crate) fn close(&self, store: [u8; 16], epoch: (u32, u64), ends: Ends, live_state: LiveState) {
        let mut state = self.state.lock();
        self.say(&mut state, store, epoch, ends, live_state);
        state.is_final = true;
        if let Some(file) = &state.file {
            let _ = file.sync();
        }
    }

    fn say(&self, state: &mut State, store: [u8; 16], epoch: (u32, u64), ends: Ends, live_state: LiveState) {
        let live = Live {
            state: live_state,
            store,
            boot: self.boot,
            counter: 0,
            durable_end: if Mutant::SaysTooMuchInLive.is_on() { ends.visible } else { ends.durable },
            visible_end: ends.visible,
            visible_position: ends.visible_position,
            epoch: epoch.0,
            epoch_bits: epoch.1,
        };
        state.write(live);
    }

    /// Syncs what was said; whether that is known to be on the disk now.
    pub(crate) fn is_synced(&self) -> bool {
        let state = self.state.lock();
        state.is_said && state.file.as_ref().is_some_and(|file| file.sync().is_ok())
    }

    pub(crate) fn sync(&self) {
        let file = self.state.lock().file.clone();
        if let Some(file) = file {
            let _ = file.sync();
        }
    }
}

impl State {
    fn write(&mut self, live: Live) {
        let counter = self.last.map_or(1, |last| last.counter.saturating_add(1));
        if self.last.is_some_and(|last| Live { counter: last.counter, ..live } == last) {
            return;
        }
        let live = Live { counter, ..live };
        let Some(file) = &self.file else { return };
        self.is_said = file.write_at(&live.encode(), live.slot_offset()).is_ok();
        if self.is_said {
            self.last = Some(live);
        }
    }
}

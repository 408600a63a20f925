//! The state of a projection in a file, so that an opening need not fold from the first event.
//!
//! ```text
//! header      256 bytes, see below
//! body        the state as JSON
//! ```
//!
//! There are two files, written in turn, so that one is whole whatever happens to the other. They are derived: one that does
//! not verify, or is not of this projection, this version, this query and this log, is no worse than none. It is of a log
//! that holds, at the place it speaks of, the very event it names: that is durable when the file is written, so no power cut
//! can give its position to another.

use super::folded::{Folded, encoded};
use super::kind::{NAME_BYTES_MAX, Projection};
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::format::Field;
use crate::modelling::caught;
use crate::mutant::Mutant;
use crate::position::Position;
use crate::storage::{Access, Storage};
use crate::store::{Desk, EventStore};
use std::io;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

/// The directory of the states of folds.
const SNAPSHOTS_DIR: &str = "snapshots";

const HEADER_LEN: usize = 256;

const MAGIC: Field = Field::first(8, "magic");
const DIGEST: Field = MAGIC.then(16, "digest");
const STORE: Field = DIGEST.then(16, "store id");
const COUNTER: Field = STORE.then(8, "counter");
const POSITION: Field = COUNTER.then(8, "position");
const LAST_POSITION: Field = POSITION.then(8, "position of the last event");
const LAST_EPOCH_BITS: Field = LAST_POSITION.then(8, "random bits of its epoch");
const LAST_TIME: Field = LAST_EPOCH_BITS.then(8, "its time");
const LAST_EPOCH: Field = LAST_TIME.then(4, "its epoch");
const LAST_HASH: Field = LAST_EPOCH.then(8, "hash of what it holds");
const VERSION: Field = LAST_HASH.then(4, "version of the projection");
const QUERY: Field = VERSION.then(8, "hash of the query");
const BODY_LEN: Field = QUERY.then(8, "bytes of the body");
const NAME_LEN: Field = BODY_LEN.then(1, "bytes of the name");
const NAME: Field = NAME_LEN.then(64, "name of the projection");
const PADDING: Field = NAME.then(79, "padding");
const _: () = assert!(PADDING.end() == HEADER_LEN);
const _: () = assert!(NAME.size == NAME_BYTES_MAX);

const MAGIC_BYTES: [u8; 8] = *b"SBSTATE1";

/// No state is written that is larger.
const BODY_BYTES_MAX: usize = 1 << 30;

/// The files of a projection.
pub(super) struct Shelf {
    /// The number of the file that is written next, and what it counts.
    slot: u64,
    counter: u64,
    /// Up to where the state goes that was written or read last.
    pub(super) saved: Position,
    /// Those of other versions were removed.
    is_tidy: bool,
}

/// A saved state that the log agrees with.
pub(super) struct Found<P> {
    pub(super) state: P,
    pub(super) position: Position,
    slot: u64,
}

/// The newest saved state that goes up to a position or less far, if there is one.
///
/// # Errors
///
/// * [`Closed`](ErrorKind::Closed). A file that cannot be read is none.
pub(super) fn load<P: Projection>(store: &EventStore, upto: Position) -> Result<Option<Found<P>>, Error> {
    let desk = store.desk()?;
    let head = store.head()?;
    let mut slots = counters::<P>(&desk);
    slots.sort_unstable();
    let newest_first = slots.into_iter().rev().filter_map(|(_, number)| Slot::read::<P>(&desk, number));
    let is_usable = |slot: &Slot| {
        let is_reached = slot.position() <= upto.min(head) || Mutant::TrustsAStateAheadOfTheLog.is_on();
        is_reached && (slot.is_of_log(store) || Mutant::TrustsAStateOfAnotherLog.is_on())
    };
    Ok(newest_first.filter(is_usable).find_map(|slot| slot.state::<P>()))
}

impl Shelf {
    /// What is there, where the state that was found is the one that is gone on from.
    pub(super) fn new<P: Projection>(store: &EventStore, found: Option<&Found<P>>) -> Result<Shelf, Error> {
        let desk = store.desk()?;
        let counter = counters::<P>(&desk).iter().map(|(counter, _)| counter.saturating_add(1)).max().unwrap_or(0);
        // What the state was read from stays until another is whole.
        let slot = found.map_or(0, |found| 1 - found.slot);
        Ok(Shelf { slot, counter, saved: found.map_or(Position::BEGINNING, |found| found.position), is_tidy: false })
    }

    /// Writes a state down, of which everything is durable then.
    pub(super) fn save<P: Projection>(&mut self, store: &EventStore, folded: &Folded<P>) -> Result<(), Error> {
        let act = || format!("saving the state of projection {}", P::NAME);
        let position = folded.position();
        if !Mutant::SavesWhatIsNotDurable.is_on() {
            store.make_durable(position)?;
        }
        // Where none is left there is nothing to know the log by.
        let last = store.read_all().to(position).backwards().limit(1).into_iter().next().transpose()?;
        let Some(last) = last else { return Ok(()) };
        let Desk { storage, store: id } = store.desk()?;
        let body = encoded(|| serde_json::to_vec(folded.state()), act)?;
        if BODY_BYTES_MAX <= body.len() {
            let act = format!("{}: {} bytes, the limit is {BODY_BYTES_MAX}", act(), body.len());
            return Err(Error::new(ErrorKind::TooLarge, act));
        }
        let bytes = encode::<P>(id, self.counter, position, &last, &body);
        write(&*storage, &path::<P>(self.slot), &bytes).map_err(|error| Error::io(act(), error))?;
        (self.slot, self.counter, self.saved) = (1 - self.slot, self.counter.saturating_add(1), position);
        if !self.is_tidy {
            // They take room, and nothing else: the next opening tries again.
            self.is_tidy = remove_older::<P>(&*storage).is_ok();
        }
        Ok(())
    }
}

fn encode<P: Projection>(
    store: [u8; 16],
    counter: u64,
    position: Position,
    last: &RecordedEvent,
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    MAGIC.put(&mut bytes, MAGIC_BYTES);
    STORE.put(&mut bytes, store);
    COUNTER.put_u64(&mut bytes, counter);
    POSITION.put_u64(&mut bytes, position.get());
    LAST_POSITION.put_u64(&mut bytes, last.position().get());
    LAST_EPOCH_BITS.put_u64(&mut bytes, last.epoch_bits);
    LAST_TIME.put_i64(&mut bytes, last.time().nanos());
    LAST_EPOCH.put_u32(&mut bytes, last.epoch());
    LAST_HASH.put_u64(&mut bytes, hash_of(last));
    VERSION.put_u32(&mut bytes, P::VERSION);
    QUERY.put_u64(&mut bytes, query_hash::<P>());
    BODY_LEN.put_u64(&mut bytes, body.len() as u64);
    NAME_LEN.put_u8(&mut bytes, P::NAME.len() as u8);
    bytes[NAME.offset..NAME.offset + P::NAME.len()].copy_from_slice(P::NAME.as_bytes());
    bytes.extend_from_slice(body);
    let digest = xxh3_128(&bytes[DIGEST.end()..]);
    DIGEST.put(&mut bytes, digest.to_le_bytes());
    bytes
}

/// What an event holds, as a number: two logs that were one until a while ago may differ in nothing else.
fn hash_of(event: &RecordedEvent) -> u64 {
    let mut hasher = Xxh3::new();
    for part in
        [event.stream().as_bytes(), event.event_type().as_bytes(), event.metadata_json().as_bytes(), event.data()]
    {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.digest()
}

/// Whoever changes the query and forgets the version folds anew all the same.
fn query_hash<P: Projection>() -> u64 {
    xxh3_64(format!("{:?}", P::query()).as_bytes())
}

fn write(storage: &dyn Storage, path: &str, bytes: &[u8]) -> io::Result<()> {
    let file = match storage.open(path, Access::ReadWrite) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            storage.create_dir(SNAPSHOTS_DIR)?;
            storage.create(path)?
        }
        file => file?,
    };
    let written = file.write_at(bytes, 0).and_then(|()| file.sync());
    file.retire();
    written
}

/// Removes the states of lower versions of a projection.
fn remove_older<P: Projection>(storage: &dyn Storage) -> io::Result<()> {
    for entry in storage.list(SNAPSHOTS_DIR)? {
        if let Some((name, version, slot)) = parse_name(&entry.name)
            && name == P::NAME
            && version < P::VERSION
        {
            storage.remove(&format!("{SNAPSHOTS_DIR}/{}", file_name(name, version, slot)))?;
        }
    }
    Ok(())
}

fn path<P: Projection>(slot: u64) -> String {
    format!("{SNAPSHOTS_DIR}/{}", file_name(P::NAME, P::VERSION, slot))
}

fn file_name(name: &str, version: u32, slot: u64) -> String {
    format!("projection-{name}-{version}.{slot}")
}

/// The name, the version and the number of a file of a projection.
fn parse_name(file: &str) -> Option<(&str, u32, u64)> {
    let (rest, slot) = file.strip_prefix("projection-")?.rsplit_once('.')?;
    let (name, version) = rest.rsplit_once('-')?;
    let parsed = (name, version.parse().ok()?, slot.parse().ok()?);
    (file == file_name(parsed.0, parsed.1, parsed.2)).then_some(parsed)
}

/// What the files that are there count, and their numbers. Nothing of them was verified.
fn counters<P: Projection>(desk: &Desk) -> Vec<(u64, u64)> {
    let counted = |number: u64| {
        let mut header = vec![0; HEADER_LEN];
        let file = desk.storage.open(&path::<P>(number), Access::Read).ok()?;
        let is_whole = file.read_at(&mut header, 0).ok()? == HEADER_LEN;
        is_whole.then(|| (COUNTER.u64(&header), number))
    };
    [0, 1].into_iter().filter_map(counted).collect()
}

/// A file of which every byte verifies, of the projection it is asked for.
struct Slot {
    number: u64,
    bytes: Vec<u8>,
}

impl Slot {
    fn read<P: Projection>(desk: &Desk, number: u64) -> Option<Slot> {
        let file = desk.storage.open(&path::<P>(number), Access::Read).ok()?;
        let mut header = vec![0; HEADER_LEN];
        let is_whole = file.read_at(&mut header, 0).ok()? == HEADER_LEN;
        let body_len = BODY_LEN.u64(&header);
        let end = body_len.checked_add(HEADER_LEN as u64)?;
        if !is_whole || MAGIC.get(&header) != MAGIC_BYTES || BODY_BYTES_MAX as u64 <= body_len || file.len().ok()? < end
        {
            return None;
        }
        let mut bytes = vec![0; end as usize];
        let is_whole = file.read_at(&mut bytes, 0).ok()? as u64 == end && bytes[..HEADER_LEN] == header;
        let is_sound = DIGEST.get(&bytes) == xxh3_128(&bytes[DIGEST.end()..]).to_le_bytes();
        let name = NAME.get::<NAME_BYTES_MAX>(&bytes);
        let is_ours = STORE.get(&bytes) == desk.store
            && name.get(..usize::from(NAME_LEN.u8(&bytes))) == Some(P::NAME.as_bytes())
            && (VERSION.u32(&bytes) == P::VERSION && QUERY.u64(&bytes) == query_hash::<P>());
        (is_whole && (is_sound || Mutant::TrustsADamagedState.is_on()) && is_ours).then_some(Slot { number, bytes })
    }

    fn position(&self) -> Position {
        Position::new(POSITION.u64(&self.bytes))
    }

    /// Whether the log holds the event that the state ends with.
    fn is_of_log(&self, store: &EventStore) -> bool {
        let last = store.read_all().to(self.position()).backwards().limit(1).into_iter().next();
        last.is_some_and(|last| {
            last.is_ok_and(|last| {
                last.position().get() == LAST_POSITION.u64(&self.bytes)
                    && last.epoch() == LAST_EPOCH.u32(&self.bytes)
                    && last.epoch_bits == LAST_EPOCH_BITS.u64(&self.bytes)
                    && last.time().nanos() == LAST_TIME.i64(&self.bytes)
                    && hash_of(&last) == LAST_HASH.u64(&self.bytes)
            })
        })
    }

    fn state<P: Projection>(&self) -> Option<Found<P>> {
        let whence = || format!("while the saved state of projection {} was read", P::NAME);
        let read = || {
            let read = serde_json::from_slice(&self.bytes[HEADER_LEN..]);
            read.map_err(|fault| Error::with_source(ErrorKind::Decode, whence(), fault))
        };
        let state = caught(whence, read).ok()?;
        Some(Found { state, position: self.position(), slot: self.number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_read_as_it_was_made_and_no_other_is() {
        for name in ["a", "all-time-2", "x_1"] {
            assert_eq!(parse_name(&file_name(name, 12, 1)), Some((name, 12, 1)));
        }
        for other in
            ["projection-a-1", "projection-a.0", "projection-a-01.0", "projection-a-1.00", "streams.0", "a-1.0"]
        {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}

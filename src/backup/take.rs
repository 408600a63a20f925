//! Taking a backup: what is durable is copied, and what was copied before is not copied again.

use super::manifest::{Held, Manifest, PIECE, SEGMENTS_DIR, no_backup, remove_segment};
use super::piece::{digests, last_event, last_position, read_held, scanned};
use crate::error::{Error, ErrorKind};
use crate::observe::spans;
use crate::position::{Place, Position};
use crate::segment::{FIRST_BATCH, Segment};
use crate::storage::{Access, File, RealDisk, Storage};
use crate::store::{DurableLog, EventStore, StoreId};
use crate::sync::Arc;
use crate::time::Timestamp;
use std::io;
use std::path::Path;

/// What a backup came to.
#[derive(Clone, Debug)]
pub struct BackupReport {
    info: BackupInfo,
    segments_copied: u64,
    bytes_copied: u64,
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    store: StoreId,
    number: u64,
    time: Timestamp,
    position: Position,
    segments: u64,
    bytes: u64,
}

impl EventStore {
    /// Copies what is durable into a directory, while others go on reading and writing. The directory is absent or empty, or
    /// holds an earlier backup of this store: then only what has come since is copied.
    ///
    /// `Ok` guarantees that everything which was durable when the call began is in the backup and synced, and that what was
    /// copied was read again and is what was written. Until then the backup before counts, wherever it breaks off.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().expect("a directory");
    /// # let (path, copy) = (directory.path().join("bot.scorebook"), directory.path().join("backup"));
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName, Until, restore};
    /// let store = EventStore::open(&path)?;
    /// let game = StreamName::new("game-1")?;
    /// for number in 1..=3 {
    ///     let event = NewEvent::json("counted", &number)?;
    ///     store.append(&game, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
    ///     assert_eq!(store.backup(&copy)?.info().position().get(), number);
    /// }
    /// let restored = directory.path().join("restored.scorebook");
    /// assert_eq!(restore(&copy, &restored, Until::Everything)?.position().get(), 3);
    /// assert_eq!(EventStore::open(&restored)?.version(&game)?.get(), 3);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the directory holds something else, the backup of another store, or
    ///   one that holds what this store does not have, such as what came after the moment it was restored to. Nothing was
    ///   done.
    /// * [`Locked`](ErrorKind::Locked): somebody else writes to this backup.
    /// * [`Damaged`](ErrorKind::Damaged): a batch does not verify; damage is not copied. The backup before counts.
    /// * [`Full`](ErrorKind::Full), [`Io`](ErrorKind::Io): it broke off. The backup before counts.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn backup(&self, destination: impl AsRef<Path>) -> Result<BackupReport, Error> {
        backup_on(self, &RealDisk::new(destination.as_ref()))
    }
}

/// Reads all of a backup, and says what it holds. Changes nothing.
///
/// # Errors
///
/// * [`StoreNotFound`](ErrorKind::StoreNotFound): the directory holds no backup.
/// * [`Damaged`](ErrorKind::Damaged): something of it is not what was written; the text says what.
/// * [`Io`](ErrorKind::Io).
pub fn verify_backup(path: impl AsRef<Path>) -> Result<BackupInfo, Error> {
    verify_backup_on(&RealDisk::new(path.as_ref()))
}

/// The same on any storage.
pub(crate) fn verify_backup_on(storage: &dyn Storage) -> Result<BackupInfo, Error> {
    let manifest = Manifest::read(storage)?.ok_or_else(|| no_backup(storage))?;
    manifest.segments.iter().try_for_each(|held| read_held(storage, held).map(|_| ()))?;
    Ok(BackupInfo::of(&manifest))
}

/// Takes a backup to any storage.
pub(crate) fn backup_on(store: &EventStore, to: &dyn Storage) -> Result<BackupReport, Error> {
    let span = spans::backup(store.observer());
    let log = store.durable_log()?;
    let act = |error| Error::io(format!("writing the backup in {}", to.describe()), error);
    let before = Manifest::read(to)?;
    check_destination(to, &log, before.as_ref())?;
    to.create_dir(SEGMENTS_DIR).map_err(act)?;
    let _lock = to.try_lock().map_err(act)?.ok_or_else(|| {
        Error::new(ErrorKind::Locked, format!("somebody else writes to the backup in {}", to.describe()))
    })?;
    // IMPORTANT: whoever held the lock may have gone on meanwhile, and the log may have been compacted since it was looked at:
    // what was removed would come back.
    store.look_anew()?;
    let log = store.durable_log()?;
    let before = Manifest::read(to)?;
    check_destination(to, &log, before.as_ref())?;
    before.as_ref().map_or(Ok(()), |before| check_history(store, to, &log, before))?;
    let mut manifest = Manifest {
        number: before.as_ref().map_or(0, |before| before.number) + 1,
        store: log.store,
        time: store.clock(),
        position: before.as_ref().map_or(Position::BEGINNING, |before| before.position),
        epoch: log.epoch,
        segments: Vec::new(),
    };
    let (mut segments_copied, mut bytes_copied) = (0, 0);
    let mut copied = Vec::new();
    for (segment, end) in &log.segments {
        let known = before.iter().flat_map(|before| &before.segments).find(|held| held.is_of(&segment.preamble));
        let copy = match known {
            Some(held) if held.end == *end => None,
            known => Some(copy(segment, *end, known, to)?),
        };
        match copy {
            None => manifest.segments.extend(known.cloned()),
            Some(Copy { held, bytes, position }) => {
                manifest.position = position.unwrap_or(manifest.position).max(manifest.position);
                segments_copied += 1;
                bytes_copied += bytes;
                copied.push(held.clone());
                manifest.segments.push(held);
            }
        }
    }
    to.sync_dir(SEGMENTS_DIR).map_err(act)?;
    copied.iter().try_for_each(|held| read_held(to, held).map(|_| ()))?;
    manifest.write(to).map_err(act)?;
    tidy_up(to, &manifest).map_err(act)?;
    span.record("segments", segments_copied);
    span.record("bytes", bytes_copied);
    store.observer().backed_up(manifest.time);
    Ok(BackupReport { info: BackupInfo::of(&manifest), segments_copied, bytes_copied })
}

/// Fails where a backup of this log must not be written.
pub(super) fn check_destination(to: &dyn Storage, log: &DurableLog, before: Option<&Manifest>) -> Result<(), Error> {
    let refuse = |what: &str| {
        let act = format!("backing up to {}: {what}; nothing was done", to.describe());
        Err(Error::new(ErrorKind::InvalidArgument, act))
    };
    let Some(before) = before else {
        let entries = match to.list("") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| Error::io(format!("looking into {}", to.describe()), error))?,
        };
        // What a first backup has left that broke off.
        let is_own = |name: &str| name == SEGMENTS_DIR || name.starts_with("manifest.") || name == "LOCK";
        return if entries.iter().all(|entry| is_own(&entry.name)) { Ok(()) } else { refuse("it is not empty") };
    };
    let end = log.segments.last().map_or(Place::NONE, |(last, end)| Place { segment: last.sequence(), offset: *end });
    if before.store != log.store {
        refuse("it holds the backup of another store")
    } else if end.segment < before.end().segment {
        refuse("what it holds reaches further than this store")
    } else {
        Ok(())
    }
}

/// Fails where a backup does not hold a beginning of this log: a store that was restored to earlier and has gone on since does
/// not take the place of what was backed up later.
///
/// Where every segment is held no further than it reaches now, it does: nothing of a segment ever changes. Else what was held
/// last must be in the log.
fn check_history(store: &EventStore, to: &dyn Storage, log: &DurableLog, before: &Manifest) -> Result<(), Error> {
    let reaches =
        |held: &&Held| log.segments.iter().any(|(known, end)| held.is_of(&known.preamble) && held.end <= *end);
    if before.segments.iter().all(|held| reaches(&held)) || before.position == Position::BEGINNING {
        return Ok(());
    }
    for held in before.segments.iter().rev() {
        let bytes = read_held(to, held)?;
        let Some(last) = last_event(held, &bytes)? else { continue };
        let is_there = match store.event_at(last.position) {
            Ok(event) => (event.epoch(), event.epoch_bits) == (last.epoch, last.epoch_bits),
            // It was removed since: what was held before it tells.
            Err(error) if error.kind() == ErrorKind::EventNotFound && store.is_removed(last.position)? => continue,
            Err(error) if error.kind() == ErrorKind::EventNotFound => false,
            Err(error) => return Err(error),
        };
        if is_there {
            return Ok(());
        }
        let position = last.position;
        let act = format!(
            "backing up to {}: this store has another history than what it holds, at position {position}; nothing was done",
            to.describe()
        );
        return Err(Error::new(ErrorKind::InvalidArgument, act));
    }
    Ok(())
}

/// A segment that was copied.
struct Copy {
    held: Held,
    bytes: u64,
    /// The last position in what was copied.
    position: Option<Position>,
}

/// Copies a segment up to an end: what is not held yet, and the rest of the piece in which that begins.
fn copy(segment: &Arc<Segment>, end: u32, known: Option<&Held>, to: &dyn Storage) -> Result<Copy, Error> {
    let mut held = Held::new(&segment.preamble, end);
    let act = |error| Error::io(format!("writing {} of the backup in {}", held.path(), to.describe()), error);
    let (file, is_there) = match to.open(&held.path(), Access::ReadWrite) {
        Ok(file) => (file, true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (to.create(&held.path()).map_err(act)?, false),
        Err(error) => return Err(act(error)),
    };
    let known = known.filter(|known| is_there && file.len().is_ok_and(|len| u64::from(known.end) <= len));
    let before = known.map_or(0, |known| known.end.min(end));
    let from = before - before % PIECE as u32;
    // What is copied is verified first, from the last batch on that begins where it does or before.
    let batch = segment.mark_before_offset(from.saturating_add(1)).map_or(FIRST_BATCH, |mark| mark.offset);
    let base = if from == 0 { 0 } else { from.min(batch) };
    let bytes = read(segment, base, end)?;
    let position = last_position(&scanned(&segment.preamble, base, &bytes), batch, end)?;
    let fresh = &bytes[(from - base) as usize..];
    write(&*file, fresh, from).map_err(act)?;
    held.digests.extend(known.iter().flat_map(|known| &known.digests[..(from as usize) / PIECE]));
    held.digests.extend(digests(fresh));
    Ok(Copy { held, bytes: fresh.len() as u64, position })
}

fn read(segment: &Segment, from: u32, to: u32) -> Result<Vec<u8>, Error> {
    let place = Place { segment: segment.sequence(), offset: from };
    let mut bytes = vec![0; (to - from) as usize];
    let read = segment.file().read_at(&mut bytes, from.into());
    let read = read.map_err(|error| Error::io(format!("reading {place}"), error))?;
    if read != bytes.len() {
        let act = format!("reading {place}: the file ends {} bytes too soon", bytes.len() - read);
        return Err(Error::new(ErrorKind::Damaged, act));
    }
    Ok(bytes)
}

fn write(file: &dyn File, bytes: &[u8], from: u32) -> io::Result<()> {
    let mut at = u64::from(from);
    for piece in bytes.chunks(PIECE) {
        file.write_at(piece, at)?;
        at += piece.len() as u64;
    }
    file.sync()
}

/// Removes what the newest manifest does not name: segments that are not part of the log any more.
fn tidy_up(to: &dyn Storage, manifest: &Manifest) -> io::Result<()> {
    let named: Vec<String> = manifest.segments.iter().map(Held::name).collect();
    let mut has_removed = false;
    for entry in to.list(SEGMENTS_DIR)? {
        if entry.name.ends_with(".seg") && !named.contains(&entry.name) {
            remove_segment(to, &entry.name)?;
            has_removed = true;
        }
    }
    if has_removed { to.sync_dir(SEGMENTS_DIR) } else { Ok(()) }
}

impl BackupInfo {
    fn of(manifest: &Manifest) -> BackupInfo {
        BackupInfo {
            store: StoreId(manifest.store),
            number: manifest.number,
            time: manifest.time,
            position: manifest.position,
            segments: manifest.segments.len() as u64,
            bytes: manifest.segments.iter().map(|held| u64::from(held.end)).sum(),
        }
    }

    /// The store it is of.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.store
    }

    /// How often something was backed up here.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When it was taken, by the clock.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The last position in it.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// How many segments it has.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// How many bytes of the log it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl BackupReport {
    /// What the backup holds now.
    #[must_use]
    pub fn info(&self) -> &BackupInfo {
        &self.info
    }

    /// How many segments were copied, whole or in part.
    #[must_use]
    pub fn segments_copied(&self) -> u64 {
        self.segments_copied
    }

    /// How many bytes were copied.
    #[must_use]
    pub fn bytes_copied(&self) -> u64 {
        self.bytes_copied
    }
}

//! A made-up format 2, and stores that are migrated to it.

use super::*;
use crate::ExpectedVersion;
use crate::event::NewEvent;
use crate::format::{BatchView, Fault, RECORD_HEADER_LEN};
use crate::log::Visitor;
use crate::name::StreamName;
use crate::position::Place;
use crate::segment::{FIRST_BATCH, Found, ScannedSegment, decode_start};
use crate::storage::{CrashChoice, SimulatedDisk};
use crate::store::EventStore;

/// Records stand in it one behind the other, without batches: what the store gave them, with the highest digit in front, a mark on
/// the last of each batch, and what the appending thread knew, as it was, under the checksum that it was appended with.
///
/// The first sector says which file it is in 8 bytes each, behind magic, checksum and format, and how many bytes of records follow.
const TO_2: &[Step] = &[Step { from: 1, to: 2, write: write_2 }];

const STAMP: usize = 4 + 40 + 1 + 4;
/// From here on the body checksum of format 1 covers a record.
const COVERED: usize = 44;

fn write_2(old: &Old<'_>) -> Result<Vec<u8>, Error> {
    let damaged = || Error::new(ErrorKind::Damaged, "migrating a segment: it does not verify");
    let preamble = Preamble::decode(old.bytes).map_err(|_| damaged())?;
    let (sequence, size) = (preamble.sequence, preamble.size);
    let scanned = ScannedSegment { bytes: old.bytes, base: 0, salt: preamble.salt(), sequence, size };
    let next = old.next.and_then(|next| decode_start(next, &Preamble::decode(next).ok()?).ok());
    let next = next.map(|begun| begun.start.previous_end).filter(|end| end.segment == sequence);
    let end = next.map_or(u32::MAX, |end| end.offset);
    let mut records = Vec::new();
    let mut offset = FIRST_BATCH;
    while offset < end {
        let batch = match scanned.at(offset) {
            Found::Batch(batch) => batch,
            Found::Blank if next.is_none() => break,
            _ => return Err(damaged()),
        };
        let mut left = batch.header.records;
        for record in batch.records() {
            left -= 1;
            let bytes = record.bytes;
            records.extend_from_slice(&bytes[4..8]);
            for at in [8, 16, 24, 32] {
                records.extend(bytes[at..at + 8].iter().rev());
            }
            records.extend(bytes[40..44].iter().rev());
            records.extend_from_slice(&[0; 4]);
            records.push(u8::from(left == 0));
            records.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            records.extend_from_slice(&bytes[COVERED..]);
        }
        offset = batch.end();
    }
    let mut file = vec![0; PREAMBLE_LEN];
    file[..8].copy_from_slice(b"SCOREBK\n");
    file[12..14].copy_from_slice(&2_u16.to_le_bytes());
    let says = [u64::from(old.number.sequence), u64::from(old.number.generation), records.len() as u64];
    says.iter().enumerate().for_each(|(index, word)| file[16 + index * 8..][..8].copy_from_slice(&word.to_be_bytes()));
    file[40..56].copy_from_slice(&preamble.store);
    file[56..72].copy_from_slice(&old.id);
    let sum = crc32fast::hash(&file[12..]);
    file[8..12].copy_from_slice(&sum.to_le_bytes());
    file.extend_from_slice(&records);
    Ok(file)
}

/// The records of a segment of format 2 as they stood in format 1, without their seals; and which end a batch.
fn read_2(number: FileNumber, file: &[u8]) -> Vec<(Vec<u8>, bool)> {
    assert_eq!(Preamble::format_of(file), Ok(2));
    let word = |index: usize| u64::from_be_bytes(file[16 + index * 8..][..8].try_into().expect("8 bytes"));
    assert_eq!((word(0), word(1)), (number.sequence.into(), number.generation.into()));
    let mut rest = &file[PREAMBLE_LEN..][..word(2) as usize];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_be_bytes(rest[STAMP - 4..STAMP].try_into().expect("4 bytes")) as usize;
        let mut record = rest[..4].to_vec();
        for at in [4, 12, 20, 28] {
            record.extend(rest[at..at + 8].iter().rev());
        }
        record.extend(rest[36..40].iter().rev());
        let known = &rest[STAMP..STAMP + len - COVERED];
        assert_eq!(
            crc32fast::hash(known).to_le_bytes(),
            rest[..4],
            "bodies have the checksums they were appended with"
        );
        record.extend_from_slice(known);
        records.push((record, rest[STAMP - 5] == 1));
        rest = &rest[STAMP + len - COVERED..];
    }
    records
}

/// Every record that counts, in order, without its seal; and which end a batch.
#[derive(Default)]
struct Records(Vec<(Vec<u8>, bool)>);

impl Visitor for Records {
    fn batch(&mut self, _: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        let count = batch.records().count();
        let records =
            batch.records().enumerate().map(|(index, record)| (record.bytes[4..].to_vec(), index + 1 == count));
        self.0.extend(records);
        Ok(())
    }

    fn damaged(&mut self, range: crate::format::Range) {
        panic!("{range:?} is damaged");
    }
}

/// A store of several segments and openings, closed; and its records.
fn written() -> (SimulatedDisk, Vec<(Vec<u8>, bool)>) {
    let disk = SimulatedDisk::new(11);
    let options = EventStore::options().segment_bytes_max(32 * 1024);
    for part in 0..3_u32 {
        let store = options.open_simulated(&disk).expect("it opens");
        for number in 0..20_u32 {
            let stream = StreamName::new(format!("game-{}", number % 3)).expect("a name");
            let of = |text: &str| NewEvent::json("played", &(part, number, text.repeat(300))).expect("JSON");
            let events = [of("ab").tag("player", number), of("c")];
            let appended = store.append(&stream, ExpectedVersion::Any, events).wait();
            appended.map_err(crate::error::AppendError::into_error).expect("a receipt");
        }
        store.close().expect("closing");
    }
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let options = crate::options::Options::default();
    let found = crate::log::open_for_reading(&*storage, &options, None, |_| Records::default()).expect("it is whole");
    assert!(2 < found.segments.len());
    (disk, found.visitor.0)
}

fn plan(disk: &SimulatedDisk, steps: &'static [Step]) -> Result<MigrationPlan, Error> {
    migrate_on(Arc::new(disk.clone()), FORMAT, steps)
}

/// The records of a log that may be of both formats.
fn records(disk: &SimulatedDisk) -> Vec<(Vec<u8>, bool)> {
    let mut all = Vec::new();
    let formats = formats(disk, 2).expect("each says its format");
    let files: Vec<Vec<u8>> = formats.iter().map(|segment| read(disk, segment.number).expect("a file")).collect();
    for (index, segment) in formats.iter().enumerate() {
        let number = FileNumber { generation: 7, ..segment.number };
        match segment.format {
            2 => all.extend(read_2(segment.number, &files[index])),
            _ => {
                let next = files.get(index + 1).map(|next| &**next);
                let old = Old { bytes: &files[index], next, number, id: [3; 16] };
                // One that was made ready holds none.
                let is_begun = Preamble::decode(old.bytes).is_ok_and(|of| decode_start(old.bytes, &of).is_ok());
                if is_begun {
                    all.extend(read_2(number, &write_2(&old).expect("it verifies")));
                }
            }
        }
    }
    all
}

#[test]
fn a_migrated_log_holds_every_record_as_it_was_and_is_refused_by_name_where_its_format_is_not_known() {
    let (disk, before) = written();
    assert!(RECORD_HEADER_LEN < before[0].0.len() && before.iter().any(|(_, is_last)| !is_last));
    let files = disk.contents();
    let planned = plan(&disk, TO_2).expect("it is of format 1");
    assert_eq!((planned.target(), planned.is_empty()), (2, false));
    assert!(planned.segments().iter().all(|segment| segment.format() == 1));
    let bytes = |path: &str| files[path].len() as u64;
    let all: u64 = planned.segments().iter().map(|segment| bytes(&format!("log/{}", segment.name()))).sum();
    assert_eq!((planned.bytes_to_write(), planned.bytes_needed()), (all, 32 * 1024));
    assert_eq!(disk.contents(), files, "planning changes nothing");
    let written = planned.apply().expect("it is done");
    assert_eq!(written, formats(&disk, 2).expect("each says its format").len() as u64);
    assert_eq!(records(&disk), before);
    assert!(plan(&disk, TO_2).expect("it is of format 2").is_empty());
    assert_eq!(plan(&disk, TO_2).expect("it is of format 2").apply().expect("there is nothing to do"), 0);

    let refusals = [
        EventStore::options().open_simulated(&disk).map(drop),
        EventStore::options().open_simulated_read_only(&disk).map(drop),
        crate::inspect::verify_on(&(Arc::new(disk.clone()) as Arc<dyn Storage>)).map(drop),
        crate::inspect::repair_on(Arc::new(disk.clone())).map(drop),
        plan(&disk, STEPS).map(drop),
    ];
    for refusal in refusals {
        let error = refusal.expect_err("format 2 is not known");
        assert_eq!(error.kind(), ErrorKind::TooNew, "{error}");
        assert!(error.to_string().contains("it has format 2, this version knows 1"), "{error}");
    }
}

#[test]
fn wherever_a_migration_is_stopped_nothing_is_missing_and_the_next_one_finishes() {
    let (whole, before) = written();
    let mut mixed = 0;
    for stop in 1.. {
        let disk = whole.crash(&CrashChoice::KeepAll);
        disk.stop_at(stop);
        let done = plan(&disk, TO_2).and_then(MigrationPlan::apply);
        for choice in [CrashChoice::KeepAll, CrashChoice::LoseAll, CrashChoice::Seeded(stop)] {
            let crashed = disk.crash(&choice);
            assert_eq!(records(&crashed), before, "stopped at {stop}, {choice:?}");
            let formats = formats(&crashed, 2).expect("each says its format");
            mixed += u32::from(formats.windows(2).any(|pair| pair[0].format != pair[1].format));
            plan(&crashed, TO_2).and_then(MigrationPlan::apply).unwrap_or_else(|error| panic!("{stop}: {error}"));
            assert_eq!(records(&crashed), before, "gone on behind {stop}, {choice:?}");
            assert!(plan(&crashed, TO_2).expect("a plan").is_empty());
        }
        if !disk.has_stopped() {
            done.expect("nothing was in its way");
            break;
        }
    }
    assert!(3 < mixed, "{mixed}");
}

#[test]
fn a_damaged_store_and_one_that_was_not_closed_are_left_as_they_are() {
    let (whole, _) = written();
    let damaged = whole.crash(&CrashChoice::KeepAll);
    damaged.flip_bit("log/0000000001.log", 9_000, 1);
    let files = damaged.contents();
    let error = plan(&damaged, TO_2).expect("its preambles verify").apply().expect_err("it is damaged");
    assert_eq!((error.kind(), damaged.contents() == files), (ErrorKind::Damaged, true), "{error}");

    let store = EventStore::options().open_simulated(&whole).expect("it opens");
    let stream = StreamName::new("game-1").expect("a name");
    let event = NewEvent::json("played", &1).expect("JSON");
    store
        .append(&stream, ExpectedVersion::Any, [event])
        .wait()
        .map_err(crate::error::AppendError::into_error)
        .expect("one");
    let locked = plan(&whole, TO_2).expect("a plan").apply().expect_err("it is open");
    assert_eq!(locked.kind(), ErrorKind::Locked);
    let killed = whole.kill();
    let error = plan(&killed, TO_2).expect("a plan").apply().expect_err("it was not closed");
    assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains("it was not closed"), "{error}");
}

#[test]
fn a_full_disk_stops_it_and_it_goes_on_where_there_is_room() {
    let (whole, before) = written();
    let used: usize = whole.contents().values().map(Vec::len).sum();
    let full = whole.crash(&CrashChoice::KeepAll);
    full.set_capacity(Some(used as u64 - 20_000));
    let error = plan(&full, TO_2).and_then(MigrationPlan::apply).expect_err("there is no room");
    assert_eq!((error.kind(), records(&full) == before), (ErrorKind::Full, true), "{error}");
    full.set_capacity(None);
    plan(&full, TO_2).and_then(MigrationPlan::apply).expect("there is room");
    assert_eq!(records(&full), before);
}

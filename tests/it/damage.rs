//! Damage: bytes that were acknowledged and are not what they were. The answer is every event, exact, or an error that
//! names a place; never a wrong event, and never silence.
//!
//! Here a sample; every bit, cut and sector is a lane of the proof. What is right is worked out by a second reader of the
//! format, see `tests/model/damage/`.

use crate::model::damage::{Change, Closeness, Edit, Expected, Kind, Plan, Subject, Table, replace_files, try_change};
use crate::model::seed;
use scorebook::testing::SimulatedDisk;
use scorebook::{ErrorKind, EventStore, ExpectedVersion, NewEvent, Options, Position};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn options() -> Options {
    EventStore::options().segment_bytes_max(32 * 1024)
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Makes changes to a subject, on two threads, and counts what came of them. Every so many are looked at in every way,
/// with verifying and salvaging.
fn try_all(subject: &Subject, kind: Kind, changes: &[Change], closely_every: usize) -> Table {
    let (next, table, scratch) = (AtomicUsize::new(0), Mutex::new(Table::default()), scratch());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut found = Table::default();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(change) = changes.get(index) else { break };
                    let directory = scratch.path().join(index.to_string());
                    let is_salvaged = index.is_multiple_of(closely_every * 16);
                    let is_close = index.is_multiple_of(closely_every);
                    let outcome = try_change(subject, change, is_close, is_salvaged.then_some(&directory));
                    if let Some(outcome) = outcome {
                        found.note(kind, subject.name, outcome, || format!("{change}, to `{}`", subject.name));
                    }
                }
                table.lock().expect("nobody panics with it").add(found);
            });
        }
    });
    table.into_inner().expect("nobody panicked with it")
}

/// Nothing was silent and nothing a false alarm.
fn check(table: &Table) {
    assert_eq!(table.violations(), 0, "seed {}:\n{}\n{table}", seed(), table.told().join("\n"));
    assert_ne!(table.tried(), 0, "nothing was tried");
}

/// One bit of each byte of a store, but for all but every 61st of the zeros that wait to be written.
fn flips(subject: &Subject, is_log_only: bool) -> Vec<Change> {
    let count = Kind::BitFlipped.count(subject, is_log_only) / 8;
    let mut changes = Vec::new();
    for byte in 0..count {
        let bit = (byte * 5 + seed()) % 8;
        let change = Kind::BitFlipped.nth(subject, is_log_only, byte * 8 + bit);
        let Some(Edit::Flip(path, at, _)) = change.edits.first() else { continue };
        let file = &subject.files[path];
        let is_among_zeros = file[at.saturating_sub(24)..(at + 24).min(file.len())].iter().all(|byte| *byte == 0);
        if !is_among_zeros || byte % 61 == 0 {
            changes.push(change);
        }
    }
    changes
}

/// All changes of a kind, with `live` as it was or gone.
fn all(kind: Kind, subject: &Subject, is_live_gone: bool) -> Vec<Change> {
    let changes = (0..kind.count(subject, is_live_gone)).map(|number| kind.nth(subject, is_live_gone, number));
    if is_live_gone { without_live(changes) } else { changes.collect() }
}

fn without_live(changes: impl IntoIterator<Item = Change>) -> Vec<Change> {
    let lose = |mut change: Change| {
        change.lose_live();
        change
    };
    changes.into_iter().map(lose).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "the table belongs to the answer of this test")]
fn every_flipped_byte_gives_every_event_or_a_named_refusal() {
    let mut table = Table::default();
    for subject in [Subject::single(seed()), Subject::imported(seed())] {
        let found = try_all(&subject, Kind::BitFlipped, &flips(&subject, false), 16);
        check(&found);
        // With `live` there is always something left that proves what was there.
        assert_eq!(found.residual(), 0, "seed {}: after a clean close\n{found}", seed());
        table.add(found);
        let found = try_all(&subject, Kind::BitFlipped, &without_live(flips(&subject, true)), 16);
        check(&found);
        assert_eq!(found.residual(), 0, "seed {}: after a clean close, without `live`\n{found}", seed());
        table.add(found);
    }
    println!("seed {}\n{table}", seed());
}

#[test]
fn after_an_unclean_end_every_flipped_byte_gives_every_proven_event_or_a_named_refusal() {
    for subject in [Subject::copied(seed()), Subject::torn(seed())] {
        for is_live_gone in [false, true] {
            let changes: Vec<Change> = flips(&subject, is_live_gone).into_iter().step_by(3).collect();
            let changes = if is_live_gone { without_live(changes) } else { changes };
            check(&try_all(&subject, Kind::BitFlipped, &changes, 16));
        }
    }
}

#[test]
fn cuts_zeroed_and_garbled_sectors_give_every_event_or_a_named_refusal() {
    for subject in [Subject::single(seed()), Subject::copied(seed())] {
        for is_live_gone in [false, true] {
            let cuts = all(Kind::FileCut, &subject, is_live_gone).into_iter().step_by(23).collect::<Vec<_>>();
            check(&try_all(&subject, Kind::FileCut, &cuts, 16));
            for kind in [Kind::SectorZeroed, Kind::SectorGarbled] {
                check(&try_all(&subject, kind, &all(kind, &subject, is_live_gone), 16));
            }
        }
    }
}

#[test]
fn a_segment_that_is_missing_doubled_renamed_or_foreign_is_named() {
    let directory = scratch();
    for subject in Subject::all(seed(), directory.path()) {
        for kind in [Kind::SegmentMoved, Kind::FileLost] {
            let changes = [all(kind, &subject, false), all(kind, &subject, true)].concat();
            check(&try_all(&subject, kind, &changes, 4));
        }
    }
}

#[test]
fn moved_records_and_batches_are_noticed() {
    for subject in [Subject::single(seed()), Subject::copied(seed())] {
        for kind in [Kind::RecordMoved, Kind::BatchMoved] {
            let changes = [all(kind, &subject, false), all(kind, &subject, true)].concat();
            check(&try_all(&subject, kind, &changes, 16));
        }
    }
}

#[test]
fn links_and_directories_in_place_of_files_are_not_followed_and_nothing_is_lost() {
    let directory = scratch();
    let subjects = [Subject::killed(seed()), Subject::single(seed())];
    let mut table = Table::default();
    replace_files(&subjects, directory.path(), &mut table);
    check(&table);
    assert_eq!(table.tried(), subjects.iter().map(|subject| subject.files.len() as u64 * 3).sum::<u64>());
}

#[test]
#[expect(clippy::print_stdout, reason = "the table belongs to the answer of this test")]
fn an_even_sample_of_all_changes_is_answered_as_a_second_reader_of_the_format_says() {
    const SAMPLE: u64 = 4_000;
    let directory = scratch();
    let closeness = Closeness { ways_every: 16, salvage_every: 100 };
    let plan = Plan::new(Subject::all(seed(), directory.path()), seed(), closeness, directory.path());
    let tables = std::thread::scope(|scope| {
        let run = |numbers: std::ops::Range<u64>| {
            let mut table = Table::default();
            plan.run(numbers, &mut table);
            table
        };
        let half = scope.spawn(move || run(0..SAMPLE / 2));
        [run(SAMPLE / 2..SAMPLE), half.join().expect("it only counts")]
    });
    let mut table = Table::default();
    tables.into_iter().for_each(|found| table.add(found));
    println!("seed {}, {SAMPLE} of {}\n{table}", seed(), plan.count());
    check(&table);
}

#[test]
fn every_change_there_is_has_its_turn_once() {
    let subject = || vec![Subject::single(seed())];
    let directory = scratch();
    let closeness = Closeness { ways_every: 1, salvage_every: 1 };
    let plan = Plan::new(subject(), seed(), closeness, directory.path());
    // While all kinds take turns, those that are soonest through come by each of theirs.
    let subject = &subject()[0];
    let mut expected: Vec<String> = [all(Kind::FileLost, subject, false), all(Kind::FileLost, subject, true)]
        .concat()
        .iter()
        .map(Change::to_string)
        .collect();
    let kinds = Kind::SINGLE.len() + 1;
    let found = (0..plan.count()).map(|number| plan.change(number)).take(expected.len() * kinds);
    let mut found: Vec<String> =
        found.filter(|(kind, ..)| *kind == Kind::FileLost).map(|(.., change)| change.to_string()).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

/// What the second reader takes to be right, of changes whose meaning is plain.
#[test]
fn what_is_expected_of_a_change_is_what_the_design_says() {
    let closed = Subject::single(seed());
    let killed = Subject::killed(seed());
    let flip = |subject: &Subject, path: &str, at: usize, is_live_gone: bool| {
        let mut change = Change { edits: vec![Edit::Flip(path.to_owned(), at, 0)] };
        if is_live_gone {
            change.lose_live();
        }
        let expected = Expected::of(subject, &change.make(&subject.files));
        (expected.is_damage, expected.silent_from)
    };
    let all = closed.layout.events.len();
    let first = closed.layout.events[0].record.start;
    let path = closed.layout.segments[0].path.clone();
    let end = closed.layout.segments[0].batches.last().expect("a close record").range.clone();
    // An event, the close record, the zeros behind it, a slot of `live`.
    assert_eq!(flip(&closed, &path, first + 70, false), (true, all));
    assert_eq!(flip(&closed, &path, end.start + 60, false), (true, all));
    assert_eq!(flip(&closed, &path, end.end, false), (false, all));
    assert_eq!(flip(&closed, "live", 60, false), (false, all));
    // Nothing proves the close record itself, and nothing is missing without it.
    assert_eq!(flip(&closed, &path, end.start + 60, true), (false, all));
    // What was written last before a kill has no witness yet.
    let last = killed.layout.events.last().expect("events");
    let path = killed.layout.segments[last.segment].path.clone();
    let batch = &killed.layout.segments[last.segment].batches[last.batch];
    for is_live_gone in [false, true] {
        assert_eq!(flip(&killed, &path, batch.range.start + 20, is_live_gone), (false, batch.events.start));
    }
    // What stands in a segment with a successor is proven by that.
    assert!(flip(&killed, &killed.layout.segments[0].path, 700, true).0);
}

#[test]
fn a_segment_of_a_newer_format_is_refused_by_name() {
    for subject in [Subject::single(seed()), Subject::killed(seed())] {
        for segment in &subject.layout.segments {
            let disk = subject.copy();
            let mut newer = subject.files[&segment.path].clone();
            newer[12] = 2;
            let sum = crc32fast::hash(&newer[12..512]).to_le_bytes();
            newer[8..12].copy_from_slice(&sum);
            disk.write_file(&segment.path, &newer);
            let before = disk.contents();
            for opened in [options().open_simulated_read_only(&disk), options().open_simulated(&disk)] {
                let error = opened.expect_err("it is of a newer format");
                assert_eq!(error.kind(), ErrorKind::TooNew, "{error:?}");
                assert!(segment.path.ends_with(error.to_string().split([' ', ':']).nth(1).expect("a name")), "{error}");
            }
            let log = |disk: &std::collections::BTreeMap<String, Vec<u8>>| disk[&segment.path].clone();
            assert!(log(&before) == log(&disk.contents()), "a refused opening changed the log");
        }
    }
}

#[test]
fn a_file_that_nobody_knows_is_left_alone_and_told_of() {
    let disk = Subject::single(seed()).copy();
    disk.write_file("log/notes.txt", b"mine");
    let store = options().open_simulated(&disk).expect("an unknown file is no damage");
    assert!(store.recovery_report().notes().iter().any(|note| note.contains("notes.txt")));
    assert_eq!(disk.read_file("log/notes.txt").as_deref(), Some(&b"mine"[..]));
}

/// Salvages a subject in which one bit is flipped in each of these records.
fn salvage(subject: &Subject, records: &[usize], directory: &Path) -> scorebook::SalvageReport {
    let disk = subject.copy();
    for record in records {
        let event = &subject.layout.events[*record];
        disk.flip_bit(&subject.layout.segments[event.segment].path, event.record.start as u64 + 70, 3);
    }
    crate::model::damage::unpack(&disk.contents(), &directory.join("source"));
    scorebook::salvage(directory.join("source"), directory.join("copy")).expect("a salvage")
}

#[test]
fn salvage_copies_all_that_is_good_and_says_what_is_lost() {
    let subject = Subject::copied(seed());
    let changes: Vec<Change> = (0..subject.layout.events.len())
        .step_by(9)
        .map(|event| {
            let known = &subject.layout.events[event];
            let path = subject.layout.segments[known.segment].path.clone();
            Change { edits: vec![Edit::Flip(path, known.record.start + 70, 3)] }
        })
        .chain(subject.layout.segments.iter().flat_map(|segment| {
            let flip = |at| Edit::Flip(segment.path.clone(), at, 0);
            let cut = |at| Edit::Cut(segment.path.clone(), at);
            [flip(20), flip(530), cut(0), cut(1_500)].map(|edit| Change { edits: vec![edit] })
        }))
        .collect();
    let directory = scratch();
    for (index, change) in
        changes.iter().flat_map(|change| [change.clone(), without_live([change.clone()]).remove(0)]).enumerate()
    {
        let outcome = try_change(&subject, &change, true, Some(&directory.path().join(index.to_string())));
        assert!(matches!(outcome, Some(Ok(_))), "{change}: {outcome:?}");
    }
}

/// A salvage found a loss, and it was accepted. Later a second salvage found another loss, before the place where the
/// acceptance stands: that spoke of the first one only, but covered the second too.
#[test]
fn an_acceptance_does_not_cover_what_a_later_salvage_finds() {
    let directory = scratch();
    let subject = Subject::salvaged(seed(), directory.path());
    let lonely = (subject.streams.iter()).find(|(_, events)| events.len() == 1).expect("a stream of one event");
    let (name, position) = (lonely.0, subject.layout.events[lonely.1[0]].position);
    let accepted = subject.layout.losses.last().expect("a loss").1;
    assert!(position < accepted, "position {position} lies before what was accepted");
    let report = salvage(&subject, lonely.1, directory.path());
    assert!(report.lost().iter().any(|(first, last)| (first.get()..=last.get()).contains(&position)), "{report}");
    let store = options().open(directory.path().join("copy")).expect("what was salvaged opens");
    let append = || store.append(name, ExpectedVersion::Any, [NewEvent::bytes("again", Vec::new())]).wait();
    let error = append().expect_err("its only event is lost").into_error();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error:?}");
    store.accept_losses().expect("accepting");
    append().expect("the loss was accepted");
}

/// A record that is no event was damaged. Nothing was missing, but reading backwards ended there, and forwards where it
/// was the last one of its segment.
#[test]
fn a_damaged_record_that_is_no_event_hides_none() {
    for subject in [Subject::closed(seed(), 300), Subject::torn(seed())] {
        let markers = subject.layout.segments.iter().flat_map(|segment| {
            let is_marker = |batch: &&crate::model::damage::Batch| batch.events.is_empty();
            segment.batches.iter().filter(is_marker).map(|batch| (segment.path.clone(), batch.range.start as u64))
        });
        for (path, at) in markers {
            let disk = subject.copy();
            disk.flip_bit(&path, at + 50, 2);
            check_all_there(&subject, &disk, &format!("byte {at} of {path}"));
        }
    }
}

/// Every event can be read, forwards and backwards, though the log is damaged: but for the end, if nothing says any more
/// that there was nothing behind it.
fn check_all_there(subject: &Subject, disk: &SimulatedDisk, what: &str) {
    let store = options().open_simulated_read_only(disk).expect("reading is possible");
    assert!(!store.recovery_report().damage().is_empty(), "{what}: no damage was found");
    let last = subject.layout.events.last().expect("events").position;
    let all = store.read_all().to(Position::new(last));
    let forwards: Vec<u64> =
        (all.iter()).map(|event| event.unwrap_or_else(|error| panic!("{what}: {error:?}")).position().get()).collect();
    assert!(forwards.iter().copied().eq(1..=last), "{what}: {forwards:?}");
    let backwards = all.backwards().iter().map(|event| event.unwrap_or_else(|error| panic!("{what}: {error:?}")));
    assert!(backwards.map(|event| event.position().get()).eq((1..=last).rev()), "{what}: backwards");
}

/// A segment was cut in the zeros behind its end. Its start record was legible, and nobody looked at it: the end of the
/// segment before it was unknown, and its own events seemed to be of an epoch that had never begun.
#[test]
fn a_cut_segment_is_read_as_far_as_it_goes() {
    let subject = Subject::closed(seed(), 300);
    for segment in subject.layout.segments.iter().filter(|segment| !segment.batches.is_empty()) {
        let disk = subject.copy();
        disk.write_file(&segment.path, &subject.files[&segment.path][..segment.size - 600]);
        check_all_there(&subject, &disk, &segment.path);
    }
}

/// The start record of a segment was damaged, and so was the last batch of the segment before it. The header of the start
/// record still named the end of that one as durable, but was not asked: the batch was taken for a torn tail.
#[test]
fn a_header_without_its_record_is_a_witness_for_the_segment_before() {
    let subject = Subject::closed(seed(), 300);
    let mut counting = subject.layout.segments.iter().filter(|segment| !segment.batches.is_empty());
    let (last, before) = (counting.next_back().expect("segments"), counting.next_back().expect("segments"));
    let batch = before.batches.iter().rfind(|batch| !batch.events.is_empty()).expect("a batch with events");
    let disk = subject.copy();
    disk.flip_bit(&before.path, batch.range.start as u64 + 50, 2);
    // Nothing is left of the last segment but the header of its first batch.
    let mut bytes = subject.files[&last.path].clone();
    bytes[512 + 48..].fill(0);
    disk.write_file(&last.path, &bytes);
    disk.remove_file("live");
    let error = options().open_simulated(&disk).expect_err("what was acknowledged is damaged");
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error:?}");
    let place = format!("byte {} of segment {}", batch.range.start, before.sequence);
    assert!(error.to_string().contains(&place), "{error}");
}

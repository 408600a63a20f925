//! Whether the tests would notice: stores that break a rule on purpose, each caught by the test that is named for it.
//!
//! Needs the feature `mutants`. Every broken store runs in a process of its own: this program again, with the one test.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

const RECEIPT: &str = "crash::a_receipt_is_given_only_for_what_the_disk_has";
const STOPPED: &str = "crash::every_story_stopped_at_every_operation_keeps_what_was_acknowledged";
const TWICE: &str = "crash::a_torn_start_is_survived_twice";
const OPENED: &str = "crash::opening_a_hundred_times_without_appending_leaves_the_log_as_it_was";
const REMAINS: &str = "crash::zeros_random_bytes_and_old_records_behind_the_end_are_no_damage";
const MODEL: &str = "crash::whatever_is_done_to_it_the_store_does_what_the_model_says";

const CONDITIONS: &str = "conditions::every_answer_is_the_one_that_a_look_at_all_admitted_events_gives";

/// The broken stores, and the test that catches each.
const CAUGHT: &[(&str, &str)] = &[
    ("AnswersBeforeWriting", RECEIPT),
    ("AcknowledgesBeforeSyncing", RECEIPT),
    ("StartsBeforeThePredecessorIsSynced", STOPPED),
    ("DoesNotSyncAStart", RECEIPT),
    ("SealsBeforeTheStartIsSynced", STOPPED),
    ("RemovesWhatIsStillNeeded", TWICE),
    ("NeverMovesTheDurableEnd", RECEIPT),
    ("DoesNotLatchASync", RECEIPT),
    ("DoesNotLatchAWrite", RECEIPT),
    ("RetriesASync", RECEIPT),
    ("AnswersAConflictAtOnce", "append::a_conflict_caused_by_a_staged_append_is_answered_only_when_a_read_shows_it"),
    ("LetsTheClockGoBack", RECEIPT),
    ("BeginsNoEpoch", RECEIPT),
    ("DoesNotSyncASession", RECEIPT),
    ("ForgetsTheWatermark", OPENED),
    ("ClosesWithoutACloseRecord", RECEIPT),
    ("StartsBeforeTheCopyIsSynced", TWICE),
    ("TrustsTheOldTail", RECEIPT),
    ("TakesDamageForTheEnd", MODEL),
    ("RefusesWhereItShouldEnd", REMAINS),
    ("DoesNotSyncADirectory", RECEIPT),
    ("DoesNotSyncANewSegment", TWICE),
    ("TrustsABlankSegment", RECEIPT),
    ("TakesAFullDiskForAFailure", RECEIPT),
    ("JudgesByWhatIsVisible", RECEIPT),
    ("OverlooksWhatIsStaged", "conditions::a_batch_is_judged_against_what_is_staged_before_it_and_not_against_itself"),
    ("KeepsNothingForWhoHasLooked", "conditions::what_comes_in_while_a_condition_is_looked_for_is_judged_too"),
    ("ForgetsStagedKeys", "once::while_the_first_is_only_staged_the_others_wait_for_it"),
    ("ComparesNoContent", "once::what_makes_events_the_same_is_what_was_handed_in_but_not_ids_and_times"),
    ("JudgesTheFirstConditionOnly", CONDITIONS),
    ("TakesBehindForFrom", "conditions::behind_a_position_counts_what_lies_behind_it_and_nothing_else"),
    ("LooksOnlyAtTheLastSegment", "conditions::any_match_anywhere_refuses_and_nothing_is_written"),
    ("LetsARefusedAppendComeBack", RECEIPT),
    ("ForgetsWhatIsLetGo", RECEIPT),
    ("SaysNothingInLive", OPENED),
    ("SaysTooMuchInLive", RECEIPT),
    ("ShowsABatchInPart", "read::a_read_never_sees_half_a_batch"),
    ("LeavesTheHeadBehind", RECEIPT),
    ("VerifiesNoBody", STOPPED),
    ("PassesOverDamage", MODEL),
    ("TakesAReadErrorForTheEnd", "unreadable::a_read_error_while_opening_fails_it_once_and_changes_nothing"),
    ("MixesNoPlaceIn", REMAINS),
    ("LocksNothing", "concurrency::a_second_writer_in_this_process_is_refused_and_names_the_owner"),
    ("ReadsBeyondTheFixedEnd", RECEIPT),
    ("EndsAtAReadError", "unreadable::a_sector_that_cannot_be_read_any_more_fails_only_what_needs_it"),
];

/// A broken store that hangs is not caught.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
#[expect(clippy::print_stdout, reason = "the table belongs to the answer of this test")]
fn every_broken_store_is_caught_by_the_test_that_is_named_for_it() {
    let next = AtomicUsize::new(0);
    let survivors: Vec<&str> = thread::scope(|scope| {
        let look = || {
            let mut survivors = Vec::new();
            while let Some((mutant, test)) = CAUGHT.get(next.fetch_add(1, Ordering::Relaxed)) {
                let is_caught = fails(test, mutant);
                println!("{mutant:<36} {} {test}", if is_caught { "caught by" } else { "SURVIVES " });
                if !is_caught {
                    survivors.push(*mutant);
                }
            }
            survivors
        };
        let threads = [scope.spawn(look), scope.spawn(look)];
        threads.into_iter().flat_map(|thread| thread.join().expect("it only looks")).collect()
    });
    assert!(survivors.is_empty(), "{survivors:?} went unnoticed");
}

#[test]
fn every_mutant_there_is_has_its_test() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mutant.rs");
    let source = fs::read_to_string(path).expect("the mutants can be read");
    let (_, rest) = source.split_once("mutants! {").expect("there is a list of mutants");
    let (list, _) = rest.split_once("\n}").expect("the list has an end");
    let mutants: Vec<&str> = list.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    let tested: Vec<&str> = CAUGHT.iter().map(|(mutant, _)| *mutant).collect();
    assert_eq!(mutants, tested);
    assert!(20 <= mutants.len());
}

/// Whether a test fails on a broken store, for a reason of its own.
fn fails(test: &str, mutant: &str) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args([test, "--exact", "--test-threads=1"]).env("SCOREBOOK_MUTANT", mutant).env("RUST_BACKTRACE", "0");
    // It prints little, but what it prints must not fill a pipe that nobody reads.
    let output = tempfile::NamedTempFile::new().expect("a file for what it says");
    let stdout = output.reopen().expect("it can be opened twice");
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let begun = Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        if PATIENCE < begun.elapsed() {
            child.kill().and_then(|()| child.wait().map(drop)).expect("it can be killed");
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let said = fs::read_to_string(output.path()).expect("what it said can be read");
    // A panic while panicking ends the process before it can count: it was caught all the same.
    let is_aborted = !child.wait().expect("it has ended").success() && !said.contains("test result");
    said.contains("running 1 test") && (said.contains("test result: FAILED") || is_aborted)
}

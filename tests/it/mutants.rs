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

const CONSUMING: &str = "consumers::whatever_happens_nothing_is_skipped_nothing_is_twice_and_no_checkpoint_is_ahead";

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
    ("SleepsWithoutASeat", "subscriptions::whoever_waits_is_called_by_what_it_asks_for_and_by_nothing_else"),
    ("SleepsOnWhatCame", "subscriptions::nobody_sleeps_over_an_event_however_it_comes_in_between"),
    ("WakesEverybody", "subscriptions::whoever_waits_is_called_by_what_it_asks_for_and_by_nothing_else"),
    ("BeginsAtThePositionGiven", "subscriptions::events_before_the_start_are_not_given"),
    ("GivesWhatIsOlder", "subscriptions::events_before_the_start_are_not_given"),
    ("GoesOnBehindTheHead", "subscriptions::what_comes_while_history_is_read_is_given_behind_it"),
    ("TellsItIsLevelOnce", "subscriptions::being_caught_up_is_told_once_each_time"),
    ("PassesOverGaps", "subscriptions::positions_that_are_not_held_any_more_are_told_and_nothing_stops"),
    ("GivesWhatIsNotDurable", "subscriptions::what_is_asked_to_be_durable_is_given_only_then"),
    ("SleepsOnWhenClosed", "subscriptions::a_closed_store_ends_subscriptions_and_they_say_so"),
    ("OverlooksASetback", "subscriptions::where_a_store_opens_again_without_what_was_given_the_subscription_ends"),
    ("LetsAnyoneMoveAConsumer", "consumers::of_two_who_move_one_consumer_one_is_told"),
    ("LetsLaterOnesPass", CONSUMING),
    ("HandsOutAKeyTwice", CONSUMING),
    ("KeepsWhatADeadMemberHad", "consumers::what_a_member_had_when_it_left_goes_to_the_others_in_order"),
    ("RetriesForEver", "consumers::what_fails_is_tried_again_after_growing_pauses_and_parked_after_the_last"),
    ("RecordsWhatWasScanned", CONSUMING),
    ("CountsTheAgeAnew", "consumers::the_age_of_a_checkpoint_is_not_counted_anew_with_every_event"),
    ("CommitsWithoutTheCheckpoint", "consumers::killed_anywhere_every_event_has_its_result_exactly_once"),
    (
        "StandsStillWhereNothingMatches",
        "consumers::the_checkpoint_of_a_filtered_consumer_moves_although_nothing_matches",
    ),
    ("ForgetsWhatWasLeft", CONSUMING),
    (
        "ForgetsWhatWasParked",
        "consumers::parked_events_are_kept_over_a_restart_and_handed_out_again_in_order_or_dropped",
    ),
    ("TakesAnotherDefinition", "consumers::a_consumer_that_is_there_is_not_taken_for_another_unless_that_is_said"),
    ("RunsOnWhenPaused", "consumers::a_pause_and_what_was_found_out_last_a_restart"),
    ("ClosesWithoutCheckpoints", "consumers::begun_again_exactly_what_was_not_acknowledged_is_handed_out"),
    ("SavesNoConsumers", "consumers::what_is_known_of_consumers_is_read_from_the_log_where_nothing_else_is_left"),
    (
        "BringsBackWhatIsGone",
        "consumer_mishaps::what_is_said_of_events_of_a_consumer_that_is_gone_does_not_bring_it_back",
    ),
    (
        "GoesOnBehindASetback",
        "consumer_mishaps::where_a_store_opens_again_with_less_no_checkpoint_speaks_of_what_is_gone",
    ),
    (
        "ParksWhatCameBefore",
        "consumer_mishaps::what_comes_before_a_parked_event_in_its_key_is_handed_out_also_after_a_restart_and_when_sent_back",
    ),
    ("CallsNobodyForASync", "consumer_rules::what_is_asked_to_be_durable_is_handed_out_only_then"),
    ("AppendsToWhatIsFinished", "deleting::a_finished_stream_says_so_and_takes_nothing"),
    (
        "ReadsBelowTheFloor",
        "deleting::a_truncated_stream_begins_with_its_first_kept_version_and_less_is_an_error_with_that",
    ),
    ("SavesNoFates", "deleting::a_stream_whose_events_are_lost_goes_on_from_the_version_it_had"),
    ("CompactsWithoutASync", "compaction_crash::wherever_the_power_goes_it_has_happened_or_it_has_not"),
    ("RemovesTheOthersFirst", "compaction_crash::wherever_the_power_goes_it_has_happened_or_it_has_not"),
    ("CompactsWhatIsHeld", "compaction::a_plan_says_what_stays_and_why"),
    ("CompactsWhatIsUnseen", "compaction_beside::what_a_consumer_has_not_seen_stays_and_its_checkpoint_stands"),
    ("CompactsLastEvents", "compaction::what_is_old_goes_but_for_the_last_event_of_a_stream"),
    ("CompactsAgainstThePolicy", "compaction_background::it_compacts_when_the_policy_says_so_and_not_before"),
    ("PlansWithoutNews", "compaction_background::nothing_is_looked_at_twice"),
    ("PlansForEventsOnly", "compaction_background::states_that_another_one_replaced_are_worth_a_compaction"),
    ("TellsOfNoFailedCompaction", "compaction_background::what_fails_is_told_changes_nothing_and_is_tried_again"),
    ("OverlooksWhatWasRemoved", "compaction_beside::a_subscription_is_told_of_what_was_removed"),
    ("TrustsATableFromBefore", "compaction_crash::a_table_that_was_saved_before_counts_for_nothing"),
    ("OverlooksQuotas", "quotas::what_would_come_to_more_is_refused_and_nothing_has_changed"),
    ("CountsWhatIsVisible", "quotas::what_is_on_its_way_in_counts_and_whoever_is_refused_for_it_sees_it"),
    ("GivesNothingBack", "quotas::over_any_history_what_is_used_is_what_the_log_holds"),
    ("ForgetsKeysOnTheWay", "exporting::over_any_history_an_exact_import_gives_the_same_answers_and_exports_the_same"),
    ("ImportsWithoutJudging", "exporting::what_is_forged_or_comes_twice_is_refused_and_leaves_nothing"),
    (
        "ImportsWhatNoHoleExplains",
        "exporting_refused::whatever_is_taken_in_the_log_can_be_read_again_without_what_is_derived_of_it",
    ),
    ("ForgetsDamageThatWasMet", "health::damage_that_a_read_has_met_is_a_concern_from_then_on"),
    ("TellsBeforeItAnswers", "watching_panics::metered::a_recorder_may_append_itself"),
    ("KeepsNoPeak", "health::slow_syncs_are_a_concern_for_as_long_as_somebody_may_look"),
    ("ReachesWhatIsNotFolded", "projections::waiting_for_a_position_returns_after_it_is_folded_in"),
    (
        "ForgetsWhatTheOtherCopyMisses",
        "projections::in_pieces_of_any_size_twice_and_beside_the_old_one_it_is_the_same_state",
    ),
    ("KeepsWhatWasLost", "projections::what_the_store_has_lost_is_in_no_state"),
    ("SavesWhatIsNotDurable", "projections::what_is_saved_is_durable"),
    ("TrustsADamagedState", "projections::a_saved_state_that_is_flipped_or_cut_anywhere_is_no_worse_than_none"),
    ("TrustsAStateAheadOfTheLog", "snapshots::a_snapshot_that_is_ahead_of_the_log_proves_that_something_was_lost"),
    ("TrustsAStateOfAnotherLog", "projections::a_saved_state_of_another_log_is_no_worse_than_none"),
    ("KeepsEveryState", "keyed::no_more_states_are_kept_than_asked_for_however_many_keys_there_are"),
    ("GoesOnWithWhatWasLost", "keyed::what_the_store_has_lost_is_in_no_state_of_a_key"),
    ("AnswersWithWhatIsKept", "keyed::whoever_has_a_receipt_finds_in_the_state_what_it_is_for"),
    ("TakesNoSnapshotForAWitness", "snapshots::a_snapshot_that_is_ahead_of_the_log_proves_that_something_was_lost"),
    ("LetsAnOlderStateReplaceANewer", "snapshots::an_older_state_never_takes_the_place_of_a_newer_one"),
    ("ResumesWhatWasDeleted", "snapshots::what_was_deleted_is_in_no_state_of_what_came_behind"),
    ("CarriesWhatWasDeleted", "carrying::a_state_with_what_was_deleted_is_none_until_that_is_undeleted"),
    ("LosesSightOfAState", "carrying::a_condensed_stream_is_folded_from_the_state_it_begins_with"),
    ("KeepsStatesOfTheFinished", "carrying::a_compaction_keeps_the_states_that_count_and_forgets_the_others"),
    ("TakesAnyStateForItsOwn", "carrying::a_state_of_another_fold_or_schema_is_refused_by_name_or_led_on"),
    (
        "TrustsASnapshotMoreThanTheLog",
        "carrying::snapshots_from_before_count_less_than_what_is_carried_and_later_ones_are_used",
    ),
    (
        "TrustsAStateOfAnotherBeginning",
        "carrying_anew::what_another_state_in_its_place_leaves_out_does_not_come_back_from_memory",
    ),
    ("KeepsNothingAside", "repairing::wherever_it_is_stopped_it_has_happened_or_the_next_one_finishes"),
    ("SwapsWithoutASync", "repairing::wherever_it_is_stopped_it_has_happened_or_the_next_one_finishes"),
    ("ForgetsWhatTheEndLost", "repairing::wherever_it_is_stopped_it_has_happened_or_the_next_one_finishes"),
    (
        "CallsHandlersAsTheyWereAdded",
        "bus::handlers_of_one_event_are_called_by_their_order_and_then_as_they_were_added",
    ),
    ("StopsAtAFailure", "bus::a_handler_that_fails_or_panics_stops_nobody_and_is_told"),
    ("CallsRemovedHandlers", "bus::a_handler_that_was_removed_is_not_called_any_more_also_with_the_event_in_hand"),
    ("SaysHandledWhenItIsRead", "bus::whoever_waits_waits_until_every_handler_has_dealt_with_everything"),
    ("WaitsForLiveHandlersOnly", "bus::whoever_waits_waits_until_every_handler_has_dealt_with_everything"),
    ("WaitsInsideAHandler", "bus::a_handler_that_waits_for_its_own_bus_gets_an_error"),
    (
        "HandlesWhatWasSeenFirst",
        "bus::events_are_handled_in_their_order_whoever_asks_for_them_and_while_handlers_come_and_go",
    ),
    ("KeepsEveryFailure", "bus::of_many_failures_the_last_hundred_are_kept_and_of_long_reasons_the_beginning"),
    ("ClosesBesideAHandlerAtWork", "bus::closing_the_store_waits_for_a_handler_at_work_and_calls_no_other"),
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

//! The rules of each mode, with the sentence that says it; and its statistics.

use super::game::{NOON, Table, check_types, gone, team, types};
use super::game_rules::{DAY_MS, GOLF_RACE, KNOCKOUT, LONGFORM, RACE, TWO_PLAYER, abandoned};
use scorebook::game::EliminationReason::{ForcedElimination, GuessLimit, TimeExpired};
use scorebook::game::*;

// Section 0 and 2.4: two_player.

/// "rounds fixed 5; round end on match; win if average guesses per round ≤ threshold (4); otherwise no winner"
#[test]
fn two_players_win_with_few_guesses_on_average() {
    let play = |misses: [u32; 5]| {
        let mut table = Table::started(TWO_PLAYER, 1);
        for (misses, round) in misses.into_iter().zip(1..) {
            assert_eq!(table.side(team(1)).round(), round);
            table.miss(team(1), misses);
            let events = table.hit(team(1));
            let end = if round == 5 { "game_completed" } else { "round_started" };
            check_types(&events, &["guess_processed", "round_completed", end]);
        }
        table
    };
    for (misses, winners) in
        [([3, 3, 3, 3, 3], vec![team(1)]), ([3, 3, 3, 3, 4], vec![]), ([0, 0, 0, 0, 15], vec![team(1)])]
    {
        let table = play(misses);
        assert_eq!((table.game.phase(), table.game.winners()), (Phase::Completed, &*winners), "{misses:?}");
    }
}

/// "the count rises and counts to limits and averages"
#[test]
fn what_is_given_up_counts_to_the_average() {
    let config = GameConfig::TwoPlayer { rounds_required: 1, success_threshold: 2 };
    for (given_up, winners) in [(1, vec![team(1)]), (2, vec![])] {
        let mut table = Table::started(config, 1);
        (0..given_up).for_each(|_| drop(table.give_up(team(1))));
        table.hit(team(1));
        assert_eq!(table.game.winners(), winners);
    }
}

/// "clock none": only doing nothing for a day ends it.
#[test]
fn two_players_have_time() {
    let mut table = Table::started(TWO_PLAYER, 1);
    assert!(table.pass(DAY_MS - 1).is_empty());
    table.hit(team(1));
}

// Section 0 and 2.4: knockout.

/// "In this order: `guess_limit` at once" on 12 attempts.
#[test]
fn twelve_attempts_and_out() {
    let mut table = Table::started(KNOCKOUT, 3);
    table.miss(team(2), 11);
    let events = table.miss(team(2), 1);
    check_types(&events, &["guess_processed", "team_eliminated"]);
    assert_eq!(gone(&events), [(team(2), GuessLimit)]);
    assert_eq!(table.say_refused(team(2).players()[0], "ocean"), Refusal::TeamEliminated);

    let mut table = Table::started(KNOCKOUT, 3);
    table.miss(team(2), 11);
    check_types(&table.hit(team(2)), &["guess_processed"]);
    let mut table = Table::started(KNOCKOUT, 3);
    table.miss(team(2), 11);
    check_types(&table.give_up(team(2)), &["guess_abandoned", "team_eliminated"]);
}

/// "at round end `time_expired` for all who have not matched; then `forced_elimination`"
#[test]
fn who_has_not_matched_in_time_is_out() {
    let mut table = Table::started(KNOCKOUT, 4);
    table.hit(team(1));
    table.wait(1_000);
    table.miss(team(2), 2);
    table.hit(team(2));
    table.say(team(3).players()[0], "ocean");
    let events = table.pass_to_deadline();
    assert_eq!(gone(&events), [(team(3), TimeExpired), (team(4), TimeExpired), (team(2), ForcedElimination)]);
    // The word that was said is abandoned with reason `timeout`, by nobody, and without a duration.
    let timeout = abandoned(&events);
    assert_eq!((timeout.reason, timeout.abandoning_player_id), (AbandonReason::Timeout, None));
    assert_eq!((timeout.guess_duration, timeout.last_guess.map(|last| last.duration)), (None, Some(1_000)));
    assert_eq!(table.game.winners(), [team(1)]);
    assert_eq!(types(&events).last().map(String::as_str), Some("game_completed"));
}

/// "no team left means no winner"
#[test]
fn nobody_left_is_no_winner() {
    let mut table = Table::started(KNOCKOUT, 2);
    let events = table.pass_to_deadline();
    assert_eq!(gone(&events), [(team(1), TimeExpired), (team(2), TimeExpired)]);
    assert_eq!((table.game.phase(), table.game.winners()), (Phase::Completed, &[][..]));
}

/// "more than 8 left: 3 go, else 1, by highest guess count, ties by the later match, then by the higher team id"
#[test]
fn the_most_guesses_go() {
    let play = |count: u64, misses: &[u32]| {
        let mut table = Table::started(KNOCKOUT, count);
        let mut last = Vec::new();
        for (number, misses) in (1..=count).zip(misses.iter().copied().chain(std::iter::repeat(0))) {
            table.miss(team(number), misses);
            last = table.hit(team(number));
        }
        gone(&last)
    };
    let out = |number| (team(number), ForcedElimination);
    assert_eq!(play(9, &[0, 3, 1, 0, 2, 0, 1]), [out(2), out(5), out(7)], "3 and 7 at one time: the higher id");
    assert_eq!(play(8, &[0, 3, 1, 0, 2, 0, 1]), [out(2)]);
    assert_eq!(play(3, &[1, 1, 0]), [out(2)]);

    // The later match decides before the team id does.
    let mut table = Table::started(KNOCKOUT, 3);
    table.hit(team(3));
    table.hit(team(1));
    table.wait(1);
    let events = table.hit(team(2));
    assert_eq!(gone(&events), [out(2)]);
}

/// "The last team is never eliminated by force."
#[test]
fn the_last_team_is_not_forced_out() {
    let mut table = Table::started(KNOCKOUT, 3);
    table.miss(team(1), 5);
    table.hit(team(1));
    let events = table.pass_to_deadline();
    assert_eq!(gone(&events), [(team(2), TimeExpired), (team(3), TimeExpired)]);
    assert_eq!(table.game.winners(), [team(1)]);
    let mut table = Table::started(KNOCKOUT, 2);
    let events = table.miss(team(2), 12);
    assert_eq!(gone(&events), [(team(2), GuessLimit)]);
    assert_eq!(table.game.winners(), [team(1)], "who is left alone has won");
}

/// "rounds of 300 s"; "next round after 5 s pause"; "round end: all teams matched/failed, or time"
#[test]
fn rounds_of_a_knockout_follow_each_other() {
    let mut table = Table::started(KNOCKOUT, 3);
    assert_eq!(table.game.deadline(), Some((NOON.plus(300_000), Deadline::RoundEnd)));
    table.wait(10_000);
    (1..=2).for_each(|number| drop(table.hit(team(number))));
    assert_eq!(table.say_refused(team(1).players()[0], "ocean"), Refusal::RoundMatched);
    let events = table.hit(team(3));
    check_types(&events, &["guess_processed", "round_completed", "team_eliminated", "knockout_round_completed"]);
    assert_eq!(table.game.deadline(), Some((NOON.plus(15_000), Deadline::NextRound)));
    assert_eq!(table.say_refused(team(1).players()[0], "ocean"), Refusal::RoundNotStarted);
    assert!(table.pass(4_999).is_empty());
    check_types(&table.pass(1), &["knockout_round_started", "round_started"]);
    assert_eq!(table.game.round(), 2);
    assert_eq!(table.side(team(1)).guess_count(), 1);
    assert_eq!(table.game.deadline(), Some((NOON.plus(315_000), Deadline::RoundEnd)));
}

/// A knockout that everybody plays to its end: 12, 9, 6 with 3 out each while more than 8 are left, then one by one.
#[test]
fn a_knockout_goes_down_to_one() {
    let mut table = Table::started(KNOCKOUT, 12);
    let mut left = Vec::new();
    while !table.game.is_over() {
        let playing = table.game.sides().filter(|side| side.out().is_none()).map(Side::team).collect::<Vec<_>>();
        left.push(playing.len());
        playing.into_iter().for_each(|team| drop(table.hit(team)));
        if !table.game.is_over() {
            table.pass(5_000);
        }
    }
    assert_eq!(left, [12, 9, 6, 5, 4, 3, 2]);
    assert_eq!(table.game.winners(), [team(1)]);
}

// Section 0 and 2.4: race and golf race.

/// "1 point per match"; "next round at once after each match"; "most matches; tie → fewest guesses for each match, then several
/// winners"; 180 s.
#[test]
fn most_matches_win_a_race() {
    let play = |rounds: &[&[u32]]| {
        let mut table = Table::started(RACE, rounds.len() as u64);
        for (number, misses) in (1..).zip(rounds) {
            for misses in *misses {
                table.miss(team(number), *misses);
                check_types(&table.hit(team(number)), &["guess_processed", "round_completed", "round_started"]);
            }
        }
        let events = table.pass(180_000);
        check_types(&events, &["race_mode_time_expired", "game_completed"]);
        table.game.winners().to_vec()
    };
    assert_eq!(play(&[&[0], &[5, 5], &[]]), [team(2)]);
    assert_eq!(play(&[&[1, 1], &[0, 1], &[3, 0]]), [team(2)]);
    assert_eq!(play(&[&[1, 1], &[0, 2], &[3, 0]]), [team(1), team(2)]);
    assert_eq!(play(&[&[], &[]]), [], "a race without a match");
}

/// "by guess count: 1→4, 2–4→3, 5–7→2, 8–10→1, ≥11→0, give up→−1"
#[test]
fn golf_gives_points_by_guess_count() {
    let expected = [4, 3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0];
    for (points, misses) in expected.into_iter().zip(0..) {
        let mut table = Table::started(GOLF_RACE, 2);
        table.miss(team(1), misses);
        table.hit(team(1));
        assert_eq!(table.side(team(1)).score(), points, "after {misses} misses");
        table.give_up(team(1));
        assert_eq!(table.side(team(1)).score(), points - 1);
    }
}

/// "most points; ties by fewest guesses for each match, then several winners"
#[test]
fn most_points_win_a_golf_race() {
    let mut table = Table::started(GOLF_RACE, 3);
    table.miss(team(1), 2); // 3 points with 3 guesses
    table.hit(team(1));
    table.miss(team(2), 1); // 3 points with 2 guesses
    table.hit(team(2));
    table.give_up(team(3));
    let events = table.pass(180_000);
    check_types(&events, &["golf_race_time_expired", "game_completed"]);
    assert_eq!(table.game.winners(), [team(2)]);
    let GameEvent::GolfRaceTimeExpired(expired) = &events[0] else { panic!("{:?}", events[0]) };
    assert_eq!(expired.points.values().copied().collect::<Vec<_>>(), [3, 3, -1]);

    let mut table = Table::started(GOLF_RACE, 2);
    table.give_up(team(1));
    table.pass(180_000);
    assert_eq!(table.game.winners(), [], "nobody has matched");
}

/// Teams have rounds of their own in a race.
#[test]
fn rounds_of_a_race_are_the_teams_own() {
    let mut table = Table::started(RACE, 2);
    (0..3).for_each(|_| drop(table.hit(team(2))));
    assert_eq!((table.side(team(1)).round(), table.side(team(2)).round()), (1, 4));
    table.pass(180_000);
    let Some(GameEvent::GameCompleted(of)) = table.events.last() else { panic!("not over") };
    assert_eq!((of.round_number, of.total_rounds, of.game_duration), (4, 5, 180_000));
}

// Section 0: longform.

/// "a day is a round of 24 h. At its end teams without a match go first, unless that is all of them (then nobody goes)"
#[test]
fn who_does_not_match_in_a_day_goes() {
    let mut table = Table::started(LONGFORM, 4);
    table.hit(team(1));
    assert_eq!(table.say_refused(team(1).players()[0], "ocean"), Refusal::RoundMatched, "the day lasts until its end");
    table.miss(team(2), 40);
    table.hit(team(2));
    table.miss(team(3), 2);
    assert_eq!(table.game.deadline(), Some((NOON.plus(DAY_MS), Deadline::DayEnd)));
    let events = table.pass_to_deadline();
    assert_eq!(gone(&events), [(team(3), TimeExpired), (team(4), TimeExpired)]);
    let end: [&str; 3] = ["team_eliminated", "longform_day_ended", "round_started"];
    assert!(types(&events).ends_with(&end.map(str::to_owned)), "{events:?}");
    assert_eq!(table.game.round(), 2);

    table.miss(team(1), 1);
    let events = table.pass_to_deadline();
    assert_eq!(gone(&events), [], "nobody has matched, so nobody goes");
    assert_eq!(table.game.round(), 3);
}

/// "if all matched, the highest count goes, ties by the later match, then the higher team id; one always stays"
#[test]
fn if_all_match_in_a_day_the_highest_count_goes() {
    let mut table = Table::started(LONGFORM, 4);
    let out = |number| (team(number), ForcedElimination);
    table.miss(team(2), 1);
    (1..=4).for_each(|number| drop(table.hit(team(number))));
    assert_eq!(gone(&table.pass_to_deadline()), [out(2)]);
    table.hit(team(4));
    table.hit(team(3));
    table.wait(1);
    table.hit(team(1));
    assert_eq!(gone(&table.pass_to_deadline()), [out(1)]);
    table.hit(team(4));
    table.hit(team(3));
    let events = table.pass_to_deadline();
    assert_eq!(gone(&events), [out(4)]);
    assert_eq!((table.game.phase(), table.game.winners()), (Phase::Completed, &[team(3)][..]));
}

/// "Two days without any guess: cancelled."
#[test]
fn two_quiet_days_end_it() {
    let mut table = Table::started(LONGFORM, 3);
    table.pass_to_deadline();
    table.say(team(1).players()[0], "ocean");
    table.pass_to_deadline();
    table.pass_to_deadline();
    assert_eq!(table.game.round(), 4, "one quiet day is not enough");
    let events = table.pass_to_deadline();
    assert!(matches!(events.last(), Some(GameEvent::GameCancelled(of)) if of.reason == CancelReason::Idle));
}

// 12: the statistics of a finished game.

#[test]
fn statistics_are_of_finished_games() {
    let mut table = Table::started(TWO_PLAYER, 1);
    assert_eq!(GameStats::of(&table.game), None);
    table.miss(team(1), 2);
    table.wait(12_000);
    (0..5).for_each(|_| drop(table.hit(team(1))));
    let stats = GameStats::of(&table.game).expect("it is over");
    assert_eq!((stats.duration_ms, stats.total_guesses, stats.player_count, stats.team_count), (12_000, 7, 2, 1));
    assert_eq!((stats.rounds, &*stats.winners, stats.perfect_rounds[&team(1)]), (5, &[team(1)][..], 4));
    let ModeStats::TwoPlayer { successful, failed, average_guesses, .. } = stats.of_mode else { panic!("{stats:?}") };
    assert_eq!((successful, failed, average_guesses), (5, 2, 1.4));
}

#[test]
fn statistics_are_by_mode() {
    let mut table = Table::started(RACE, 2);
    table.wait(60_000);
    (0..6).for_each(|_| drop(table.hit(team(1))));
    table.pass(120_000);
    let stats = GameStats::of(&table.game).expect("it is over");
    let ModeStats::Race { matches_a_minute, average_match_ms } = stats.of_mode else { panic!("{stats:?}") };
    assert_eq!((matches_a_minute[&team(1)], matches_a_minute[&team(2)]), (2.0, 0.0));
    assert_eq!(average_match_ms.into_iter().collect::<Vec<_>>(), [(team(1), 10_000.0)]);

    let mut table = Table::started(GOLF_RACE, 2);
    table.miss(team(1), 1);
    table.hit(team(1));
    table.give_up(team(1));
    table.hit(team(2));
    table.pass(180_000);
    let stats = GameStats::of(&table.game).expect("it is over");
    let ModeStats::GolfRace { points_a_round, best_round } = stats.of_mode else { panic!("{stats:?}") };
    assert_eq!((points_a_round[&team(1)], points_a_round[&team(2)]), (1.0, 4.0));
    assert_eq!(best_round.map(|(team, round)| (team, round.points, round.guess_count)), Some((team(2), 4, 1)));

    let mut table = Table::started(KNOCKOUT, 3);
    (1..=3).for_each(|number| drop(table.hit(team(number))));
    table.pass(5_000);
    table.pass(300_000);
    let stats = GameStats::of(&table.game).expect("it is over");
    let ModeStats::Knockout { eliminations } = stats.of_mode else { panic!("{stats:?}") };
    let by_round = eliminations.into_values().map(|gone| gone.into_iter().map(|of| of.team).collect());
    assert_eq!(by_round.collect::<Vec<Vec<_>>>(), [vec![team(3)], vec![team(1), team(2)]]);
    assert_eq!((stats.rounds, &*stats.winners), (2, &[][..]));
}

//! What a player would find fair where the rules leave a choice, and the rules at their edges.

use super::game::{NOON, Table, check_types, gone, team, teams, types, word};
use super::game_rules::{DAY_MS, GOLF_RACE, KNOCKOUT, LONGFORM, RACE, TWO_PLAYER};
use scorebook::game::EliminationReason::{ForcedElimination, Forfeit, GuessLimit, TimeExpired};
use scorebook::game::*;

// What is due is due, whoever looks first.

/// "A race of a guess and a deadline: one outcome": nobody loses a race that is over by leaving it, or saves a lost one by
/// having it cancelled.
#[test]
fn what_is_due_comes_before_whoever_leaves() {
    let won = || {
        let mut table = Table::started(RACE, 2);
        table.hit(team(1));
        table.wait(180_000);
        table
    };
    let winner = team(1).players()[0];
    let leave = GameAction::Leave { player: winner, reason: LeaveReason::PlayerQuit };
    let pause = GameAction::Pause { reason: PauseReason::ByPlayers, by: Some(winner) };
    let cancel = |right| GameAction::Cancel { by: winner, right };
    for action in [leave, pause, cancel(CancelRight::Player), cancel(CancelRight::Admin)] {
        let mut table = won();
        check_types(&table.act(action), &["race_mode_time_expired", "game_completed"]);
        assert_eq!(table.game.winners(), [team(1)]);
    }

    // A millisecond earlier, it is lost.
    let mut table = won();
    table.now = Moment::from_millis(table.now.millis() - 1);
    table.leave(winner);
    assert_eq!(table.game.winners(), [team(2)]);
}

/// The same in a knockout: whoever is late is out before anybody leaves, and has left with that.
#[test]
fn whoever_is_late_cannot_leave_any_more() {
    let mut table = Table::started(KNOCKOUT, 3);
    (1..=2).for_each(|number| drop(table.hit(team(number))));
    table.wait(300_000);
    let mut early = table.clone();
    let events = table.leave(team(3).players()[0]);
    assert_eq!(gone(&events), [(team(3), TimeExpired), (team(2), ForcedElimination)]);
    assert!(!types(&events).contains(&"player_left".to_owned()));
    let events = early.leave(team(1).players()[0]);
    assert_eq!(gone(&events), [(team(3), TimeExpired), (team(2), ForcedElimination)]);
    assert_eq!(early.game.winners(), [team(1)], "who matched in time is still in it, and alone");
}

/// And in a longform game, where it takes words for the next day.
#[test]
fn a_day_that_is_over_ends_before_somebody_leaves() {
    let mut table = Table::started(LONGFORM, 4);
    (1..=3).for_each(|number| drop(table.hit(team(number))));
    table.wait(DAY_MS);
    let leave = GameAction::Leave { player: team(1).players()[0], reason: LeaveReason::PlayerQuit };
    assert_eq!(table.try_command(GameCommand::new(table.now, leave)), Err(Refusal::WordsMissing));
    let events = table.leave(team(1).players()[0]);
    assert_eq!(gone(&events), [(team(4), TimeExpired), (team(1), Forfeit)]);
    assert_eq!(table.game.round(), 2);
}

/// A restart looks back to the last event: what fell due while nobody could play is not due.
#[test]
fn nothing_is_due_for_the_time_the_bot_was_away() {
    let mut table = Table::started(KNOCKOUT, 2);
    table.wait(10_000);
    table.say(team(1).players()[0], "ocean");
    table.wait(1_000_000);
    let restart = GameAction::Pause { reason: PauseReason::BotRestart, by: None };
    check_types(&table.act(restart), &["game_paused"]);
    table.act(GameAction::Resume { by: None });
    assert!(table.pass(289_999).is_empty());
    table.say(team(1).players()[1], "ocean");
    assert_eq!(table.game.winners(), [], "290 s later, and in time");
    assert!(table.side(team(1)).has_matched());
}

// Who may end a game for others.

/// "`game_cancelled` reason `by_players`": not by one who is about to lose to others.
#[test]
fn nobody_takes_a_game_from_the_others() {
    let cancel = |by| GameAction::Cancel { by, right: CancelRight::Player };
    let [opener, partner] = team(1).players();
    for config in [KNOCKOUT, RACE, GOLF_RACE, LONGFORM] {
        for mut table in [Table::open(config, &teams(3)), Table::started(config, 3)] {
            for by in [partner, team(2).players()[0]] {
                assert_eq!(table.refused(cancel(by)), Refusal::NotOpener);
            }
            check_types(&table.act(cancel(opener)), &["game_cancelled"]);
        }
    }
    let mut table = Table::open(KNOCKOUT, &teams(1));
    table.act(GameAction::Join { player: 50.into(), team: None });
    assert_eq!(table.refused(cancel(partner)), Refusal::NotOpener, "somebody waits for a partner");
    // Who plays with nobody but the partner takes it from nobody.
    check_types(&Table::started(TWO_PLAYER, 1).act(cancel(partner)), &["game_cancelled"]);
}

// Edges of the modes.

/// "most points": who has matched, and gave up more often, still wins over who never matched: doing nothing wins nothing.
#[test]
fn doing_nothing_does_not_win_a_golf_race() {
    let mut table = Table::started(GOLF_RACE, 2);
    table.hit(team(1));
    (0..5).for_each(|_| drop(table.give_up(team(1))));
    assert_eq!(table.side(team(1)).score(), -1);
    table.pass_to_deadline();
    assert_eq!(table.game.winners(), [team(1)]);
}

/// "ties by fewest guesses for each match, then several winners": three of them, and the fourth has one guess more.
#[test]
fn three_teams_can_win_together() {
    for config in [RACE, GOLF_RACE] {
        let mut table = Table::started(config, 4);
        for number in 1..=4 {
            table.miss(team(number), if number == 4 { 2 } else { 1 });
            table.hit(team(number));
        }
        table.pass_to_deadline();
        assert_eq!(table.game.winners(), [team(1), team(2), team(3)]);
    }
}

/// Guesses for each match, and not guesses: 3 matches with 6 guesses are as good as 1 with 2, if the points are the same.
#[test]
fn guesses_are_counted_for_each_match() {
    let mut table = Table::started(GOLF_RACE, 3);
    // 3 and 0 points with 2 and 11 guesses; 3 points with 3 guesses; 3 points with 4.
    for (number, rounds) in [(1, &[1, 10][..]), (2, &[2]), (3, &[3])] {
        for misses in rounds {
            table.miss(team(number), *misses);
            table.hit(team(number));
        }
    }
    let scores = table.game.sides().map(Side::score).collect::<Vec<_>>();
    assert_eq!(scores, [3, 3, 3]);
    table.pass_to_deadline();
    assert_eq!(table.game.winners(), [team(2)]);
}

/// "the round goes on with a new pair, the count rises and counts to limits": the twelfth attempt given up is the last.
#[test]
fn the_twelfth_attempt_given_up_is_the_last() {
    let mut table = Table::started(KNOCKOUT, 3);
    (0..11).for_each(|_| check_types(&table.give_up(team(1)), &["guess_abandoned", "words_dealt"]));
    let events = table.give_up(team(1));
    check_types(&events, &["guess_abandoned", "team_eliminated"]);
    assert_eq!(gone(&events), [(team(1), GuessLimit)]);
    let elimination = table.game.eliminations()[0];
    assert_eq!((elimination.guess_count, elimination.round_number), (12, 1));
}

/// "no team left means no winner": also if the last two go at one time, with others who went before.
#[test]
fn everybody_may_be_out_at_once() {
    let mut table = Table::started(KNOCKOUT, 12);
    table.miss(team(5), 12);
    table.leave(team(6).players()[0]);
    let events = table.pass_to_deadline();
    assert_eq!(gone(&events).len(), 10);
    assert!(gone(&events).iter().all(|(_, reason)| *reason == TimeExpired));
    assert_eq!((table.game.phase(), table.game.winners()), (Phase::Completed, &[][..]));
    let GameEvent::KnockoutRoundCompleted(of) = &events[events.len() - 2] else { panic!("{events:?}") };
    let expected = |number| match number {
        5 => GuessLimit,
        6 => Forfeit,
        _ => TimeExpired,
    };
    assert_eq!(of.eliminated_teams.len(), 12, "all that went in the round");
    assert!((1..=12).all(|number| {
        of.eliminated_teams.iter().any(|gone| gone.team_id == team(number) && gone.reason == expected(number))
    }));
}

/// "(more than 8 left: 3 go, else 1)": left are those who have not gone in this round, so 9 that start may be 8 at its end.
#[test]
fn a_crowd_is_counted_at_the_end_of_the_round() {
    let mut table = Table::started(KNOCKOUT, 9);
    table.leave(team(9).players()[0]);
    let mut last = Vec::new();
    (1..=8).for_each(|number| last = table.hit(team(number)));
    assert_eq!(gone(&last), [(team(8), ForcedElimination)]);
}

/// "`forfeit` any time": between two rounds there is no attempt to abandon, and in a pause as well.
#[test]
fn a_team_may_leave_at_any_time() {
    let mut table = Table::started(KNOCKOUT, 4);
    (1..=4).for_each(|number| drop(table.hit(team(number))));
    assert_eq!(table.game.phase(), Phase::BetweenRounds);
    check_types(&table.leave(team(1).players()[0]), &["player_left", "team_eliminated"]);
    check_types(&table.pass(5_000), &["knockout_round_started", "round_started"]);
    table.act(GameAction::Pause { reason: PauseReason::ByAdmin, by: None });
    let events = table.leave(team(2).players()[0]);
    check_types(
        &events,
        &[
            "guess_abandoned",
            "player_left",
            "team_eliminated",
            "round_completed",
            "knockout_round_completed",
            "game_completed",
        ],
    );
    assert_eq!(table.game.winners(), [team(3)]);

    let mut table = Table::started(KNOCKOUT, 3);
    (1..=3).for_each(|number| drop(table.hit(team(number))));
    let events = table.leave(team(1).players()[0]);
    check_types(&events, &["player_left", "team_eliminated", "game_completed"]);
    assert_eq!(table.game.winners(), [team(2)]);
}

/// "Two days without any guess": giving up is playing, a word that waited is as well; leaving is not.
#[test]
fn who_gives_up_plays() {
    let mut table = Table::started(LONGFORM, 5);
    for number in 1..=3 {
        table.give_up(team(number));
        table.pass_to_deadline();
    }
    assert_eq!((table.game.round(), table.game.phase()), (4, Phase::InRound));
    table.pass_to_deadline();
    table.leave(team(5).players()[0]);
    let events = table.pass_to_deadline();
    assert!(matches!(events.last(), Some(GameEvent::GameCancelled(of)) if of.reason == CancelReason::Idle));
}

/// "win: average guesses per round ≤ threshold": exactly met is met, with what was given up in it.
#[test]
fn a_threshold_that_is_met_exactly_is_met() {
    let config = GameConfig::TwoPlayer { rounds_required: 2, success_threshold: 3 };
    for (given_up, winners) in [(1, vec![team(1)]), (2, vec![])] {
        let mut table = Table::started(config, 1);
        table.miss(team(1), 3);
        table.hit(team(1));
        (0..given_up).for_each(|_| drop(table.give_up(team(1))));
        table.hit(team(1));
        assert_eq!(table.game.winners(), winners, "{given_up} given up");
    }
}

/// "1 again in every new round": what was dealt in the last one may be said again, in every mode.
#[test]
fn a_round_forgets_the_words_of_the_last() {
    let mut table = Table::started(RACE, 2);
    let dealt = table.side(team(1)).words().cloned().expect("a pair");
    table.give_up(team(1));
    check_types(&table.say(team(1).players()[0], dealt.0.as_str()), &["guess_started"]);
}

/// "no event for 24 h": a pause is none, and its time does not count.
#[test]
fn a_pause_does_not_keep_a_game_awake() {
    let mut table = Table::started(TWO_PLAYER, 1);
    table.wait(DAY_MS - 10);
    table.act(GameAction::Pause { reason: PauseReason::ByAdmin, by: None });
    table.wait(5 * DAY_MS);
    table.act(GameAction::Resume { by: None });
    assert!(table.pass(9).is_empty());
    check_types(&table.pass(1), &["game_cancelled"]);
}

/// "deadlines move by its length": by that of every pause, and the breath between two rounds as well.
#[test]
fn pauses_add_up() {
    let mut table = Table::started(KNOCKOUT, 3);
    for _ in 0..3 {
        table.act(GameAction::Pause { reason: PauseReason::ByAdmin, by: None });
        table.wait(7_000);
        table.act(GameAction::Resume { by: None });
    }
    assert_eq!(table.game.deadline(), Some((NOON.plus(321_000), Deadline::RoundEnd)));
    (1..=3).for_each(|number| drop(table.hit(team(number))));
    table.wait(4_999);
    table.act(GameAction::Pause { reason: PauseReason::ByAdmin, by: None });
    assert!(table.pass(DAY_MS).is_empty());
    table.act(GameAction::Resume { by: None });
    assert!(table.pass(0).is_empty());
    check_types(&table.pass(1), &["knockout_round_started", "round_started"]);
}

/// "that pair aside, a killed and resumed game has the state of an uninterrupted one": after every event of a game of every
/// mode, whatever phase it is in.
#[test]
fn a_game_can_be_killed_after_every_event() {
    let mut kills = 0;
    for config in [TWO_PLAYER, KNOCKOUT, RACE, GOLF_RACE, LONGFORM] {
        let count = (*config.mode().teams().start() as u64).max(2).min(*config.mode().teams().end() as u64);
        let play = |table: &mut Table, step: usize| {
            let team = team(1 + step as u64 % count);
            table.wait(3_000);
            let side = table.side(team);
            let (is_open, is_pending) = (side.words().is_some(), side.pending().is_some());
            match step % 5 {
                _ if table.game.is_over() => {}
                _ if !is_open => drop(table.pass_to_deadline()),
                _ if is_pending => {
                    drop(table.say(team.players()[1], if step.is_multiple_of(2) { "ocean" } else { "desert" }))
                }
                0 => drop(table.miss(team, 1)),
                1 => drop(table.give_up(team)),
                2 => drop(table.hit(team)),
                _ => drop(table.say(team.players()[0], "ocean")),
            }
        };
        for killed in 0..24 {
            let (mut straight, mut resumed) = (Table::started(config, count), Table::started(config, count));
            for step in 0..24 {
                let happened = resumed.events.len();
                play(&mut straight, step);
                play(&mut resumed, step);
                // What passed since the last event is lost with the bot, so it is killed right behind one.
                if step == killed && resumed.game.is_played() && happened < resumed.events.len() {
                    resumed.wait(40_000);
                    for action in [
                        GameAction::Pause { reason: PauseReason::BotRestart, by: None },
                        GameAction::Resume { by: None },
                    ] {
                        let command = GameCommand::new(resumed.now, action);
                        resumed.try_command(command).expect("it is played");
                        resumed.wait(123_456);
                    }
                    resumed.now = Moment::from_millis(resumed.now.millis() - 123_456);
                    kills += 1;
                }
                assert!(resumed.game.is_same_play(&straight.game), "{config:?}, killed at {killed}, step {step}");
                let due = |table: &Table| table.game.deadline().map(|(due, what)| (due.since(table.now), what));
                assert_eq!(due(&resumed), due(&straight));
            }
        }
    }
    assert!(50 < kills, "only {kills} kills");
}

// What a game can be asked at odd moments.

/// "both only before the start": what was set belongs to the mode, and goes with it.
#[test]
fn another_mode_comes_with_what_is_usual_there() {
    let config = GameConfig::Race { time_limit_ms: 60_000 };
    let mut table = Table::open(config, &teams(2));
    let by = team(1).players()[0];
    let [GameEvent::GameCreated(created), GameEvent::GameConfigured(set)] = &table.events[..] else { panic!() };
    assert_eq!((created.base.mode, set.config, set.config_version), (Mode::Race, config, 1));
    for mode in [Mode::GolfRace, Mode::Race] {
        let events = table.act(GameAction::ChangeMode { by, mode });
        let [GameEvent::GameModeChanged(of)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((of.base.mode, of.to, of.by), (mode, mode, by));
        assert_eq!(*table.game.config(), GameConfig::of(mode));
    }
    let GameEvent::GameConfigured(of) = &table.act(GameAction::Configure { by, config })[0] else { panic!() };
    assert_eq!(of.config_version, 2, "how often something was set");
    table.start();
    assert_eq!(table.game.deadline(), Some((NOON.plus(60_000), Deadline::RaceEnd)));
}

/// A game that is open waits for players, and its opener is not one unless they join.
#[test]
fn who_opens_a_game_need_not_play() {
    let mut table = Table::new();
    let create = GameAction::Create { guild: super::game::guild(), by: 1.into(), config: RACE, teams: teams(2) };
    table.act(create);
    assert_eq!(table.game.players().len(), 4);
    assert_eq!(table.refused(GameAction::Start { by: 2.into() }), Refusal::PlayerNotInGame(2.into()));
    table.act(GameAction::Start { by: 1.into() });
    assert_eq!(table.say_refused(1.into(), "ocean"), Refusal::PlayerNotInGame(1.into()));
}

/// "letters" that nobody sees are none, in words and in names.
#[test]
fn what_cannot_be_seen_is_neither_a_word_nor_a_name() {
    for blank in ['\u{3164}', '\u{115f}', '\u{1160}', '\u{ffa0}', '\u{ad}', '\u{34f}', '\u{2800}'] {
        let text = blank.to_string().repeat(4);
        assert_eq!(Word::new(&text), Err(WordFault::Strange(blank)));
        assert_eq!(Word::new(&format!("ca{blank}t")), Err(WordFault::Strange(blank)));
        let stream = team(1).stream(super::game::guild());
        let by = team(1).players()[0];
        for name in [text.clone(), format!("Ow{blank}ls")] {
            let create = TeamAction::Create { by, name: Some(name) };
            let refused = <Team as scorebook::Aggregate>::new(&stream);
            let refused = scorebook::Aggregate::decide(&refused, &TeamCommand::new(NOON, create));
            assert_eq!(refused, Err(Refusal::InvalidNameFormat));
        }
    }
    assert_eq!(word("naïve").as_str(), "naïve");
}

/// A race in which everybody left at once took no time.
#[test]
fn a_race_that_took_no_time_has_finite_numbers() {
    let mut table = Table::started(RACE, 2);
    (0..20).for_each(|_| drop(table.hit(team(1))));
    table.leave(team(2).players()[0]);
    let stats = GameStats::of(&table.game).expect("it is over");
    let ModeStats::Race { matches_a_minute, .. } = stats.of_mode else { panic!("{stats:?}") };
    assert_eq!(matches_a_minute[&team(1)], 0.0);
}

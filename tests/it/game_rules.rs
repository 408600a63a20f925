//! The rules of all modes, each with the sentence that says it.

use super::game::{Answer, NOON, Table, check_types, gone, guild, team, teams, types, word};
use scorebook::game::EliminationReason::{ForcedElimination, Forfeit};
use scorebook::game::*;

pub(crate) const TWO_PLAYER: GameConfig = GameConfig::TwoPlayer { rounds_required: 5, success_threshold: 4 };
pub(crate) const KNOCKOUT: GameConfig = GameConfig::Knockout { round_ms: 300_000, elimination_guess_limit: 12 };
pub(crate) const RACE: GameConfig = GameConfig::Race { time_limit_ms: 180_000 };
pub(crate) const GOLF_RACE: GameConfig = GameConfig::GolfRace { time_limit_ms: 180_000 };
pub(crate) const LONGFORM: GameConfig = GameConfig::Longform { day_ms: DAY_MS };
const ALL: [(GameConfig, u64); 5] = [(TWO_PLAYER, 1), (KNOCKOUT, 3), (RACE, 3), (GOLF_RACE, 3), (LONGFORM, 4)];

const HOUR_MS: u64 = 60 * 60 * 1_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

fn guessed(events: &[GameEvent]) -> GuessProcessed {
    let guess = events.iter().find_map(|event| match event {
        GameEvent::GuessProcessed(of) => Some(of.clone()),
        _ => None,
    });
    guess.expect("two words were compared")
}

/// The attempt that was abandoned in these events.
pub(crate) fn abandoned(events: &[GameEvent]) -> GuessAbandoned {
    let abandoned = events.iter().find_map(|event| match event {
        GameEvent::GuessAbandoned(of) => Some(of.clone()),
        _ => None,
    });
    abandoned.expect("an attempt was abandoned")
}

/// The pairs that begin rounds in these events.
fn begun(events: &[GameEvent]) -> Vec<(TeamId, u32, WordPair)> {
    let rounds = events.iter().filter_map(|event| match event {
        GameEvent::RoundStarted(of) => Some(of),
        _ => None,
    });
    let pairs = rounds.flat_map(|of| {
        of.team_states.iter().map(|(team, state)| (*team, of.round_number, state.words.clone())).collect::<Vec<_>>()
    });
    pairs.collect()
}

// Section 0: modes, teams, counts.

/// "all five: two_player, knockout, race, golf_race, longform", with what is usual there: 5 rounds and a threshold of 4;
/// 300 s and 12 attempts; 180 s; 180 s; 24 h.
#[test]
fn there_are_five_modes() {
    assert_eq!(Mode::ALL.map(Mode::name), ["two_player", "knockout", "race", "golf_race", "longform"]);
    for (config, _) in ALL {
        assert_eq!(GameConfig::of(config.mode()), config);
        assert_eq!(Mode::named(config.mode().name()), Some(config.mode()));
    }
}

/// "two_player has 1 team, longform at least 3, the others at least 2, at most 12"
#[test]
fn a_mode_takes_so_many_teams() {
    let starts = |config, count| {
        let mut table = Table::open(config, &teams(count));
        table.try_act(GameAction::Start { by: 3.into() }).map(|_| ())
    };
    for (config, least, most) in
        [(TWO_PLAYER, 1, 1), (KNOCKOUT, 2, 12), (RACE, 2, 12), (GOLF_RACE, 2, 12), (LONGFORM, 3, 12)]
    {
        let mode = config.mode();
        let few = Refusal::InvalidTeamCount { teams: least - 1, mode };
        if 1 < least {
            assert_eq!(starts(config, least as u64 - 1), Err(few));
        }
        assert_eq!(starts(config, least as u64), Ok(()));
        assert_eq!(starts(config, most), Ok(()));
        let create = GameAction::Create { guild: guild(), by: 1.into(), config, teams: teams(most + 1) };
        assert_eq!(Table::new().refused(create), Refusal::TooManyTeams);
    }
}

/// "exactly 2 players, a player in one team of a game"
#[test]
fn a_player_is_in_one_team_of_a_game() {
    let (one, other) = (team(1), TeamId::of(3.into(), 9.into()).expect("two"));
    let create = GameAction::Create { guild: guild(), by: 1.into(), config: KNOCKOUT, teams: vec![one, other] };
    assert_eq!(Table::new().refused(create), Refusal::AlreadyJoined(3.into()));

    let mut table = Table::open(KNOCKOUT, &[one]);
    let join = |player: u64, team| GameAction::Join { player: player.into(), team };
    assert_eq!(table.refused(join(9, Some(other))), Refusal::AlreadyJoined(3.into()));
    assert_eq!(table.refused(join(4, None)), Refusal::AlreadyJoined(4.into()));
    assert_eq!(table.refused(join(8, Some(team(9)))), Refusal::NotTeamMember);
}

/// A player who comes alone is teamed with the one who waits; "each team must have exactly 2 players".
#[test]
fn who_comes_alone_is_teamed_with_who_waits() {
    let mut table = Table::open(KNOCKOUT, &[team(1)]);
    let join = |player: u64| GameAction::Join { player: player.into(), team: None };
    check_types(&table.act(join(20)), &["player_joined"]);
    assert_eq!(table.game.waiting(), Some(20.into()));
    assert_eq!(table.refused(GameAction::Start { by: 20.into() }), Refusal::TeamIncomplete(20.into()));
    assert_eq!(table.refused(join(20)), Refusal::AlreadyJoined(20.into()));
    table.act(join(10));
    assert_eq!(table.game.team_of(20.into()), TeamId::of(10.into(), 20.into()));
    assert_eq!(table.game.waiting(), None);
    table.start();
}

/// "two joins to the last place": one of them gets it.
#[test]
fn the_last_place_is_given_once() {
    let mut table = Table::open(TWO_PLAYER, &[]);
    let join = |player: u64| GameAction::Join { player: player.into(), team: None };
    table.act(join(1));
    assert_eq!(table.refused(GameAction::Join { player: 7.into(), team: Some(team(3)) }), Refusal::TooManyTeams);
    table.act(join(2));
    assert_eq!(table.refused(join(3)), Refusal::TooManyTeams);

    let mut table = Table::open(RACE, &teams(11));
    check_types(&table.act(GameAction::Join { player: 41.into(), team: Some(team(20)) }), &["player_joined"; 2]);
    assert_eq!(table.refused(GameAction::Join { player: 43.into(), team: Some(team(21)) }), Refusal::TooManyTeams);
}

/// "the ordinal of this attempt in the team's round, from 1; 1 again in every new round"
#[test]
fn the_guess_count_is_the_ordinal_of_the_attempt() {
    for (config, count) in ALL {
        let mut table = Table::started(config, count);
        for ordinal in 1..=3 {
            let guess = guessed(&table.miss(team(1), 1));
            assert_eq!((guess.guess_count, guess.round_guess_count, guess.total_guesses), (ordinal, ordinal, ordinal));
        }
        let guess = guessed(&table.hit(team(1)));
        assert_eq!((guess.guess_count, guess.total_guesses), (4, 4), "match after three failed attempts");
    }
    let mut table = Table::started(TWO_PLAYER, 1);
    table.miss(team(1), 2);
    table.hit(team(1));
    let guess = guessed(&table.miss(team(1), 1));
    assert_eq!((guess.round_number, guess.guess_count, guess.total_guesses), (2, 1, 4));
}

/// "decided by an injected judge and stored in the event; replay never judges again"
#[test]
fn what_the_judge_said_is_what_holds() {
    struct Contrary;
    impl Judge for Contrary {
        fn judge(&self, first: &Word, second: &Word) -> Outcome {
            if first.is_same(second) { Outcome::Miss } else { Outcome::Match }
        }
    }
    let mut table = Table::started(TWO_PLAYER, 1);
    let [alice, bob] = team(1).players();
    table.say(alice, "ocean");
    let GameAction::Guess { player, channel, word: text, check, .. } = table.guess(bob, "desert") else { panic!() };
    let verdict = Some(Verdict::of(&Contrary, &word("ocean"), &word("desert")));
    let guess = guessed(&table.act(GameAction::Guess { player, channel, word: text, check, verdict }));
    assert!(guess.guess_successful);
    let mut again = Table::new();
    table.events.iter().for_each(|event| again.apply(event));
    assert_eq!(again.game, table.game);
    assert_eq!(again.side(team(1)).matches(), 1);
}

/// A verdict on other words is none: the partner was faster, or said something else meanwhile.
#[test]
fn a_verdict_holds_for_its_words_only() {
    let mut table = Table::started(TWO_PLAYER, 1);
    let [alice, bob] = team(1).players();
    table.say(alice, "ocean");
    let guess = |verdict| {
        let check = WordCheck::Valid;
        GameAction::Guess { player: bob, channel: 1.into(), word: "ocean".to_owned(), check, verdict }
    };
    assert_eq!(table.refused(guess(None)), Refusal::VerdictMissing);
    let stale = Verdict::of(&super::game::SameWord, &word("beach"), &word("ocean"));
    assert_eq!(table.refused(guess(Some(stale))), Refusal::VerdictMissing);
}

/// "match_score: 1 on a match, absent otherwise"
#[test]
fn a_match_scores_one() {
    let mut table = Table::started(RACE, 2);
    assert_eq!(guessed(&table.miss(team(1), 1)).match_score, None);
    assert_eq!(guessed(&table.hit(team(1))).match_score, Some(1));
}

/// "milliseconds, everywhere; a guess's since the round began": "guess_duration = max(player1_duration, player2_duration)"
#[test]
fn durations_are_milliseconds_since_the_round_began() {
    let mut table = Table::started(TWO_PLAYER, 1);
    let [alice, bob] = team(1).players();
    table.wait(700);
    table.say(bob, "ocean");
    table.wait(1_300);
    let guess = guessed(&table.say(alice, "desert"));
    let durations = (guess.player1_duration, guess.player2_duration, guess.guess_duration);
    assert_eq!(durations, (Some(2_000), Some(700), 2_000));
    table.wait(500);
    let guess = guessed(&table.miss(team(1), 1));
    assert_eq!(guess.guess_duration, 2_500, "since the round began, not since the previous guess");
}

// Section 0: giving up.

/// "the word `give up`: `guess_abandoned` with reason `gave_up`, never `guess_processed`. two_player, knockout, longform: the
/// round goes on with a new pair, the count rises and counts to limits and averages"
#[test]
fn giving_up_goes_on_with_a_new_pair() {
    for (config, count) in [(TWO_PLAYER, 1), (KNOCKOUT, 2), (LONGFORM, 3)] {
        let mut table = Table::started(config, count);
        let words = table.side(team(1)).words().cloned();
        table.wait(900);
        let events = table.say(team(1).players()[1], " Give  UP ");
        check_types(&events, &["guess_abandoned", "words_dealt"]);
        let given_up = abandoned(&events);
        assert_eq!(given_up.reason, AbandonReason::GaveUp);
        assert_eq!((given_up.guess_count, given_up.total_guesses, given_up.guess_duration), (1, 1, Some(900)));
        assert_eq!(given_up.abandoning_player_id, Some(team(1).players()[1]));
        let side = table.side(team(1));
        assert_eq!((side.round(), side.guess_count(), side.total_guesses()), (1, 2, 1));
        assert_ne!(side.words().cloned(), words);
        let GameEvent::WordsDealt(dealt) = &events[1] else { panic!("{:?}", events[1]) };
        assert_eq!((Some(&dealt.words), dealt.guess_count), (side.words(), 2));
    }
}

/// "race, golf_race: the team's round ends (golf −1) and the next starts at 1"
#[test]
fn giving_up_in_a_race_ends_the_round() {
    for (config, points) in [(RACE, 0), (GOLF_RACE, -1)] {
        let mut table = Table::started(config, 2);
        table.miss(team(1), 2);
        let events = table.give_up(team(1));
        check_types(&events, &["guess_abandoned", "round_completed", "round_started"]);
        let side = table.side(team(1));
        assert_eq!((side.round(), side.guess_count(), side.score()), (2, 1, points));
        assert_eq!((side.matches(), side.total_guesses()), (0, 3));
        assert_eq!(table.side(team(2)).round(), 1, "the others go on");
    }
}

/// "durations absent for a player who did not answer (give up, timeout)": the word that waited is kept with its own.
#[test]
fn a_word_that_waited_is_kept_when_the_partner_gives_up() {
    let mut table = Table::started(TWO_PLAYER, 1);
    let [alice, bob] = team(1).players();
    table.wait(400);
    table.say(alice, "ocean");
    table.wait(100);
    let given_up = abandoned(&table.say(bob, "give up"));
    assert_eq!(given_up.last_guess, Some(LastGuess { player_id: alice, word: word("ocean"), duration: 400 }));
    assert_eq!(given_up.guess_duration, Some(500));
    assert_eq!(table.side(team(1)).pending(), None);
}

// Section 0: words.

/// "the pair dealt to a team is in the event that starts the round and in `words_dealt` when a pair is dealt without a round;
/// after an ordinary miss the two guessed words are the next pair and nothing is dealt"
#[test]
fn the_words_of_a_round_are_in_the_events() {
    for (config, count) in ALL {
        let mut table = Table::open(config, &teams(count));
        let events = table.start();
        let begun = begun(&events);
        assert_eq!(begun.len() as u64, count);
        for (team, round, words) in begun {
            assert_eq!((round, Some(&words)), (1, table.side(team).words()));
        }
        let [alice, bob] = team(1).players();
        table.say(bob, "ocean");
        let events = table.say(alice, "desert");
        check_types(&events, &["guess_processed"]);
        let words = table.side(team(1)).words().expect("a pair");
        assert_eq!(*words, WordPair(word("desert"), word("ocean")));
        assert_eq!((words.of(team(1), alice), words.of(team(1), bob)), (&word("desert"), &word("ocean")));
    }
}

/// "the first of two words is an event of its own (`guess_started`, with the word)"
#[test]
fn the_first_of_two_words_is_an_event() {
    let mut table = Table::started(KNOCKOUT, 2);
    let alice = team(1).players()[0];
    let events = table.say(alice, "Ocean");
    check_types(&events, &["guess_started"]);
    let pending = table.side(team(1)).pending().expect("it waits");
    assert_eq!((pending.player, pending.word.as_str()), (alice, "Ocean"));
}

/// "Both players must submit before anything happens; a second submission by the same player is rejected."
#[test]
fn a_player_says_one_word_of_a_pair() {
    for (config, count) in ALL {
        let mut table = Table::started(config, count);
        let alice = team(1).players()[0];
        table.say(alice, "ocean");
        assert_eq!(table.say_refused(alice, "desert"), Refusal::GuessAlreadySubmitted);
        assert_eq!(table.say_refused(alice, "give up"), Refusal::GuessAlreadySubmitted);
    }
}

/// "Checks in order: word nil/empty → `invalid_word` · player already submitted → `guess_already_submitted` · `give up` ok ·
/// dictionary → `invalid_word` · forbidden → `forbidden_word`"
#[test]
fn the_checks_of_a_word_come_in_order() {
    let mut table = Table::started(TWO_PLAYER, 1);
    let [alice, bob] = team(1).players();
    let say = |player, text: &str, check| GameAction::Guess {
        player,
        channel: 1.into(),
        word: text.to_owned(),
        check,
        verdict: None,
    };
    assert_eq!(table.refused(say(9.into(), "", WordCheck::Unknown)).name(), "player_not_in_game");
    table.say(alice, "ocean");
    assert_eq!(table.refused(say(alice, " ", WordCheck::Unknown)).name(), "invalid_word");
    assert_eq!(table.refused(say(alice, "qwxz", WordCheck::Unknown)).name(), "guess_already_submitted");
    assert_eq!(table.refused(say(bob, "qwxz", WordCheck::Unknown)).name(), "invalid_word");
    assert_eq!(table.refused(say(bob, "desert", WordCheck::Forbidden)).name(), "forbidden_word");
    table.act(say(bob, "give up", WordCheck::Unknown));
}

/// "The dealt words are forbidden for the length of the round."
#[test]
fn dealt_words_are_forbidden_for_the_length_of_the_round() {
    let mut table = Table::started(TWO_PLAYER, 1);
    let [alice, bob] = team(1).players();
    let first = table.side(team(1)).words().cloned().expect("a pair");
    assert_eq!(table.say_refused(alice, &first.1.as_str().to_uppercase()), Refusal::ForbiddenWord);
    table.miss(team(1), 1);
    assert_eq!(table.say_refused(bob, first.0.as_str()), Refusal::ForbiddenWord);
    table.give_up(team(1));
    let second = table.side(team(1)).words().cloned().expect("a pair");
    for dealt in [&first.0, &second.1] {
        assert_eq!(table.say_refused(bob, dealt.as_str()), Refusal::ForbiddenWord);
    }
    table.hit(team(1));
    check_types(&table.say(bob, first.0.as_str()), &["guess_started"]);
}

/// "words too long, strange Unicode": refused by name. "Word length 2–50."
#[test]
fn what_is_no_word_is_refused_by_name() {
    let mut table = Table::started(RACE, 2);
    let alice = team(1).players()[0];
    let long = "x".repeat(51);
    let huge = "x".repeat(1 << 20);
    for (text, name) in [
        ("", "invalid_word"),
        (" \t\n", "invalid_word"),
        ("a", "invalid_word_length"),
        (&*long, "invalid_word_length"),
        (&*huge, "invalid_word_length"),
        ("two words", "invalid_word"),
        ("c4t", "invalid_word"),
        ("cat\0", "invalid_word"),
        ("ca\u{202e}t", "invalid_word"),
        ("ca\u{200b}t", "invalid_word"),
        ("c\u{300}\u{301}\u{302}t", "invalid_word"),
        ("🦀🦀", "invalid_word"),
        ("<@123>", "invalid_word"),
        ("-cat", "invalid_word"),
        ("cat-", "invalid_word"),
        ("cat--dog", "invalid_word"),
        ("give up now", "invalid_word"),
    ] {
        assert_eq!(table.say_refused(alice, text).name(), name, "{text:.60?}");
    }
    table.say(alice, &"x".repeat(50));
}

/// Too few words come with a command: it is refused, and can be given again with more. A pair of one word is none.
#[test]
fn without_words_to_deal_nothing_begins() {
    let mut table = Table::open(KNOCKOUT, &teams(2));
    let start = || GameCommand::new(NOON, GameAction::Start { by: 3.into() });
    let pair = |one, other| WordPair(word(one), word(other));
    let check =
        |table: &mut Table, pairs: &[WordPair]| -> Answer { table.try_command(start().dealing(pairs.to_vec())) };
    assert_eq!(check(&mut table, &[]), Err(Refusal::WordsMissing));
    assert_eq!(check(&mut table, &[pair("ocean", "desert")]), Err(Refusal::WordsMissing));
    assert_eq!(check(&mut table, &[pair("ocean", "desert"), pair("cat", "Cat")]), Err(Refusal::WordsMissing));
    assert!(table.events.len() == 1 && table.game.phase() == Phase::Open);
    assert_eq!(table.game.pairs_needed(), 2);
    check(&mut table, &[pair("ocean", "desert"), pair("cat", "Cat"), pair("sun", "moon")]).expect("enough");
}

// Section 0: leaving, idling, pausing, restarts.

/// "the open attempt is abandoned (`player_quit`) and the team is out (`forfeit`), in every mode"
#[test]
fn who_leaves_takes_the_team_out() {
    for (config, count) in ALL {
        let mut table = Table::started(config, count);
        table.say(team(1).players()[1], "ocean");
        let events = table.leave(team(1).players()[0]);
        assert!(types(&events).starts_with(&["guess_abandoned", "player_left", "team_eliminated"].map(str::to_owned)));
        let left = abandoned(&events);
        assert_eq!((left.reason, left.abandoning_player_id), (AbandonReason::PlayerQuit, Some(team(1).players()[0])));
        assert_eq!((left.guess_duration, table.side(team(1)).total_guesses()), (None, 0));
        assert_eq!(gone(&events), [(team(1), Forfeit)]);
        assert_eq!(table.game.is_over(), config.mode() == Mode::TwoPlayer);
        let other = LeaveReason::Disconnected;
        if 1 < count {
            let again = GameAction::Leave { player: team(1).players()[1], reason: other };
            assert_eq!(table.refused(again), Refusal::TeamEliminated);
            let lost = GameAction::Leave { player: team(2).players()[1], reason: other };
            assert_eq!(abandoned(&table.act(lost)).reason, AbandonReason::Disconnected);
        }
    }
}

/// "two_player then ends without a winner"; with one team left, that team has won.
#[test]
fn who_is_left_alone_has_won() {
    for (config, count) in ALL {
        let mut table = Table::started(config, count);
        for number in 1..=count.saturating_sub(1).max(1) {
            assert!(!table.game.is_over());
            table.leave(team(number).players()[0]);
        }
        let winners = if count == 1 { vec![] } else { vec![team(count)] };
        assert_eq!((table.game.phase(), table.game.winners()), (Phase::Completed, &*winners));
    }
    let mut table = Table::started(KNOCKOUT, 3);
    table.hit(team(1));
    table.hit(team(2));
    let events = table.leave(team(3).players()[0]);
    assert_eq!(gone(&events), [(team(3), Forfeit), (team(2), ForcedElimination)], "all who are left have matched");
}

/// Before the start a team goes as it came, and a game without players is cancelled: `too_few`.
#[test]
fn who_leaves_before_the_start_takes_the_partner_along() {
    let mut table = Table::open(RACE, &teams(1));
    table.act(GameAction::Join { player: 20.into(), team: None });
    check_types(&table.leave(team(1).players()[1]), &["player_left", "player_left"]);
    assert_eq!(table.game.players(), [20.into()]);
    let events = table.leave(20.into());
    assert!(matches!(&events[1], GameEvent::GameCancelled(of) if of.reason == CancelReason::TooFew));
}

/// "no event for 24 h (longform 48 h, not yet started 1 h): `game_cancelled`, players free"
#[test]
fn idle_games_are_cancelled() {
    let mut table = Table::open(KNOCKOUT, &teams(3));
    table.wait(HOUR_MS - 1);
    table.act(GameAction::Join { player: 20.into(), team: None });
    assert!(table.pass(HOUR_MS - 1).is_empty());
    let events = table.pass(1);
    let Some(GameEvent::GameCancelled(of)) = events.first() else { panic!("{events:?}") };
    assert_eq!((of.reason, of.by, of.player_ids.len()), (CancelReason::Idle, None, 7));

    let mut table = Table::started(TWO_PLAYER, 1);
    table.wait(HOUR_MS);
    table.miss(team(1), 1);
    assert!(table.pass(DAY_MS - 1).is_empty());
    check_types(&table.pass(1), &["game_cancelled"]);

    let config = GameConfig::Longform { day_ms: 7 * DAY_MS };
    let mut table = Table::started(config, 3);
    assert!(table.pass(2 * DAY_MS - 1).is_empty());
    check_types(&table.pass(1), &["game_cancelled"]);
}

/// "while paused no deadline runs; deadlines move by its length"
#[test]
fn deadlines_move_by_the_length_of_a_pause() {
    for (config, deadline) in [
        (KNOCKOUT, (300_000, Deadline::RoundEnd)),
        (RACE, (180_000, Deadline::RaceEnd)),
        (GOLF_RACE, (180_000, Deadline::RaceEnd)),
        (LONGFORM, (DAY_MS, Deadline::DayEnd)),
        (TWO_PLAYER, (DAY_MS, Deadline::Idle)),
    ] {
        let mut table = Table::started(config, *config.mode().teams().start() as u64);
        let (due, what) = deadline;
        assert_eq!(table.game.deadline(), Some((NOON.plus(due), what)));
        table.wait(5_000);
        let by = Some(team(1).players()[0]);
        table.act(GameAction::Pause { reason: PauseReason::ByPlayers, by });
        assert_eq!(table.game.deadline(), None);
        assert!(table.pass(30 * DAY_MS).is_empty());
        assert_eq!(table.say_refused(team(1).players()[0], "ocean"), Refusal::GamePaused);
        let again = GameAction::Pause { reason: PauseReason::ByAdmin, by: None };
        assert_eq!(table.refused(again), Refusal::GamePaused);
        let events = table.act(GameAction::Resume { by });
        assert!(matches!(&events[..], [GameEvent::GameResumed(of)] if of.paused_ms == 30 * DAY_MS));
        assert_eq!(table.game.deadline(), Some((NOON.plus(due + 30 * DAY_MS), what)));
        assert_eq!(table.refused(GameAction::Resume { by }), Refusal::GameNotPaused);
        assert_eq!(guessed(&table.miss(team(1), 1)).guess_duration, 5_000, "the pause is nobody's time");
    }
}

/// "downtime does not count: each clocked game gets `game_paused` (reason `bot_restart`, since its last event) and
/// `game_resumed`"
#[test]
fn a_restart_pauses_since_the_last_event() {
    let mut table = Table::started(RACE, 2);
    assert!(table.game.is_clocked());
    table.wait(50_000);
    table.hit(team(1));
    table.wait(HOUR_MS);
    let events = table.act(GameAction::Pause { reason: PauseReason::BotRestart, by: None });
    assert!(matches!(&events[..], [GameEvent::GamePaused(of)] if of.since == NOON.plus(50_000)));
    table.act(GameAction::Resume { by: None });
    assert_eq!(table.game.deadline(), Some((NOON.plus(HOUR_MS + 180_000), Deadline::RaceEnd)));
    assert!(!Table::started(TWO_PLAYER, 1).game.is_clocked());
}

/// "A race of a guess and a deadline: one outcome": what is due is due, also where nobody has looked at the time yet.
#[test]
fn a_guess_behind_the_deadline_comes_too_late() {
    for (config, late) in [
        (KNOCKOUT, Refusal::RoundTimeExpired),
        (LONGFORM, Refusal::RoundTimeExpired),
        (RACE, Refusal::GameTimeExpired),
        (GOLF_RACE, Refusal::GameTimeExpired),
    ] {
        let mut table = Table::started(config, 3);
        let (due, _) = table.game.deadline().expect("a deadline");
        table.now = Moment::from_millis(due.millis() - 1);
        table.say(team(1).players()[0], "ocean");
        table.wait(1);
        assert_eq!(table.say_refused(team(1).players()[1], "ocean"), late);
        assert!(!table.act(GameAction::PassTime).is_empty());
    }
}

/// Clocks go backwards; games do not.
#[test]
fn time_never_runs_backwards() {
    let mut table = Table::started(RACE, 2);
    table.wait(10_000);
    table.say(team(1).players()[0], "ocean");
    table.now = NOON;
    let guess = guessed(&table.say(team(1).players()[1], "desert"));
    assert_eq!((guess.base.timestamp, guess.guess_duration), (NOON.plus(10_000), 10_000));
    let command = GameCommand::new(Moment::from_millis(u64::MAX), GameAction::PassTime);
    assert_eq!(table.try_command(command), Err(Refusal::InvalidTime));
}

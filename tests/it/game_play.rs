//! Games that are played by chance, and what must hold of every one of them.

use super::game::{NOON, Table, guild, numbered, team, teams};
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use scorebook::{Aggregate, Event, EventContext, EventStore, ExpectedVersion, Position, Timestamp, Version};

/// How many games of each mode.
const GAMES: u64 = 40;

/// A table of its own, and how it looked after each command from which something followed.
struct Evening {
    table: Table,
    chance: Chance,
    /// How many events there were, and the state.
    seen: Vec<(usize, Game)>,
    /// What was done, and when.
    done: Vec<(Moment, GameCommand)>,
}

fn config(mode: Mode, chance: &mut Chance) -> GameConfig {
    match mode {
        _ if chance.one_in(3) => GameConfig::of(mode),
        Mode::TwoPlayer => GameConfig::TwoPlayer { rounds_required: 1 + chance.below(3) as u32, success_threshold: 2 },
        Mode::Knockout => GameConfig::Knockout { round_ms: 20_000, elimination_guess_limit: 3 },
        Mode::Race => GameConfig::Race { time_limit_ms: 60_000 },
        Mode::GolfRace => GameConfig::GolfRace { time_limit_ms: 60_000 },
        Mode::Longform => GameConfig::Longform { day_ms: 60_000 },
    }
}

impl Evening {
    fn new(mode: Mode, seed: u64) -> Evening {
        let mut chance = Chance(seed);
        let mut evening = Evening { table: Table::new(), chance: Chance(seed ^ 1), seen: Vec::new(), done: Vec::new() };
        let (least, most) = (*mode.teams().start(), *mode.teams().end());
        let count = (least + chance.below(most - least + 1)) as u64;
        let config = config(mode, &mut chance);
        evening.act(GameAction::Create { guild: guild(), by: 3.into(), config, teams: teams(count) });
        evening
    }

    /// Does it, if it is allowed; a refusal must leave everything as it was.
    fn act(&mut self, action: GameAction) {
        let pairs = (0..self.table.game.pairs_needed()).map(|number| {
            let number = (self.done.len() * 100 + number) as u64 * 2 + 1_000_000;
            WordPair(super::game::word(&numbered(number)), super::game::word(&numbered(number + 1)))
        });
        let command = GameCommand::new(self.table.now, action).dealing(pairs);
        let before = self.table.game.clone();
        match self.table.try_command(command.clone()) {
            Ok(events) if !events.is_empty() => {
                self.done.push((self.table.now, command));
                self.seen.push((self.table.events.len(), self.table.game.clone()));
            }
            Ok(_) => assert_eq!(self.table.game, before),
            Err(refusal) => {
                assert_eq!(self.table.game, before);
                assert!(!refusal.name().is_empty() && !refusal.to_string().is_empty());
            }
        }
    }

    /// Somebody in the game, or nobody.
    fn somebody(&mut self) -> PlayerId {
        let players = self.table.game.players();
        if players.is_empty() || self.chance.one_in(30) { 666.into() } else { *self.chance.pick(&players) }
    }

    fn step(&mut self) {
        let player = self.somebody();
        let millis = [0, 10, 700, 3_000, 9_000][self.chance.below(5)];
        self.table.wait(millis);
        let action = match self.chance.below(100) {
            // Few words, so that pairs match by chance.
            0..70 => {
                let text = numbered(self.chance.below(4) as u64);
                self.table.guess(player, &text)
            }
            70..76 => self.table.guess(player, "give up"),
            76..88 => GameAction::PassTime,
            88 => GameAction::Leave {
                player,
                reason: *self.chance.pick(&[LeaveReason::PlayerQuit, LeaveReason::Disconnected]),
            },
            89 => GameAction::Pause { reason: PauseReason::ByPlayers, by: Some(player) },
            90..93 => GameAction::Resume { by: None },
            93 => GameAction::ChangeStatus { player, status: PlayerStatus::Away },
            94 => GameAction::Start { by: player },
            _ => self.malformed(player),
        };
        self.act(action);
    }

    /// What no honest bot would send.
    fn malformed(&mut self, player: PlayerId) -> GameAction {
        let text = |chance: &mut Chance| (*chance.pick(&["", "\u{0}", "🦀", "two words", "\u{202e}live"])).to_owned();
        let channel = ChannelId::from(1);
        match self.chance.below(8) {
            0 => {
                let (word, check) = (text(&mut self.chance), WordCheck::Valid);
                GameAction::Guess { player, channel, word, check, verdict: None }
            }
            1 => GameAction::Guess { player, channel, word: "x".repeat(5_000), check: WordCheck::Valid, verdict: None },
            2 => GameAction::Guess {
                player,
                channel,
                word: "ocean".to_owned(),
                check: WordCheck::Unknown,
                verdict: None,
            },
            3 => {
                let verdict =
                    Verdict::of(&super::game::SameWord, &super::game::word("sun"), &super::game::word("moon"));
                let (word, check) = (numbered(3), WordCheck::Valid);
                GameAction::Guess { player, channel, word, check, verdict: Some(verdict) }
            }
            4 => GameAction::Configure { by: player, config: GameConfig::Longform { day_ms: 0 } },
            5 => GameAction::Join { player, team: Some(team(99)) },
            6 => GameAction::Create { guild: 1.into(), by: player, config: GameConfig::of(Mode::Race), teams: vec![] },
            _ => GameAction::Cancel { by: 666.into(), right: CancelRight::Player },
        }
    }

    /// Starts, plays so many steps, and then lets time pass until it is over.
    fn play(mode: Mode, seed: u64, steps: usize) -> Evening {
        let mut evening = Evening::new(mode, seed);
        evening.act(GameAction::Start { by: 3.into() });
        for _ in 0..steps {
            evening.step();
        }
        evening.act(GameAction::Resume { by: None });
        for _ in 0..100 {
            let Some((due, _)) = evening.table.game.deadline() else { break };
            evening.table.now = evening.table.now.max(due);
            evening.act(GameAction::PassTime);
        }
        evening
    }
}

fn evenings() -> impl Iterator<Item = (Mode, u64)> {
    let first = seed();
    Mode::ALL.into_iter().flat_map(move |mode| (0..GAMES).map(move |game| (mode, first.wrapping_add(game * 7_919))))
}

/// "replaying any prefix gives the state the live game had then"
#[test]
fn replaying_any_prefix_gives_the_state_the_live_game_had_then() {
    for (mode, seed) in evenings() {
        let evening = Evening::play(mode, seed, 250);
        let context = EventContext::new(Version::FIRST, Position::new(1), Timestamp::EPOCH);
        let mut replayed = Game::new(&evening.table.game.id().expect("an id").stream());
        let mut events = evening.table.events.iter();
        let mut applied = 0;
        for (count, state) in &evening.seen {
            events.by_ref().take(count - applied).for_each(|event| replayed.apply(event, &context));
            applied = *count;
            assert_eq!(replayed, *state, "{mode}, seed {seed}, after {count} events");
        }
        assert_eq!(replayed, evening.table.game);
    }
}

/// The same through a store: what was decided, written down and read again is what was played.
#[test]
fn a_game_comes_back_from_a_store_as_it_was() {
    for (mode, seed) in evenings().step_by(4) {
        let evening = Evening::play(mode, seed, 200);
        let stream = evening.table.game.id().expect("an id").stream();
        let store = EventStore::open_in_memory().expect("a store");
        let new = evening.table.events.iter().map(|event| event.dress(event.encode().expect("it can be written")));
        store.append(&stream, ExpectedVersion::NoStream, new.collect::<Vec<_>>()).wait().expect("it is new");
        let loaded = store.aggregate::<Game>(&stream).load().expect("it can be read");
        assert_eq!(*loaded.state(), evening.table.game, "{mode}, seed {seed}");
    }
}

/// A state that is saved and read back goes on as the one it was.
#[test]
fn every_state_of_a_game_is_read_back_as_it_was_saved() {
    for (mode, seed) in evenings().step_by(2) {
        let evening = Evening::play(mode, seed, 120);
        for (count, state) in
            evening.seen.iter().chain([&(0, Game::new(&evening.table.game.id().expect("an id").stream()))])
        {
            let saved = serde_json::to_vec(state).expect("JSON");
            let read: Game = serde_json::from_slice(&saved).expect("what was written can be read");
            assert_eq!(read, *state, "{mode}, seed {seed}, after {count} events");
        }
    }
}

/// Where this changes, or what a field of it means, `STATE_SCHEMA` in `src/game/game.rs` is to be one more.
#[test]
fn the_saved_state_of_a_game_has_these_fields() {
    let mut table = Table::started(GameConfig::of(Mode::Race), 2);
    table.hit(team(1));
    let saved = serde_json::to_value(&table.game).expect("JSON");
    let keys = |value: &serde_json::Value| {
        let keys: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
        keys.join(" ")
    };
    assert_eq!(
        keys(&saved),
        "away clock config config_version creator eliminations finished guild id is_round_quiet last_play phase \
         quiet_rounds round round_began round_ended sides started started_at teams waiting winners"
    );
    assert_eq!(
        keys(saved["sides"].as_object().expect("sides").values().next().expect("a side")),
        "dealt guess_count matched matches out pending round round_began rounds score tallies team total_guesses words"
    );
}

/// "every game ends": who plays ends it, or time does.
#[test]
fn every_game_ends() {
    let mut results = 0;
    for (mode, seed) in evenings() {
        for steps in [0, 20, 400] {
            let evening = Evening::play(mode, seed, steps);
            let game = &evening.table.game;
            assert!(game.is_over(), "{mode}, seed {seed}, {steps} steps: {:?}", game.phase());
            assert_eq!(game.deadline(), None);
            assert_eq!(GameStats::of(game).is_some(), game.phase() == Phase::Completed);
            results += usize::from(game.phase() == Phase::Completed);
        }
    }
    assert!(GAMES as usize * 5 < results, "only {results} games came to a result");
}

/// What is counted twice is counted alike: in the events, in the teams and in the players.
#[test]
fn the_counts_of_a_game_add_up() {
    for (mode, seed) in evenings() {
        let Evening { table, .. } = Evening::play(mode, seed, 300);
        for side in table.game.sides() {
            let mut expected = (0, 0, 0);
            for event in &table.events {
                match event {
                    GameEvent::GuessProcessed(of) if of.team_id == side.team() => {
                        expected.0 += 1;
                        expected.1 += u32::from(of.guess_successful);
                        assert_eq!(of.total_guesses, expected.0);
                    }
                    GameEvent::GuessAbandoned(of) if of.team_id == side.team() => {
                        expected.0 += u32::from(of.reason == AbandonReason::GaveUp);
                        expected.2 += u32::from(of.reason != AbandonReason::Timeout);
                        assert_eq!(of.total_guesses, expected.0);
                    }
                    _ => {}
                }
            }
            let abandoned = side.standing().player_stats.values().map(|stats| stats.abandoned_guesses).sum::<u32>();
            assert_eq!((side.total_guesses(), side.matches(), abandoned), expected, "{mode}, seed {seed}");
        }
        if mode == Mode::Knockout || mode == Mode::Longform {
            let out = table.game.sides().filter(|side| side.out().is_some()).count();
            assert_eq!(table.game.eliminations().len(), out);
            assert!(table.game.winners().len() <= 1);
        }
    }
}

/// "that pair aside, a killed and resumed game has the state of an uninterrupted one"
#[test]
fn a_killed_and_resumed_game_equals_an_uninterrupted_one() {
    let mut kills = 0;
    for (mode, seed) in evenings() {
        let evening = Evening::play(mode, seed, 250);
        let mut chance = Chance(seed ^ 2);
        let mut table = Table::new();
        // By how much everything is later, for the downtime does not count.
        let mut later = 0;
        let mut last = NOON;
        for (at, command) in &evening.done {
            if table.game.is_played() && table.game.paused_since().is_none() && chance.one_in(6) {
                table.now = last.plus(later).plus(chance.below(100_000) as u64);
                table.act(GameAction::Pause { reason: PauseReason::BotRestart, by: None });
                table.wait(chance.below(1_000_000) as u64);
                table.act(GameAction::Resume { by: None });
                later = table.now.since(last);
                kills += 1;
            }
            let again = Table::retimed(command, at.plus(later));
            table.try_command(again).expect("it was allowed");
            last = *at;
        }
        assert!(table.game.is_same_play(&evening.table.game), "{mode}, seed {seed}");
    }
    assert!(GAMES < kills, "only {kills} kills");
}

impl Table {
    /// The same command at another time.
    fn retimed(command: &GameCommand, at: Moment) -> GameCommand {
        GameCommand::new(at, command.action().clone()).dealing(command.deal().to_vec())
    }
}

/// Two who want the same at once: whoever is second is decided over what the first has done, on one outcome.
#[test]
fn two_words_at_once_have_one_outcome() {
    let store = EventStore::open_in_memory().expect("a store");
    for round in 0..20 {
        let id = GameId::new(NOON, [round; 10]);
        let stream = id.stream();
        let game = store.aggregate::<Game>(&stream);
        let pair = || [WordPair(super::game::word("sun"), super::game::word("moon"))];
        let execute = |action| {
            game.execute(GameCommand::new(NOON, action).dealing(pair()))
                .wait()
                .map_err(|error| error.refusal().cloned())
        };
        let config = GameConfig::TwoPlayer { rounds_required: 2, success_threshold: 4 };
        execute(GameAction::Create { guild: guild(), by: 3.into(), config, teams: vec![team(1)] }).expect("new");
        execute(GameAction::Start { by: 3.into() }).expect("it can start");
        let say = |player: PlayerId| loop {
            let state = game.load().expect("a game").into_state();
            let pending = state.side(team(1)).and_then(Side::pending).cloned();
            let word = super::game::word("ocean");
            let verdict = pending.map(|pending| Verdict::of(&super::game::SameWord, &pending.word, &word));
            let (word, check) = (word.to_string(), WordCheck::Valid);
            match execute(GameAction::Guess { player, channel: 1.into(), word, check, verdict }) {
                Err(Some(Refusal::VerdictMissing)) => {}
                other => break other.map(|_| ()),
            }
        };
        let [alice, bob] = team(1).players();
        std::thread::scope(|scope| {
            let (one, other) = (scope.spawn(|| say(alice)), scope.spawn(|| say(bob)));
            assert!(one.join().expect("no panic").is_ok() && other.join().expect("no panic").is_ok());
        });
        let state = game.load().expect("a game").into_state();
        let side = state.side(team(1)).expect("the team");
        assert_eq!((side.matches(), side.round(), side.total_guesses()), (1, 2, 1));
    }
}

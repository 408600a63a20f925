//! Evenings that are played by chance through the bot, on a disk whose power is cut on the way.

use super::bot::{Account, Asked, At, Club, Direct, HERE, Props, caller, events, say};
use super::game::numbered;
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{Aggregate, EventContext, EventStore, ExecuteError, Position, Timestamp, Version};
use std::collections::BTreeMap;

/// One thing that is done in an evening, and when, had nobody been interrupted.
#[derive(Clone, Debug)]
enum Step {
    Ask { at: u64, place: At, player: u64, ask: Ask },
    Pass { at: u64 },
}

/// What is done in one game from its opening on.
fn script(mode: Mode, seed: u64) -> Vec<Step> {
    let mut chance = Chance(seed);
    let players = 2 * (*mode.teams().start() as u64 + chance.below(2) as u64 * u64::from(mode != Mode::TwoPlayer));
    let config = match mode {
        Mode::TwoPlayer => GameConfig::TwoPlayer { rounds_required: 2, success_threshold: 4 },
        Mode::Knockout => GameConfig::Knockout { round_ms: 20_000, elimination_guess_limit: 4 },
        Mode::Race => GameConfig::Race { time_limit_ms: 60_000 },
        Mode::GolfRace => GameConfig::GolfRace { time_limit_ms: 60_000 },
        Mode::Longform => GameConfig::Longform { day_ms: 60_000 },
    };
    let mut at = 0;
    let ask = |at: u64, place, player, ask| Step::Ask { at, place, player, ask };
    let mut steps = vec![ask(0, HERE, 1, Ask::Open { config })];
    // The game is named by its number: it is known once it is open.
    steps.extend((1..=players).map(|player| ask(player * 10, HERE, player, Ask::Join { game: nobody_knows() })));
    steps.push(ask(1_000, HERE, 1, Ask::Start { game: None }));
    for _ in 0..70 {
        at += [5, 400, 1_500, 4_000][chance.below(4)];
        let player = 1 + chance.below(players as usize) as u64;
        let step = match chance.below(40) {
            0 => ask(1_000 + at, Direct, player, Ask::Leave { game: None }),
            1 => ask(1_000 + at, Direct, player, Ask::Pause { game: None }),
            2..6 => ask(1_000 + at, Direct, player, Ask::Resume { game: None }),
            6 => ask(1_000 + at, HERE, player, Ask::ChangeStatus { game: None, status: PlayerStatus::Away }),
            7..10 => ask(1_000 + at, Direct, player, say("give up")),
            10..16 => Step::Pass { at: 1_000 + at },
            _ => ask(1_000 + at, Direct, player, say(&numbered(900_000 + chance.below(5) as u64))),
        };
        steps.push(step);
    }
    steps
}

fn nobody_knows() -> GameId {
    GameId::new(Moment::MAX, [0; 10])
}

/// An evening on its way: what everybody was told, and by how much everything is later by now.
struct Evening {
    disk: SimulatedDisk,
    club: Option<Club>,
    props: Props,
    game: Option<GameId>,
    /// By how much the game's clock is behind, for the downtime does not count.
    later: u64,
    /// What was acknowledged.
    told: Vec<(usize, Vec<GameEvent>)>,
    kills: usize,
}

impl Evening {
    fn begin(seed: u64) -> Evening {
        let (disk, props) = (SimulatedDisk::new(seed), Props::new());
        let mut evening = Evening { disk, club: None, props, game: None, later: 0, told: Vec::new(), kills: 0 };
        evening.club = Some(evening.try_start().expect("no power is cut yet"));
        evening
    }

    fn try_start(&self) -> Result<Club, scorebook::Error> {
        let store = EventStore::options().open_simulated(&self.disk)?;
        let (bot, _) = Bot::start(&store, self.props.setup()).wait()?;
        Ok(Club::of(bot, self.props.clone()))
    }

    fn bot(&self) -> &Bot {
        &self.club.as_ref().expect("it runs").bot
    }

    fn state(&self) -> Option<Game> {
        let game = self.game?;
        Some(self.club.as_ref().expect("it runs").game(game))
    }

    /// Does a step; where the power is cut, goes on after a restart and does it again.
    fn step(&mut self, number: usize, step: &Step, chance: &mut Chance) {
        let seen = self.state();
        if chance.one_in(8) {
            self.disk.stop_at(self.disk.mutations() + 1 + chance.below(3) as u64);
        }
        loop {
            let (Step::Ask { at, .. } | Step::Pass { at }) = step;
            self.props.set_now(super::game::NOON.plus(at + self.later));
            // What is drawn does not depend on how often it was tried.
            self.props.draw_from((number as u64) << 24);
            match self.try_step(number, step) {
                Ok(happened) => {
                    self.told.push((number, happened));
                    break;
                }
                Err(()) => self.kill(chance),
            }
        }
        self.disk.heal();
        if let (Some(seen), Some(now)) = (seen, self.state()) {
            assert!(!seen.is_over() || seen == now, "what is over is over");
        }
    }

    /// What happened; an error where the power was cut.
    fn try_step(&mut self, number: usize, step: &Step) -> Result<Vec<GameEvent>, ()> {
        match step {
            Step::Ask { place, player, ask, .. } => {
                let ask = match ask {
                    Ask::Join { .. } => Ask::Join { game: self.game.expect("it is open") },
                    other => other.clone(),
                };
                let asked: Asked = self.bot().ask(caller(number as u64 + 1, *place, *player), ask).wait();
                match asked {
                    Ok(answer) => {
                        self.game = self.game.or(answer.game());
                        Ok(answer.events().to_vec())
                    }
                    Err(ExecuteError::Refused(_)) => Ok(Vec::new()),
                    Err(ExecuteError::Conflict(conflict)) => panic!("nobody else is there: {conflict}"),
                    Err(ExecuteError::Store(error)) => {
                        assert!(self.disk.has_stopped(), "{error}");
                        Err(())
                    }
                }
            }
            Step::Pass { .. } => {
                let passed = self.bot().pass_time().wait();
                passed.map(|answers| answers.iter().flat_map(|answer| answer.events().to_vec()).collect()).map_err(
                    |error| {
                        assert!(self.disk.has_stopped(), "{error}");
                    },
                )
            }
        }
    }

    /// The power was cut: what the disk has is opened again, after some time if a clock runs, and by a start that may be cut as
    /// well.
    fn kill(&mut self, chance: &mut Chance) {
        self.club = None;
        loop {
            self.kills += 1;
            self.disk = match chance.below(3) {
                0 => self.disk.kill(),
                1 => self.disk.crash(&CrashChoice::LoseAll),
                _ => self.disk.crash(&CrashChoice::Seeded(chance.next())),
            };
            let left = self.left();
            // A game against which no clock runs does not know that the bot was away.
            let is_clocked = left.as_ref().is_some_and(|(game, _)| game.is_clocked() && game.paused_since().is_none());
            if is_clocked {
                self.props.wait(chance.below(1_000_000) as u64);
            }
            if chance.one_in(3) {
                self.disk.stop_at(self.disk.mutations() + 1 + chance.below(12) as u64);
            }
            match self.try_start() {
                Ok(club) => {
                    self.disk.heal();
                    self.club = Some(club);
                    // Its next moment of play is now.
                    if let Some((_, last)) = left.filter(|_| is_clocked) {
                        let last = last.since(super::game::NOON);
                        self.later = self.props.now().since(super::game::NOON).saturating_sub(last);
                    }
                    return;
                }
                Err(error) => assert!(self.disk.has_stopped(), "{error}"),
            }
        }
    }

    /// The game as the disk has it, and when something last happened in it by its own clock, as if nobody had been interrupted.
    fn left(&self) -> Option<(Game, Moment)> {
        let disk = self.disk.kill();
        let store = EventStore::options().open_simulated(&disk).expect("what a crash leaves opens");
        let game = store.aggregate::<Game>(&self.game?.stream()).load().expect("it can be read").into_state();
        let mut last = (super::game::NOON, 0);
        for event in events(&store).iter().filter(|event| event.game() == self.game) {
            let Some(base) = event.base() else { continue };
            match event {
                GameEvent::GamePaused(of) if of.reason == PauseReason::BotRestart => {}
                GameEvent::GameResumed(of) if of.by.is_none() => last.1 += of.paused_ms,
                _ => last.0 = Moment::from_millis(base.timestamp.millis() - last.1),
            }
        }
        Some((game, last.0))
    }

    /// Everybody goes on until it is over.
    fn play_out(&mut self) -> Game {
        let club = self.club.as_ref().expect("it runs");
        if self.state().is_some_and(|game| game.paused_since().is_some() && !game.is_over()) {
            club.bot.ask(caller(90_000, Direct, 1), Ask::Resume { game: self.game }).wait().expect("it is held up");
        }
        club.play_out();
        self.state().expect("it was opened")
    }
}

fn scripts() -> impl Iterator<Item = (Mode, u64)> {
    let first = seed();
    Mode::ALL.into_iter().flat_map(move |mode| (0..8).map(move |number| (mode, first.wrapping_add(number * 7_919))))
}

/// "A killed and resumed game equals an uninterrupted one": every game ends, and everything that was acknowledged is there.
#[test]
fn an_evening_that_is_killed_on_the_way_is_the_same_evening() {
    let mut kills = 0;
    for (mode, seed) in scripts() {
        let steps = script(mode, seed);
        let mut plain = Evening::begin(seed);
        for (number, step) in steps.iter().enumerate() {
            plain.step_undisturbed(number, step);
        }
        let (mut killed, mut chance) = (Evening::begin(seed), Chance(seed ^ 3));
        for (number, step) in steps.iter().enumerate() {
            killed.step(number, step, &mut chance);
            let (expected, got) = (&plain.told[number].1, &killed.told[number].1);
            // Who is asked again gives the first answer again. Time is not asked by anybody.
            let is_asked = matches!(step, Step::Ask { .. });
            assert!(
                !is_asked || types(expected) == types(got),
                "{mode}, seed {seed}, step {number}: {step:?}: {got:?}"
            );
        }
        kills += killed.kills;
        let (expected, got) = (plain.state().expect("open"), killed.state().expect("open"));
        assert!(got.is_same_play(&expected), "{mode}, seed {seed}:\n{expected:?}\n{got:?}");
        killed.check_log();
        let (expected, got) = (plain.play_out(), killed.play_out());
        assert!(expected.is_over() && got.is_over(), "{mode}, seed {seed}: every game ends");
        let result = |game: &Game| (game.phase(), game.winners().to_vec(), game.eliminations().len());
        assert_eq!(result(&expected), result(&got), "{mode}, seed {seed}");
    }
    assert!(100 < kills, "only {kills} kills");
}

fn types(events: &[GameEvent]) -> Vec<std::mem::Discriminant<GameEvent>> {
    events.iter().map(std::mem::discriminant).collect()
}

impl Evening {
    fn step_undisturbed(&mut self, number: usize, step: &Step) {
        let (Step::Ask { at, .. } | Step::Pass { at }) = step;
        self.props.set_now(super::game::NOON.plus(*at));
        self.props.draw_from((number as u64) << 24);
        let happened = self.try_step(number, step).expect("no power is cut");
        self.told.push((number, happened));
    }

    /// Everything that anybody was told happened is in the log, once and in this order; any prefix of it gives the state that
    /// the game had then; and nobody plays twice.
    fn check_log(&self) {
        let club = self.club.as_ref().expect("it runs");
        let log = events(club.store());
        let mut rest = log.iter();
        for (number, happened) in &self.told {
            for event in happened {
                assert!(rest.any(|logged| logged == event), "step {number}: {event:?} is missing, or comes twice");
            }
        }
        Account::of(&log);
        let id = self.game.expect("open");
        let context = EventContext::new(Version::FIRST, Position::new(1), Timestamp::EPOCH);
        let mut replayed = Game::new(&id.stream());
        let aggregate = club.store().aggregate::<Game>(&id.stream());
        let of_game = log.iter().filter(|event| event.base().is_some_and(|base| base.game_id == id));
        for (event, version) in of_game.zip(1..) {
            replayed.apply(event, &context);
            let then = aggregate.state_at(Version::new(version)).expect("it can be read").into_state();
            assert_eq!(replayed, then, "version {version}");
        }
        assert_eq!(replayed, club.game(id));
    }
}

/// Many games at once on one store, with players in several of them, over several restarts: what each game is, it is by its
/// events, and nobody's word is lost.
#[test]
fn after_any_kill_every_word_that_was_taken_is_there() {
    for round in 0..6 {
        let seed = seed() + round;
        let mut chance = Chance(seed);
        let mut disk = SimulatedDisk::new(seed);
        let props = Props::new();
        let mut acknowledged = BTreeMap::new();
        let mut games = Vec::new();
        let mut number = 0;
        for _ in 0..12 {
            disk.stop_at(disk.mutations() + 40 + chance.below(200) as u64);
            let Ok(store) = EventStore::options().open_simulated(&disk) else { panic!("there is power to open it") };
            let Ok((bot, _)) = Bot::start(&store, props.setup()).wait() else {
                disk = disk.kill();
                continue;
            };
            for interaction in &acknowledged {
                let (number, (place, player, ask, events)): (&u64, &(At, u64, Ask, Vec<GameEvent>)) = interaction;
                let asked = bot.ask(caller(*number, *place, *player), ask.clone()).wait();
                if !disk.has_stopped() {
                    let again = asked.expect("the same");
                    assert!(again.is_repeat() && again.events() == events, "seed {seed}: {ask:?}");
                }
            }
            loop {
                number += 1;
                props.wait(chance.below(4_000) as u64);
                let (player, mode) = (1 + chance.below(12) as u64, *chance.pick(&Mode::ALL));
                let game = if games.is_empty() { nobody_knows() } else { *chance.pick(&games) };
                let (place, ask) = match chance.below(16) {
                    0 => (HERE, Ask::Open { config: GameConfig::of(mode) }),
                    1..6 => (HERE, Ask::Join { game }),
                    6 | 7 => (HERE, Ask::Start { game: None }),
                    8 => (Direct, Ask::Leave { game: None }),
                    9 => (Direct, Ask::Resume { game: None }),
                    _ => (Direct, say(&numbered(900_000 + chance.below(20) as u64))),
                };
                let passed = if chance.one_in(5) { bot.pass_time().wait().map(drop) } else { Ok(()) };
                let asked = bot.ask(caller(number, place, player), ask.clone()).wait();
                if let Ok(answer) = &asked
                    && !answer.events().is_empty()
                {
                    if matches!(ask, Ask::Open { .. }) {
                        games.extend(answer.game());
                    }
                    acknowledged.insert(number, (place, player, ask, answer.events().to_vec()));
                }
                if passed.is_err() || matches!(asked, Err(ExecuteError::Store(_))) {
                    assert!(disk.has_stopped());
                    break;
                }
            }
            disk = if chance.one_in(2) { disk.kill() } else { disk.crash(&CrashChoice::Seeded(chance.next())) };
        }
        let store = EventStore::options().open_simulated(&disk).expect("it opens");
        let log = events(&store);
        Account::of(&log);
        let mut rest = log.iter();
        for (number, (_, _, ask, events)) in &acknowledged {
            for event in events {
                assert!(rest.any(|logged| logged == event), "seed {seed}, {number}: {ask:?}: {event:?} is missing");
            }
        }
        assert!(100 < acknowledged.len(), "seed {seed}: only {} were acknowledged", acknowledged.len());
    }
}

/// Where time cannot go on passing, whatever it has done by then is told all the same.
#[test]
fn what_time_has_done_is_told_although_the_disk_fails_then() {
    for stop_at in 1.. {
        let disk = SimulatedDisk::new(seed());
        let club = Club::on(&EventStore::options().open_simulated(&disk).expect("it opens"), Props::new());
        for number in 1..=4 {
            let players = [0, 1, 2, 3].map(|player| 10 * number + player);
            club.started(HERE, Mode::Race, &players);
        }
        club.props.wait(180_000);
        disk.stop_at(disk.mutations() + stop_at);
        let passed = club.bot.pass_time().wait();
        let has_stopped = disk.has_stopped();
        let store = EventStore::options().open_simulated(&disk.kill()).expect("it opens");
        let over = events(&store).into_iter().filter(|event| matches!(event, GameEvent::GameCompleted(_))).count();
        match passed {
            Ok(answers) if !has_stopped => {
                assert_eq!((answers.len(), over), (4, 4));
                assert!(4 < stop_at, "only {stop_at} places to stop");
                break;
            }
            // Of the one on its way nobody knows.
            Ok(answers) => assert!(!answers.is_empty() && answers.len() <= over && over <= answers.len() + 1),
            Err(_) => assert!(over <= 1, "{over} games have ended, and nobody is told"),
        }
    }
}

//! Going on after the bot was away: every game that is not over is taken up, and no time has passed for it.

use super::deciding::Decided;
use super::message::Message;
use super::{Bot, BotSetup, Inner, Schedule, showing};
use crate::game::{
    Game, GameAction, GameCommand, GameEvent, GameId, INVITATION_MS, Moment, RecoveryPerformed, Refusal, Team, TeamId,
};
use scorebook::{
    Error, EventStore, ExecuteError, Execution, ExpectedVersion, OnSeveral, Position, Query, RecordedEvent, Registry,
    StreamName, Together,
};
use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

/// The stream of what was taken up, and when.
const RECOVERIES: &str = "bot-recovery";

/// How many games are taken up in one batch: so many fit, whatever their size, and each batch is one sync.
const BATCH_GAMES: usize = 500;

/// How often it is tried to note what was taken up, while another bot on the same store opens games.
const NOTE_ATTEMPTS: u32 = 64;

/// The most characters that are kept of a hint.
const HINT_CHARS: usize = 500;

/// How many hints are kept of one recovery.
const HINTS_MAX: usize = 100;

/// What was taken up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    games: Vec<GameId>,
    down_ms: u64,
    hints: Vec<String>,
    messages: Vec<Message>,
}

impl Recovered {
    /// The games that are not over, the oldest first.
    #[must_use]
    pub fn games(&self) -> &[GameId] {
        &self.games
    }

    /// For how many milliseconds nothing had happened.
    #[must_use]
    pub fn down_ms(&self) -> u64 {
        self.down_ms
    }

    /// What else was noticed, the first hundred of it: games and teams that cannot be read.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// What everybody in these games should now be shown.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }
}

/// A bot that is about to start. Nothing happens before it is waited for, or polled.
#[must_use = "nothing is taken up until it is waited for or awaited"]
pub struct Starting {
    store: EventStore,
    setup: BotSetup,
}

impl Starting {
    pub(super) fn new(store: EventStore, setup: BotSetup) -> Starting {
        Starting { store, setup }
    }

    /// Takes everything up, on this thread. `Ok` guarantees that every game that is not over goes on, and that its players can be
    /// told where it stands; that a second start, or a start that was killed, does no harm.
    ///
    /// "Downtime does not count": each game against which a clock runs gets a pause since its last event, and its end.
    ///
    /// # Errors
    ///
    /// * What keeps the store from being read or written. What was taken up by then is, and the next start goes on from there.
    pub fn wait(self) -> Result<(Bot, Recovered), Error> {
        let mut recovery = Recovery::new(self)?;
        while let Some(games) = recovery.next_games() {
            let taken_up = recovery.take_up(&games).wait();
            recovery.settle(games, taken_up)?;
        }
        let noted = recovery.note().wait();
        recovery.finish(noted)
    }
}

impl IntoFuture for Starting {
    type Output = Result<(Bot, Recovered), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut recovery = Recovery::new(self)?;
            while let Some(games) = recovery.next_games() {
                let taken_up = recovery.take_up(&games).await;
                recovery.settle(games, taken_up)?;
            }
            let noted = recovery.note().await;
            recovery.finish(noted)
        })
    }
}

/// What is being taken up.
struct Recovery {
    bot: Inner,
    at: Moment,
    /// How far the log was looked through for games.
    seen: Position,
    /// Those that are still to be taken up.
    waiting: Vec<GameId>,
    /// Those that cannot be read. The next start looks at them again: it may be a program that can.
    unreadable: Vec<GameId>,
    recovered: Recovered,
}

impl Recovery {
    fn new(starting: Starting) -> Result<Recovery, Error> {
        let Starting { store, setup } = starting;
        let registry = match store.registry().filter(Registry::has::<GameEvent>) {
            Some(registry) => registry,
            None => Registry::builder().events::<GameEvent>().build()?,
        };
        let bot = Inner { store, registry, setup, schedule: Schedule::default() };
        let at = bot.now();
        let last = last_moment(&bot)?.unwrap_or(at);
        let recovered = Recovered { down_ms: at.since(last), ..Recovered::default() };
        let seen = bot.store.head()?;
        let (waiting, unreadable) = (Vec::new(), Vec::new());
        let mut recovery = Recovery { bot, at, seen, waiting, unreadable, recovered };
        for game in unfinished(&recovery.bot)? {
            // One game that cannot be read is no reason to leave the others alone.
            match recovery.bot.store.aggregate::<Game>(&game.stream()).load() {
                Ok(loaded) if loaded.state().is_over() => {}
                Ok(_) => recovery.waiting.push(game),
                Err(error) => {
                    recovery.unreadable.push(game);
                    recovery.hint(&game.stream(), &error);
                }
            }
        }
        recovery.expect_answers(last)?;
        recovery.recovered.games.clone_from(&recovery.waiting);
        recovery.waiting.reverse();
        Ok(recovery)
    }

    /// Keeps what was noticed, of the first so many.
    fn hint(&mut self, about: &dyn fmt::Display, error: &dyn fmt::Display) {
        if self.recovered.hints.len() < HINTS_MAX {
            let hint = format!("{about}: {error}");
            self.recovered.hints.push(hint.chars().take(HINT_CHARS).collect());
        }
    }

    /// Puts down which invitations expire, of those that could be answered when something last happened.
    fn expect_answers(&mut self, last: Moment) -> Result<(), Error> {
        let asked = Query::all().of_type("team_invitation_created");
        for event in self.bot.store.read_all().matching(asked).backwards() {
            let event = event?;
            let (Some(team), Some(at)) = (TeamId::of_stream(&event.stream_name()), event.occurred()) else { continue };
            // Somebody may have looked at the time a little late.
            if 2 * INVITATION_MS <= last.since(at.into()) {
                break;
            }
            match self.bot.store.aggregate::<Team>(&event.stream_name()).load() {
                Ok(loaded) => self.bot.schedule.put_team(team, loaded.version(), loaded.state()),
                Err(error) => self.hint(&event.stream_name(), &error),
            }
        }
        Ok(())
    }

    /// The next games to be taken up.
    fn next_games(&mut self) -> Option<Vec<GameId>> {
        let rest = self.waiting.len().saturating_sub(BATCH_GAMES);
        let mut games = self.waiting.split_off(rest);
        games.reverse();
        (!games.is_empty()).then_some(games)
    }

    /// One batch.
    fn take_up(&self, games: &[GameId]) -> Execution<OnSeveral<impl FnMut(&mut Together<'_>) -> Decided>> {
        let decide = move |together: &mut Together<'_>| {
            for game in games {
                together.execute::<Game>(&game.stream(), &GameCommand::new(self.at, GameAction::Recover))?;
            }
            Ok(())
        };
        self.bot.store.together(decide)
    }

    /// Notes what was taken up, if there was anything: the next start begins to look from there.
    fn note(&self) -> Execution<OnSeveral<impl FnMut(&mut Together<'_>) -> Decided>> {
        let decide = move |together: &mut Together<'_>| {
            let Recovered { games, down_ms, hints, .. } = &self.recovered;
            let mut games = games.iter().chain(&self.unreadable).copied().collect::<Vec<_>>();
            // IMPORTANT: what another bot on the same store opened meanwhile would be lost to the next start. That no more is
            // opened is a condition.
            for event in together.read(Query::all().of_type("game_created"))?.after(self.seen) {
                games.extend(GameId::of_stream(&event?.stream_name()).filter(|game| !games.contains(game)));
            }
            if games.is_empty() && hints.is_empty() {
                return Ok(());
            }
            let performed = RecoveryPerformed { games, down_ms: *down_ms, hints: hints.clone(), timestamp: self.at };
            let event = self.bot.registry.encode(&GameEvent::from(performed))?;
            together.append(&recoveries(), ExpectedVersion::Any, [event]);
            Ok(())
        };
        self.bot.store.together(decide).attempts(NOTE_ATTEMPTS)
    }

    fn settle<T>(&mut self, games: Vec<GameId>, taken_up: Result<T, ExecuteError<Refusal>>) -> Result<(), Error> {
        match taken_up {
            Ok(_) => {}
            Err(ExecuteError::Store(error)) => return Err(error),
            // A second bot on the same store: whatever it did is done, and nothing is lost by leaving it at that.
            Err(other) => self.hint(&"taking up games", &other),
        }
        for game in games {
            let loaded = self.bot.store.aggregate::<Game>(&game.stream()).load()?;
            self.bot.schedule.put_game(game, loaded.version(), loaded.state());
            self.recovered.messages.extend(showing::as_it_stands(loaded.state(), loaded.version()));
        }
        Ok(())
    }

    fn finish<T>(mut self, noted: Result<T, ExecuteError<Refusal>>) -> Result<(Bot, Recovered), Error> {
        match noted {
            Ok(_) => {}
            Err(ExecuteError::Store(error)) => return Err(error),
            // The next start looks from where this one has looked.
            Err(other) => self.hint(&"noting what was taken up", &other),
        }
        Ok((Bot { inner: Arc::new(self.bot) }, self.recovered))
    }
}

fn recoveries() -> StreamName {
    StreamName::new(RECOVERIES).expect("short, and of plain characters")
}

/// The games that may not be over: those that were not at the last recovery, and those that were opened since. So a start looks
/// through what has happened since the last one, and not through all games that ever were.
fn unfinished(bot: &Inner) -> Result<Vec<GameId>, Error> {
    let (mut games, since) = last_recovery(bot)?;
    let types = ["game_created", "game_completed", "game_cancelled"];
    let query = types.iter().fold(Query::all(), |query, event_type| query.of_type(event_type));
    let mut over = BTreeSet::new();
    for event in bot.store.read_all().matching(query).after(since) {
        let event = event?;
        let Some(game) = GameId::of_stream(&event.stream_name()) else { continue };
        match event.event_type() {
            "game_created" => games.push(game),
            _ => {
                over.insert(game);
            }
        }
    }
    games.retain(|game| !over.contains(game));
    Ok(games)
}

/// The games that were not over when the bot was started last, and the position of the event that says so.
fn last_recovery(bot: &Inner) -> Result<(Vec<GameId>, Position), Error> {
    if bot.store.exists(&recoveries())? {
        for event in bot.store.read(&recoveries()).backwards() {
            let event = event?;
            // One that cannot be read is passed over for the one before it: what it knew is found in the log.
            let Ok(mut events) = bot.registry.decode::<GameEvent>(&event) else { continue };
            if let Some(GameEvent::RecoveryPerformed(of)) = events.next() {
                return Ok((of.games, event.position()));
            }
        }
    }
    Ok((Vec::new(), Position::BEGINNING))
}

/// When something last happened, as the bot that was there saw it.
fn last_moment(bot: &Inner) -> Result<Option<Moment>, Error> {
    let last = bot.store.read_all().backwards().limit(1).into_iter().next().transpose()?;
    Ok(last.map(|event: RecordedEvent| Moment::from(event.occurred().unwrap_or(event.time()))))
}

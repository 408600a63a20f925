//! Something is asked: wait for the answer on a thread, or await it in any runtime.

use super::answer::Answer;
use super::ask::{Ask, Caller};
use super::deciding::{Decided, Decision};
use super::looking::Look;
use super::schedule::{Matter, Touched};
use super::{Bot, Inner};
use crate::game::{ChannelId, GameEvent, GameId, GuildId, InteractionId, Moment, PlayerId, Refusal, RoundCheckError};
use scorebook::{Error, ErrorKind, ExecuteError, Execution, ExpectedVersion, OnSeveral, Receipt, Together, Version};
use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

/// How often something is decided before the answer is that others were faster each time. In one game a handful of players
/// are; at a whole table of twenty-four that guess at one moment, no one is worse off than this.
const ATTEMPTS: u32 = 64;

/// The most characters that are kept of why a game could not be looked at.
const REASON_CHARS: usize = 500;

/// For how long a matter is left alone that could not be looked at.
const TRY_AGAIN_MS: u64 = 1_000;

/// For how long a matter is looked at again and again that somebody changed who did not wait for the answer: no disk takes
/// longer.
const DOUBT_MS: u64 = 60_000;

/// Something that is about to be asked. Nothing happens before it is waited for, or polled; what was appended by then stays
/// when it is dropped.
#[must_use = "nothing is done until it is waited for or awaited"]
pub struct Asking {
    bot: Bot,
    caller: Caller,
    ask: Ask,
    at: Moment,
    /// The id that the game gets, if one is opened.
    new_game: GameId,
    /// What was changed, as long as nobody knows what came of it.
    touched: Touched,
}

/// What is asked came to this: an answer, or why not.
///
/// Of trouble with the store nothing has happened, unless it is of kind [`OutcomeUnknown`](ErrorKind::OutcomeUnknown); the
/// same interaction, asked again, is done exactly once in any case.
pub(super) type Asked<T> = Result<T, ExecuteError<Refusal>>;

/// An answer that is on its way to a task.
type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Asking {
    pub(super) fn new(bot: Bot, caller: Caller, ask: Ask) -> Asking {
        let at = bot.inner.now();
        let new_game = bot.inner.new_game(at, caller.interaction);
        Asking { bot, caller, ask, at, new_game, touched: Touched::default() }
    }

    /// Asks, and waits for the answer on this thread. `Ok` guarantees that what is answered is visible, and as durable as the
    /// store's appends are. An interaction that was seen before gets its first answer again, and nothing else happens.
    ///
    /// # Errors
    ///
    /// * [`Refused`](ExecuteError::Refused): the rules do not allow it. Nothing has happened, but that a refused word is kept.
    /// * [`Conflict`](ExecuteError::Conflict): others were faster, again and again. Nothing has happened.
    /// * [`Store`](ExecuteError::Store): what keeps the store from being read or written.
    pub fn wait(self) -> Result<Answer, ExecuteError<Refusal>> {
        let outcome = self.execution().wait();
        let answer = self.settle(outcome)?;
        match self.look()? {
            Some(look) => look.wait(answer),
            None => Ok(answer),
        }
    }

    /// What is looked up in the boards, where that is what is asked for.
    fn look(&self) -> Asked<Option<Look<'_>>> {
        let Asking { bot, caller, ask, at, .. } = self;
        if ask.is_look() { Look::begin(&bot.inner, caller, ask, *at).map(Some) } else { Ok(None) }
    }

    fn settle(&self, outcome: Asked<Option<Receipt>>) -> Asked<Answer> {
        drop(self.touched.take());
        self.bot.inner.settle(outcome)
    }

    fn execution(&self) -> Execution<OnSeveral<impl FnMut(&mut Together<'_>) -> Decided>> {
        let decide = move |together: &mut Together<'_>| {
            let Asking { bot, caller, ask, at, new_game, touched } = self;
            Decision { bot: &bot.inner, caller, at: *at, touched, together }.decide(ask, *new_game)
        };
        let execution = self.bot.inner.store.together(decide).attempts(ATTEMPTS);
        execution.once(self.caller.interaction.to_string()).actor(self.caller.player)
    }
}

impl IntoFuture for Asking {
    type Output = Result<Answer, ExecuteError<Refusal>>;
    type IntoFuture = Task<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let outcome = self.execution().await;
            let answer = self.settle(outcome)?;
            match self.look()? {
                Some(look) => look.read(answer).await,
                None => Ok(answer),
            }
        })
    }
}

impl Drop for Asking {
    /// Whoever stops listening half-way leaves behind what may still be on its way into the log.
    fn drop(&mut self) {
        for matter in self.touched.take() {
            self.bot.inner.schedule.doubt(matter, self.at, self.at.plus(DOUBT_MS));
        }
    }
}

/// Time that is about to pass. Nothing happens before it is waited for, or polled.
#[must_use = "nothing is done until it is waited for or awaited"]
pub struct PassingTime {
    bot: Bot,
    at: Moment,
}

impl PassingTime {
    pub(super) fn new(bot: Bot) -> PassingTime {
        let at = bot.inner.now();
        PassingTime { bot, at }
    }

    /// Does what is due by now, on this thread, and says what came of it. Where nothing came of it there is no answer.
    ///
    /// A game that cannot be read any more, or decided, is left alone, and that is noted in its guild; the others go on.
    ///
    /// # Errors
    ///
    /// * What keeps the store from being written, where nothing came of anything. Where something did, that is the answer, for
    ///   it has happened and is to be told; the rest is due again, and so is the error.
    pub fn wait(self) -> Result<Vec<Answer>, Error> {
        let mut passed = Passed::default();
        while let Some(due) = self.due(&passed) {
            let outcome = due.execution().wait();
            passed.add(due.settle(outcome));
        }
        passed.into_answers()
    }

    /// What is to be done next, unless something went wrong.
    fn due(&self, passed: &Passed) -> Option<Due<'_>> {
        // Of a time that cannot be recorded nothing follows.
        let goes_on = passed.error.is_none() && self.at <= Moment::MAX;
        let matter = self.bot.inner.schedule.due(self.at).filter(|_| goes_on)?;
        Some(Due { bot: &self.bot.inner, matter, at: self.at, caller: nobody(), touched: Touched::default() })
    }
}

impl IntoFuture for PassingTime {
    type Output = Result<Vec<Answer>, Error>;
    type IntoFuture = Task<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut passed = Passed::default();
            while let Some(due) = self.due(&passed) {
                let outcome = due.execution().await;
                passed.add(due.settle(outcome));
            }
            passed.into_answers()
        })
    }
}

/// What came of the time so far.
#[derive(Default)]
struct Passed {
    answers: Vec<Answer>,
    /// What kept it from going on.
    error: Option<Error>,
}

impl Passed {
    fn add(&mut self, settled: Result<Option<Answer>, Error>) {
        match settled {
            Ok(answer) => self.answers.extend(answer),
            Err(error) => self.error = Some(error),
        }
    }

    fn into_answers(self) -> Result<Vec<Answer>, Error> {
        match self.error {
            Some(error) if self.answers.is_empty() => Err(error),
            _ => Ok(self.answers),
        }
    }
}

/// Something that is due.
struct Due<'a> {
    bot: &'a Inner,
    matter: Matter,
    at: Moment,
    caller: Caller,
    touched: Touched,
}

impl Due<'_> {
    fn execution(&self) -> Execution<OnSeveral<impl FnMut(&mut Together<'_>) -> Decided>> {
        let decide = move |together: &mut Together<'_>| {
            let Due { bot, caller, at, touched, .. } = self;
            let mut decision = Decision { bot, caller, at: *at, touched, together };
            match self.matter {
                Matter::Game(game) => decision.pass_time(game),
                Matter::Team(guild, team) => decision.pass_time_of_team(guild, team),
            }
        };
        self.bot.store.together(decide).attempts(ATTEMPTS)
    }

    fn settle(&self, outcome: Asked<Option<Receipt>>) -> Result<Option<Answer>, Error> {
        let later = self.at.plus(TRY_AGAIN_MS);
        match outcome {
            Ok(Some(receipt)) => self.bot.answer(&receipt).map(Some),
            Ok(None) => {
                self.bot.look_again(self.matter, self.at, later)?;
                Ok(None)
            }
            // There is nothing to be due, unless it is on its way.
            Err(ExecuteError::Refused(Refusal::GameNotFound)) => {
                self.bot.schedule.forget(self.matter);
                self.bot.schedule.put_off(self.matter, self.at, later);
                Ok(None)
            }
            Err(ExecuteError::Refused(_) | ExecuteError::Conflict(_)) => {
                self.bot.schedule.put_off(self.matter, self.at, later);
                Ok(None)
            }
            Err(ExecuteError::Store(error)) if is_of_the_matter(error.kind()) => {
                self.bot.schedule.forget(self.matter);
                self.note(&error)?;
                Ok(None)
            }
            Err(ExecuteError::Store(error)) => Err(error),
        }
    }

    /// Keeps in the guild that a game could not be looked at. Nobody waits for that.
    fn note(&self, error: &Error) -> Result<(), Error> {
        let Matter::Game(game_id) = self.matter else { return Ok(()) };
        let first = self.bot.store.read(&game_id.stream()).limit(1).into_iter().next();
        let guild = first.and_then(|event| event.ok()?.tag("guild")?.parse::<GuildId>().ok());
        let Some(guild_id) = guild else { return Ok(()) };
        let reason = error.to_string().chars().take(REASON_CHARS).collect();
        let (context, timestamp) = (BTreeMap::from([("kind".to_owned(), format!("{:?}", error.kind()))]), self.at);
        let event = RoundCheckError { guild_id, game_id, reason, context, timestamp };
        let event = self.bot.registry.encode(&GameEvent::from(event))?;
        // Of several who find that out at once, one notes it: for each state of the log it is noted once.
        let version = self.bot.store.version(&game_id.stream()).map_or(0, Version::get);
        let once = format!("round-check-{game_id}-{version}");
        let batch = self.bot.store.batch().append(&guild_id.refusal_stream(), ExpectedVersion::Any, [event]);
        drop(batch.once(once).commit());
        Ok(())
    }
}

/// Whether it is trouble with what is in one stream, and not with the store.
fn is_of_the_matter(kind: ErrorKind) -> bool {
    use ErrorKind::{BelowFloor, Damaged, Decode, Deleted, InvalidArgument, Lost, TooLarge, UnknownType};
    matches!(kind, BelowFloor | Damaged | Decode | Deleted | InvalidArgument | Lost | TooLarge | UnknownType)
}

/// The time comes by itself: nobody asks for it.
fn nobody() -> Caller {
    Caller::direct(InteractionId::from(0), PlayerId::from(0), ChannelId::from(0))
}

//! A guild whose games are played one after the other, by whichever thread has it: with a clock and chance of its own, so that
//! nothing depends on what others play meanwhile.

use super::Tally;
use super::told::Told;
use crate::cli::demo::{Chance, Mind, Plan, mixed};
use crate::cli::failure::{Exit, Failure};
use scorebook::game::{
    Answer, Ask, Bot, BotSetup, Caller, ChannelId, GameConfig, GuildId, InteractionId, Mode, Moment, PlayerId, Refusal,
};
use scorebook::{EventStore, ExecuteError};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

thread_local! {
    /// What time it is in the game that this thread plays.
    static NOW: Cell<u64> = const { Cell::new(0) };
    /// What its bot draws lots from.
    static LOTS: RefCell<Chance> = RefCell::new(Chance::new(0));
}

/// When every guild begins: the same for every simulation, so that the same seed gives the same times too.
const BEGINNING_MS: u64 = 1_767_225_600_000; // 2026-01-01

/// So many people are in each guild: enough for two full tables.
const PEOPLE: u64 = 48;

/// A game in which so many commands lead to nothing never ends.
const COMMANDS_MAX: u64 = 1 << 20;

/// What is to be played.
pub(super) struct Orders {
    pub(super) seed: u64,
    pub(super) mode: Option<Mode>,
    pub(super) games: u64,
    pub(super) guilds: u64,
}

pub(super) struct Guild {
    number: u64,
    bot: Bot,
    /// How many of its games were played.
    played: u64,
    now: u64,
}

/// A bot that asks the thread it runs on.
pub(super) fn setup() -> BotSetup {
    BotSetup {
        clock: Arc::new(|| Moment::from_millis(NOW.get())),
        chance: Arc::new(|| LOTS.with_borrow_mut(Chance::next)),
        ..BotSetup::default()
    }
}

impl Guild {
    pub(super) fn new(store: &EventStore, setup: BotSetup, number: u64) -> Result<Guild, Failure> {
        NOW.set(BEGINNING_MS);
        let (bot, _) = Bot::start(store, setup).wait()?;
        Ok(Guild { number, bot, played: 0, now: BEGINNING_MS })
    }

    /// The number of its next game among all, if there is one.
    pub(super) fn next_game(&self, orders: &Orders) -> Option<u64> {
        let game = self.played * orders.guilds + self.number;
        (game < orders.games).then_some(game)
    }

    /// Plays a game to its end.
    pub(super) fn play(&mut self, number: u64, orders: &Orders, mind: &Mind, tally: &mut Tally) -> Result<(), Failure> {
        let mut chance = Chance::of(orders.seed, number);
        LOTS.set(Chance::of(orders.seed, mixed(number)));
        let mode = orders.mode.unwrap_or_else(|| Mode::ALL[chance.place(Mode::ALL.len())]);
        let plan = Plan::of(mode, &mut chance);
        let mut people =
            (0..PEOPLE).map(|person| PlayerId::from((self.number + 1) * 1_000 + person)).collect::<Vec<_>>();
        chance.shuffle(&mut people);
        people.truncate(2 * plan.teams);

        let mut play = Play { guild: self, number, commands: 0, chance, mind, tally };
        play.guild.at(0);
        let config = plan.config.filter(|_| mode != Mode::Longform).unwrap_or_else(|| GameConfig::of(mode));
        let opened = play.ask(people[0], Ask::Open { config })?.map_err(|refusal| unplayable(&refusal))?;
        let game =
            opened.game().ok_or_else(|| Failure::new(Exit::Other, "a game was opened, and nobody knows which"))?;
        let mut told = Told::new(game);
        for person in &people {
            let joined = play.ask(*person, Ask::Join { game })?.map_err(|refusal| unplayable(&refusal))?;
            told.hear(&joined);
        }
        let started = play.ask(people[0], Ask::Start { game: Some(game) })?.map_err(|refusal| unplayable(&refusal))?;
        told.hear(&started);
        while !told.is_over() {
            play.go_on(&mut told)?;
        }
        self.played += 1;
        self.at(60_000);
        Ok(())
    }

    /// So many milliseconds later.
    fn at(&mut self, later: u64) {
        self.now += later;
        NOW.set(self.now);
    }
}

/// A game that is being played.
struct Play<'a> {
    guild: &'a mut Guild,
    number: u64,
    commands: u64,
    chance: Chance,
    mind: &'a Mind,
    tally: &'a mut Tally,
}

impl Play<'_> {
    /// Somebody says a word, or time passes until somebody can.
    fn go_on(&mut self, told: &mut Told) -> Result<(), Failure> {
        let asked = told.asked();
        if asked.is_empty() {
            let due = self
                .guild
                .bot
                .next_due()
                .ok_or_else(|| Failure::new(Exit::Other, "a game has come to a standstill"))?;
            self.guild.at(due.millis().saturating_sub(self.guild.now));
            return self.pass_time(told);
        }
        // At a full table words come faster.
        let later = self.chance.between(1_000, 12_000) / asked.len() as u64;
        self.guild.at(later);
        if self.guild.bot.next_due().is_some_and(|due| due.millis() <= self.guild.now) {
            self.pass_time(told)?;
        }
        let player = asked[self.chance.place(asked.len())];
        for tries in 0.. {
            let Some((own, partner)) = told.words(player) else { return Ok(()) };
            let word = self.mind.say(own, partner, tries, &mut self.chance);
            match self.ask(player, Ask::Guess { game: None, word })? {
                Ok(answer) => {
                    told.hear(&answer);
                    return Ok(());
                }
                Err(Refusal::ForbiddenWord | Refusal::InvalidWord(_)) => self.tally.refused += 1,
                Err(refusal) => return Err(unplayable(&refusal)),
            }
        }
        Ok(())
    }

    fn pass_time(&mut self, told: &mut Told) -> Result<(), Failure> {
        for answer in self.guild.bot.pass_time().wait()? {
            told.hear(&answer);
        }
        Ok(())
    }

    fn ask(&mut self, player: PlayerId, ask: Ask) -> Result<Result<Answer, Refusal>, Failure> {
        self.commands += 1;
        if COMMANDS_MAX < self.commands {
            return Err(Failure::new(Exit::Other, "a game does not come to an end"));
        }
        let interaction = InteractionId::from(((self.number + 1) << 20) + self.commands);
        let (guild, channel) = (GuildId::from(self.guild.number + 1), ChannelId::from(self.guild.number + 1));
        let caller = Caller::in_guild(interaction, player, guild, channel).named(self.mind.name(player.get()));
        let asked = Instant::now();
        let answer = self.guild.bot.ask(caller, ask).wait();
        self.tally.times.add(asked.elapsed());
        match answer {
            Ok(answer) => Ok(Ok(answer)),
            Err(ExecuteError::Refused(refusal)) => Ok(Err(refusal)),
            Err(ExecuteError::Conflict(conflict)) => Err(Failure::new(Exit::Conflict, conflict.to_string())),
            Err(ExecuteError::Store(error)) => Err(error.into()),
        }
    }
}

fn unplayable(refusal: &Refusal) -> Failure {
    Failure::new(Exit::Other, format!("a command was refused that should not be: {refusal}"))
}

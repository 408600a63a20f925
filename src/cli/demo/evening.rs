//! The evening: people meet at tables, say words, are told things, and do something next. Their clocks run faster than ours.

use crate::cli::demo::account::Account;
use crate::cli::demo::agenda::{Agenda, Intent};
use crate::cli::demo::chance::Chance;
use crate::cli::demo::discord::{Arrived, Discord, Numbers};
use crate::cli::demo::mind::Mind;
use crate::cli::demo::table::{Plan, Stage, Table};
use crate::cli::demo::town::Town;
use crate::cli::demo::wire::{Interaction, Outcome};
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;
use scorebook::game::{GameId, InteractionId, Mode, Moment};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What an evening is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) games: u64,
    pub(super) guilds: u64,
    pub(super) kills: u64,
    pub(super) seed: u64,
}

/// So many games are begun in a guild before one has to end for the next.
const TABLES_AT_ONCE: u64 = 25;

/// So many people are in a guild for each table.
const PEOPLE_A_TABLE: u64 = 7;

/// So much time passes on people's clocks between two ticks.
const TICK_MS: u64 = 1_000;

/// For so long, on people's clocks, the bot may think about an answer before they wait for it.
const BEHIND_MAX_MS: u64 = 1_500;

/// The most that waits for an answer before anybody else asks.
const WAITING_MAX: usize = 64;

/// Kills come between these times of the evening, on people's clocks.
const KILLS_MS: [u64; 2] = [30_000, 300_000];

/// After this no more games are begun, however many there should be: an evening on a slow machine ends as well.
const CLOSING: Duration = Duration::from_secs(32);

/// After this those that are still played are cancelled.
const LAST_CALL: Duration = Duration::from_secs(42);

/// For how long a game that nobody started is left alone.
const NIGHT_MS: u64 = 61 * 60 * 1_000;

pub(super) struct Evening {
    pub(super) size: Size,
    pub(super) chance: Chance,
    pub(super) mind: Mind,
    pub(super) town: Town,
    pub(super) tables: Vec<Table>,
    pub(super) table_of: HashMap<GameId, usize>,
    pub(super) agenda: Agenda,
    /// How many tables are still to be begun, of each guild.
    pub(super) to_begin: Vec<u64>,
    /// What somebody had in mind who has no answer yet.
    pub(super) asked: HashMap<InteractionId, Intent>,
    interactions: u64,
    /// Milliseconds of the evening.
    pub(super) now: u64,
    began: Moment,
    pub(super) is_last_call: bool,
    kills: Vec<u64>,
    left_out: u64,
}

/// What came of an evening.
pub(super) struct Over {
    pub(super) account: Account,
    pub(super) numbers: Numbers,
    pub(super) people: usize,
    pub(super) end: Moment,
    pub(super) began: Moment,
    pub(super) lasted: Duration,
    /// How many games were not begun, for it was too late.
    pub(super) left_out: u64,
}

impl Evening {
    pub(super) fn new(size: Size, began: Moment) -> Evening {
        let mut chance = Chance::of(size.seed, 0);
        let mind = Mind::new();
        let of = |guild: u64| size.games / size.guilds + u64::from(guild < size.games % size.guilds);
        let to_begin = (0..size.guilds).map(of).collect::<Vec<_>>();
        let people = PEOPLE_A_TABLE * to_begin.iter().max().map_or(1, |tables| (*tables).min(TABLES_AT_ONCE)) + 20;
        let town = Town::new(size.guilds, people, &mind, &mut chance);
        let mut agenda = Agenda::default();
        for (guild, tables) in to_begin.iter().enumerate() {
            for _ in 0..(*tables).min(TABLES_AT_ONCE) {
                agenda.put(chance.below(30_000), Intent::Meet { guild });
            }
        }
        let [first, last] = KILLS_MS;
        let part = (last - first) / size.kills.max(1);
        let mut kills = (0..size.kills).map(|kill| first + kill * part + chance.below(part)).collect::<Vec<_>>();
        kills.reverse();
        let (tables, table_of, asked, now) = (Vec::new(), HashMap::new(), HashMap::new(), 0);
        let (interactions, is_last_call) = (began.millis() << 8, false);
        Evening {
            size,
            chance,
            mind,
            town,
            tables,
            table_of,
            agenda,
            to_begin,
            asked,
            interactions,
            now,
            began,
            is_last_call,
            kills,
            left_out: 0,
        }
    }

    /// Plays it, to the end.
    pub(super) fn play(mut self, dir: PathBuf) -> Result<Over, Failure> {
        let start = Instant::now();
        let progress = Progress::of_games(self.size.games);
        let mut account = Account::default();
        let mut discord = Discord::new(dir, self.size.seed, self.at());
        discord.begin(&mut account)?;
        while !self.is_over() || !self.kills.is_empty() {
            self.look_at_the_clock(start.elapsed());
            self.second(&mut discord, &mut account)?;
            let settled = self.tables.iter().filter(|table| table.is_settled()).count();
            progress.played(settled as u64, format!("{} kills", discord.numbers.kills));
        }
        // What was asked twice comes to its end, and then the night: games that nobody has started are cancelled.
        for later in [TICK_MS, NIGHT_MS, TICK_MS, TICK_MS] {
            self.now += later;
            self.send_due(&mut discord, &mut account, u64::MAX)?;
            self.tick(&mut discord, &mut account)?;
            self.settle(&mut discord, &mut account, 0)?;
        }
        let (end, people) = (self.at(), self.town.people.len());
        let lasted = start.elapsed();
        let numbers = discord.end()?;
        Ok(Over { account, numbers, people, end, began: self.began, lasted, left_out: self.left_out })
    }

    fn is_over(&self) -> bool {
        self.to_begin.iter().all(|left| *left == 0) && self.tables.iter().all(Table::is_settled)
    }

    fn look_at_the_clock(&mut self, elapsed: Duration) {
        if CLOSING < elapsed {
            self.left_out += self.to_begin.iter().sum::<u64>();
            self.to_begin.fill(0);
        }
        if LAST_CALL < elapsed && !self.is_last_call {
            self.is_last_call = true;
            for table in 0..self.tables.len() {
                self.agenda.put(self.now, Intent::Watch { table });
            }
        }
    }

    /// A second on people's clocks.
    fn second(&mut self, discord: &mut Discord, account: &mut Account) -> Result<(), Failure> {
        let is_kill = self.kills.last().is_some_and(|kill| *kill <= self.now);
        self.now += TICK_MS;
        if is_kill {
            // In the midst of what people do.
            self.kills.pop();
            let half = self.agenda.due(self.now) as u64 / 2;
            self.send_due(discord, account, half)?;
            let later = self.chance.between(500, 8_000);
            self.now += later;
            for arrived in discord.kill(later, account)? {
                self.take(arrived);
            }
        }
        self.send_due(discord, account, u64::MAX)?;
        // People's clocks do not run away from the bot.
        while discord.waiting_since().is_some_and(|since| BEHIND_MAX_MS < self.at().since(since)) {
            self.receive(discord, account)?;
        }
        self.tick(discord, account)
    }

    fn tick(&mut self, discord: &mut Discord, account: &mut Account) -> Result<(), Failure> {
        while discord.has_tick() {
            self.receive(discord, account)?;
        }
        discord.tick(self.at())
    }

    /// Has people do what they mean to do by now, so many of them at most.
    fn send_due(&mut self, discord: &mut Discord, account: &mut Account, most: u64) -> Result<(), Failure> {
        let mut sent = 0;
        while sent < most
            && let Some(intent) = self.agenda.take(self.now)
        {
            sent += 1;
            if let Intent::AskTwice { interaction, outcome } = intent {
                discord.send_twice(*interaction, *outcome)?;
            } else if let Some((interaction, intent)) = self.act(intent) {
                account.sends(&interaction);
                self.asked.insert(interaction.id, intent);
                discord.send(interaction)?;
            }
            self.settle(discord, account, WAITING_MAX)?;
        }
        Ok(())
    }

    /// Waits until no more than this is without an answer.
    fn settle(&mut self, discord: &mut Discord, account: &mut Account, most: usize) -> Result<(), Failure> {
        while most < discord.waiting() {
            self.receive(discord, account)?;
        }
        Ok(())
    }

    fn receive(&mut self, discord: &mut Discord, account: &mut Account) -> Result<(), Failure> {
        if let Some(arrived) = discord.receive(account)? {
            self.take(arrived);
        }
        Ok(())
    }

    fn take(&mut self, arrived: Arrived) {
        match arrived {
            Arrived::Told(told) => told.iter().for_each(|told| self.hear(told)),
            Arrived::Answer(interaction, outcome) => {
                if let Outcome::Done { told, .. } = &outcome {
                    told.iter().for_each(|told| self.hear(told));
                }
                if let Some(intent) = self.asked.remove(&interaction.id) {
                    self.go_on(intent, &interaction, &outcome);
                }
                self.ask_twice(interaction, outcome);
            }
        }
    }

    /// Now and then Discord delivers something twice. What was refused and left nothing behind may be decided otherwise later.
    fn ask_twice(&mut self, interaction: Interaction, outcome: Outcome) {
        let is_kept = match &outcome {
            Outcome::Done { events, .. } => 0 < *events,
            Outcome::Refused(reason) => reason == "forbidden_word",
        };
        if is_kept && self.chance.happens(100) {
            let at = self.now + self.chance.between(100, 90_000);
            let (interaction, outcome) = (Box::new(interaction), Box::new(outcome));
            self.agenda.put(at, Intent::AskTwice { interaction, outcome });
        }
    }

    pub(super) fn at(&self) -> Moment {
        self.began.plus(self.now)
    }

    pub(super) fn next_interaction(&mut self) -> InteractionId {
        self.interactions += 1;
        InteractionId::from(self.interactions)
    }

    /// Sits people down at a new table, if there are enough who have time.
    pub(super) fn meet(&mut self, guild: usize) {
        if self.to_begin[guild] == 0 {
            return;
        }
        let plan = Plan::draw(&mut self.chance);
        let is_longform = plan.mode == Mode::Longform;
        let players = self.town.free(guild, is_longform, 2 * plan.teams, &mut self.chance);
        if players.len() < 2 * plan.teams {
            let later = self.now + self.chance.between(4_000, 12_000);
            return self.agenda.put(later, Intent::Meet { guild });
        }
        self.to_begin[guild] -= 1;
        let table = self.tables.len();
        for place in &players {
            let person = &mut self.town.people[*place];
            if is_longform { person.longs += 1 } else { person.short = Some(table) }
        }
        self.tables.push(Table::new(guild, plan, players, self.now));
        self.sit_down(table);
        self.agenda.put(self.now + 60_000, Intent::Watch { table });
    }

    /// The table's game is over, as far as anybody there knows.
    pub(super) fn rise(&mut self, table: usize) {
        if self.tables[table].stage == Stage::Over {
            return;
        }
        self.tables[table].stage = Stage::Over;
        for place in self.tables[table].players.clone() {
            self.free(place, table);
        }
        let (guild, later) = (self.tables[table].guild, self.now + self.chance.between(3_000, 15_000));
        self.agenda.put(later, Intent::Meet { guild });
    }

    /// Somebody has time for something else.
    pub(super) fn free(&mut self, place: usize, table: usize) {
        let is_longform = self.tables[table].is_longform();
        let person = &mut self.town.people[place];
        if is_longform {
            person.longs = person.longs.saturating_sub(1);
        } else if person.short == Some(table) {
            person.short = None;
        }
    }
}

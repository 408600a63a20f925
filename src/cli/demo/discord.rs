//! Discord's side: it hands interactions to the bot, again and again until they are answered, and begins the bot anew whenever
//! it was killed.

use crate::cli::demo::account::{Account, Gap};
use crate::cli::demo::chance::Chance;
use crate::cli::demo::life::{Life, gone};
use crate::cli::demo::wire::{FromBot, Interaction, Outcome, ToBot, Told};
use crate::cli::failure::{Exit, Failure};
use crate::cli::times::Times;
use scorebook::game::{InteractionId, Moment};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Within so many microseconds behind the last line the bot is killed.
const KILL_WITHIN_US: u64 = 1_500;

/// Within so many of its beginning, where it is killed while it takes up its games.
const RECOVERY_WITHIN_US: u64 = 60_000;

/// Something that came of what was sent.
pub(super) enum Arrived {
    /// An answer, for the first time.
    Answer(Interaction, Outcome),
    /// What people are told without having asked.
    Told(Vec<Told>),
}

/// The bot, as Discord knows it.
pub(super) struct Discord {
    dir: PathBuf,
    chance: Chance,
    life: Option<Life>,
    /// What was sent and not answered, in this order.
    open: BTreeMap<InteractionId, Open>,
    /// Since when a tick has not been answered.
    tick: Option<Moment>,
    at: Moment,
    /// Up to where nothing that time brings is untold.
    told_up_to: u64,
    pub(super) numbers: Numbers,
}

/// Something that was sent.
struct Open {
    interaction: Interaction,
    since: Instant,
    /// The answer that it had, where it is asked twice.
    before: Option<Outcome>,
}

/// What was measured on the way.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) kills: u64,
    pub(super) kills_in_recovery: u64,
    pub(super) sent_again: u64,
    pub(super) asked_twice: u64,
    pub(super) times: Times,
    pub(super) away: Duration,
    pub(super) away_max: Duration,
    pub(super) games_taken_up_max: usize,
}

impl Discord {
    pub(super) fn new(dir: PathBuf, seed: u64, at: Moment) -> Discord {
        let chance = Chance::of(seed, 1);
        let (open, numbers) = (BTreeMap::new(), Numbers::default());
        Discord { dir, chance, life: None, open, tick: None, at, told_up_to: 0, numbers }
    }

    /// How many have no answer yet.
    pub(super) fn waiting(&self) -> usize {
        self.open.len() + usize::from(self.tick.is_some())
    }

    /// When what waits longest for its first answer was sent, by people's clocks.
    pub(super) fn waiting_since(&self) -> Option<Moment> {
        self.open.values().find(|open| open.before.is_none()).map(|open| open.interaction.at)
    }

    pub(super) fn has_tick(&self) -> bool {
        self.tick.is_some()
    }

    /// Begins the bot for the first time.
    pub(super) fn begin(&mut self, account: &mut Account) -> Result<(), Failure> {
        let (life, lines) = Life::begin(&self.dir, self.at, self.chance.next(), None)?.ok_or_else(gone)?;
        self.life = Some(life);
        for line in lines {
            self.take(line, account)?;
        }
        Ok(())
    }

    /// Sends something that somebody wants.
    pub(super) fn send(&mut self, interaction: Interaction) -> Result<(), Failure> {
        self.put(Open { interaction, since: Instant::now(), before: None })
    }

    /// Sends something once more that was answered so: the answer must be the same.
    pub(super) fn send_twice(&mut self, interaction: Interaction, before: Outcome) -> Result<(), Failure> {
        self.numbers.asked_twice += 1;
        self.put(Open { interaction, since: Instant::now(), before: Some(before) })
    }

    fn put(&mut self, open: Open) -> Result<(), Failure> {
        let line = ToBot::Interaction(open.interaction.clone());
        self.at = self.at.max(open.interaction.at);
        self.open.insert(open.interaction.id, open);
        self.write(&line)
    }

    /// Says how late it is.
    pub(super) fn tick(&mut self, at: Moment) -> Result<(), Failure> {
        self.at = self.at.max(at);
        self.tick = Some(self.at);
        self.write(&ToBot::Tick { at: self.at })
    }

    /// Waits until something arrives.
    pub(super) fn receive(&mut self, account: &mut Account) -> Result<Option<Arrived>, Failure> {
        let life = self.life.as_ref().ok_or_else(gone)?;
        let line = life.next()?;
        self.take(line, account)
    }

    fn take(&mut self, line: FromBot, account: &mut Account) -> Result<Option<Arrived>, Failure> {
        Ok(match line {
            FromBot::Reply { id, is_repeat, outcome } => {
                let Some(open) = self.open.remove(&id) else {
                    account.complaints.push(format!("interaction {id}: an answer that nobody waits for"));
                    return Ok(None);
                };
                match open.before {
                    None => {
                        self.numbers.times.add(open.since.elapsed());
                        account.is_answered(&open.interaction, &outcome);
                        Some(Arrived::Answer(open.interaction, outcome))
                    }
                    Some(before) => {
                        account.is_answered_again(id.get(), &before, &outcome, is_repeat);
                        None
                    }
                }
            }
            FromBot::Passed { head, told } => {
                self.tick = None;
                self.told_up_to = head;
                told.iter().for_each(|told| account.is_told(told));
                Some(Arrived::Told(told))
            }
            FromBot::Standing(told) => {
                told.iter().for_each(|told| account.is_told(told));
                Some(Arrived::Told(told))
            }
            FromBot::Ready { games, head } => {
                self.numbers.games_taken_up_max = self.numbers.games_taken_up_max.max(games.len());
                account.gaps.push(Gap { after: self.told_up_to, to: head });
                self.told_up_to = head;
                None
            }
            FromBot::Trouble(text) => return Err(Failure::new(Exit::Other, format!("the bot: {text}"))),
        })
    }

    /// Kills the bot with whatever it is doing, begins it again so much later by people's clocks, and sends everything again that
    /// was not answered. Now and then it is killed once more while it takes up its games.
    pub(super) fn kill(&mut self, later_ms: u64, account: &mut Account) -> Result<Vec<Arrived>, Failure> {
        thread::sleep(Duration::from_micros(self.chance.below(KILL_WITHIN_US)));
        let dead_since = Instant::now();
        let mut arrived = Vec::new();
        let Some(life) = self.life.take() else { return Err(gone()) };
        for line in life.kill()? {
            arrived.extend(self.take(line, account)?);
        }
        self.numbers.kills += 1;
        self.at = self.at.plus(later_ms);
        let (life, lines) = loop {
            let within = self.chance.below(RECOVERY_WITHIN_US);
            let patience = self.chance.happens(4_000).then(|| Duration::from_micros(within));
            if let Some(begun) = Life::begin(&self.dir, self.at, self.chance.next(), patience)? {
                break begun;
            }
            self.numbers.kills += 1;
            self.numbers.kills_in_recovery += 1;
        };
        self.life = Some(life);
        for line in lines {
            arrived.extend(self.take(line, account)?);
        }
        let away = dead_since.elapsed();
        self.numbers.away += away;
        self.numbers.away_max = self.numbers.away_max.max(away);
        self.send_again()?;
        Ok(arrived)
    }

    fn send_again(&mut self) -> Result<(), Failure> {
        let lines = self.open.values().map(|open| ToBot::Interaction(open.interaction.clone()));
        let lines = lines.chain(self.tick.map(|_| ToBot::Tick { at: self.at })).collect::<Vec<_>>();
        self.numbers.sent_again += self.open.len() as u64;
        lines.iter().try_for_each(|line| self.write(line))
    }

    /// The evening is over: the bot closes its store and ends.
    pub(super) fn end(mut self) -> Result<Numbers, Failure> {
        self.life.take().ok_or_else(gone)?.end()?;
        Ok(self.numbers)
    }

    fn write(&mut self, line: &ToBot) -> Result<(), Failure> {
        self.life.as_mut().ok_or_else(gone)?.write(line)
    }
}

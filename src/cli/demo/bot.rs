//! The bot of the evening: a process of its own that holds the store, listens on standard input and answers on standard
//! output. It is killed at any moment, and begun again.

use crate::cli::demo::chance::mixed;
use crate::cli::demo::wire::{Button, FromBot, Interaction, Outcome, Record, ToBot, Told, Wants};
use crate::cli::failure::{Exit, Failure, chain};
use scorebook::game::{Answer, Ask, Bot, BotSetup, Caller, Moment, Refusal, Report, Standing};
use scorebook::{EventStore, ExecuteError};
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

/// How many answer at once. They wait for the disk more than for anything else, and what waits together is synced together.
const WORKERS: usize = 32;

/// How many messages stand in one line, after the bot was away.
const MESSAGES_A_LINE: usize = 500;

/// Serves one life of the bot, until nobody says anything any more.
pub(super) fn serve(dir: &Path) -> Result<(), Failure> {
    let mut lines = stdin().lock().lines();
    let Some(ToBot::Hello { at, seed }) = lines.next().transpose()?.map(|line| read(&line)).transpose()? else {
        return Err(Failure::new(Exit::Usage, "the bot of the demo is begun by the demo"));
    };
    let clock = Clock::new(at);
    let store = EventStore::open(dir)?;
    let drawn = AtomicU64::new(seed);
    let setup = BotSetup {
        clock: clock.told(),
        chance: Arc::new(move || mixed(drawn.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed))),
        ..BotSetup::default()
    };
    let (bot, recovered) = Bot::start(&store, setup).wait()?;
    let told = recovered.messages().map(Told::from).collect::<Vec<_>>();
    for told in told.chunks(MESSAGES_A_LINE) {
        say(&FromBot::Standing(told.to_vec()))?;
    }
    say(&FromBot::Ready { games: recovered.games().to_vec(), head: head(&store)? })?;
    listen(&bot, &clock, lines)?;
    drop(bot);
    Ok(store.close()?)
}

/// Hears line by line, and has every one answered.
fn listen(bot: &Bot, clock: &Clock, lines: impl Iterator<Item = std::io::Result<String>>) -> Result<(), Failure> {
    let (wanted, wants) = mpsc::channel::<Interaction>();
    let (ticked, ticks) = mpsc::channel::<Moment>();
    let wants = Mutex::new(wants);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                // Who waits for the next one holds the lock; whoever has one answers it without.
                while let Ok(interaction) = wants.lock().unwrap_or_else(PoisonError::into_inner).recv() {
                    or_trouble(answer(bot, &interaction));
                }
            });
        }
        scope.spawn(move || {
            while ticks.recv().is_ok() {
                or_trouble(pass_time(bot));
            }
        });
        for line in lines {
            match read(&line?)? {
                ToBot::Hello { at, .. } => clock.is(at),
                ToBot::Tick { at } => {
                    clock.is(at);
                    // Who listens to this is there until this end is dropped.
                    let _ = ticked.send(at);
                }
                ToBot::Interaction(interaction) => {
                    clock.is(interaction.at);
                    let _ = wanted.send(interaction);
                }
            }
        }
        drop((wanted, ticked));
        Ok(())
    })
}

fn answer(bot: &Bot, interaction: &Interaction) -> Result<(), Failure> {
    let answered = match ask(&interaction.wants) {
        Ok(ask) => bot.ask(caller(interaction), ask).wait(),
        Err(refusal) => Err(ExecuteError::Refused(refusal)),
    };
    let (is_repeat, outcome) = match answered {
        Ok(answer) => (answer.is_repeat(), done(&answer)),
        Err(ExecuteError::Refused(refusal)) => (false, Outcome::Refused(refusal.name().to_owned())),
        Err(ExecuteError::Conflict(_)) => (false, Outcome::Refused("busy".to_owned())),
        Err(ExecuteError::Store(error)) => return Err(error.into()),
    };
    say(&FromBot::Reply { id: interaction.id, is_repeat, outcome })
}

fn done(answer: &Answer) -> Outcome {
    let told = answer.messages().map(Told::from).collect();
    let record = match answer.report() {
        Some(Report::Player { record, .. }) => {
            let tally = record.as_ref().map(|record| record.tally).unwrap_or_default();
            Some(Record { games: tally.games, wins: tally.wins })
        }
        _ => None,
    };
    Outcome::Done { events: answer.events().len() as u64, game: answer.game(), told, record }
}

/// Who asks, as a handler would make it of what Discord says.
fn caller(interaction: &Interaction) -> Caller {
    let Interaction { id, player, guild, channel, .. } = *interaction;
    let caller = match guild {
        Some(guild) => Caller::in_guild(id, player, guild, channel),
        None => Caller::direct(id, player, channel),
    };
    let is_admin = matches!(interaction.wants, Wants::AdminTyped(_));
    caller.named(&interaction.name).standing(if is_admin { Standing::Admin } else { Standing::Member })
}

fn ask(wants: &Wants) -> Result<Ask, Refusal> {
    match wants {
        Wants::Typed(text) | Wants::AdminTyped(text) => Ask::typed(text),
        Wants::Direct(text) => Ask::direct(text),
        Wants::Open { config, with_team: false } => Ok(Ask::Open { config: *config }),
        Wants::Open { config, with_team: true } => Ok(Ask::OpenWithTeam { config: *config }),
        Wants::Say { game, word } => Ok(Ask::Guess { game: Some(*game), word: word.clone() }),
        Wants::Press { game, button } => {
            let game = Some(*game);
            Ok(match button {
                Button::Start => Ask::Start { game },
                Button::Pause => Ask::Pause { game },
                Button::Resume => Ask::Resume { game },
                Button::Cancel => Ask::Cancel { game },
            })
        }
    }
}

fn pass_time(bot: &Bot) -> Result<(), Failure> {
    let answers = bot.pass_time().wait()?;
    let told = answers.iter().flat_map(Answer::messages).map(Told::from).collect();
    say(&FromBot::Passed { head: head(bot.store())?, told })
}

fn head(store: &EventStore) -> Result<u64, Failure> {
    Ok(store.head()?.get())
}

fn read(line: &str) -> Result<ToBot, Failure> {
    serde_json::from_str(line).map_err(|error| Failure::new(Exit::Usage, format!("reading a line: {}", chain(&error))))
}

/// A line, whole or not at all as far as it is up to us.
fn say(line: &FromBot) -> Result<(), Failure> {
    let mut text = serde_json::to_vec(line).map_err(|error| Failure::new(Exit::Other, chain(&error)))?;
    text.push(b'\n');
    let mut stdout = stdout().lock();
    stdout.write_all(&text)?;
    Ok(stdout.flush()?)
}

/// Says what keeps the bot from going on; where nobody listens any more, nobody waits for it either.
fn or_trouble(outcome: Result<(), Failure>) {
    if let Err(failure) = outcome {
        let _ = say(&FromBot::Trouble(failure.text().to_owned()));
    }
}

/// A clock that goes as it is told, and never back.
#[derive(Clone)]
struct Clock {
    millis: Arc<AtomicU64>,
}

impl Clock {
    fn new(at: Moment) -> Clock {
        Clock { millis: Arc::new(AtomicU64::new(at.millis())) }
    }

    fn is(&self, at: Moment) {
        self.millis.fetch_max(at.millis(), Ordering::Relaxed);
    }

    fn told(&self) -> Arc<dyn Fn() -> Moment + Send + Sync> {
        let millis = Arc::clone(&self.millis);
        Arc::new(move || Moment::from_millis(millis.load(Ordering::Relaxed)))
    }
}

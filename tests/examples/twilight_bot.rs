//! The word game on twilight: one loop that takes events from the gateway, a task for each, and how it is all shut down.
//!
//! The module `twilight` here is a stand-in: it has the few names of the real crates that a bot of this kind needs, with the
//! same shapes, so that nothing has to be installed. What is outside of it is what such a bot looks like.
//!
//! ```console
//! cargo run --example twilight_bot --features game
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod stand_in;

use scorebook::game::{Answer, Ask, Bot, BotSetup, Caller, Refusal};
use scorebook::{EventStore, ExecuteError};
use stand_in::{Tasks, block_on};
use std::sync::Arc;
use twilight::{Client, Event, Message, Shard};

/// How commands begin in a guild.
const PREFIX: &str = "wm";

/// What every task is given.
#[derive(Clone)]
struct Context {
    bot: Bot,
    http: Arc<Client>,
}

/// Takes events until the gateway is closed.
async fn run(mut shard: Shard<'_>, context: Context, tasks: &Tasks) {
    while let Some(event) = shard.next_event().await {
        match event {
            Event::MessageCreate(message) => tasks.spawn(heard(context.clone(), message)),
            // Heartbeats come all the time: as good a clock as any. What is due by then is done.
            Event::GatewayHeartbeatAck => tasks.spawn(pass_time(context.clone())),
            Event::GatewayClose => break,
        }
    }
}

async fn heard(Context { bot, http }: Context, message: Message) {
    let Some(asked) = asked(&message) else { return };
    let outcome = match asked {
        Ok(ask) => bot.ask(caller(&message), ask).await,
        Err(refusal) => Err(ExecuteError::Refused(refusal)),
    };
    match outcome {
        Ok(answer) => {
            tell(&http, &answer).await;
            // What was looked up, such as a leaderboard, is for whoever has asked.
            if let Some(report) = answer.report() {
                http.create_message(message.author, report.to_string()).await;
            }
        }
        Err(ExecuteError::Refused(refusal)) => http.create_message(message.author, format!("No: {refusal}.")).await,
        Err(ExecuteError::Conflict(_)) => http.create_message(message.author, "Try again.".to_owned()).await,
        Err(ExecuteError::Store(error)) => http.create_message(message.author, format!("Sorry: {error}.")).await,
    }
}

/// What a message asks for, if it is for the bot: in a guild what has the prefix, in a direct message everything.
fn asked(message: &Message) -> Option<Result<Ask, Refusal>> {
    match message.guild {
        Some(_) => message.content.strip_prefix(PREFIX).map(Ask::typed),
        None => Some(Ask::direct(&message.content)),
    }
}

/// The message's id makes it idempotent: the gateway delivers messages again when it resumes.
fn caller(message: &Message) -> Caller {
    let (interaction, player, channel) = (message.id.into(), message.author.into(), message.channel.into());
    match message.guild {
        Some(guild) => Caller::in_guild(interaction, player, guild.into(), channel),
        None => Caller::direct(interaction, player, channel),
    }
}

async fn pass_time(Context { bot, http }: Context) {
    match bot.pass_time().await {
        Ok(answers) => {
            for answer in answers {
                tell(&http, &answer).await;
            }
        }
        Err(error) => println!("the store: {error}"),
    }
}

async fn tell(http: &Client, answer: &Answer) {
    for message in answer.messages() {
        http.create_message(message.to().get(), message.to_string()).await;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let http = Arc::new(Client::default());

    for evening in [first_evening(), second_evening()] {
        // First the store, then the bot, and only then the gateway: nobody is heard before every game goes on.
        let store = EventStore::open(directory.path().join("bot.scorebook"))?;
        let tasks = Tasks::default();
        block_on(async {
            let (bot, recovered) = Bot::start(&store, BotSetup::default()).await?;
            for message in recovered.messages() {
                http.create_message(message.to().get(), message.to_string()).await;
            }
            run(Shard::new(evening, &tasks), Context { bot, http: http.clone() }, &tasks).await;
            Ok::<_, scorebook::Error>(())
        })?;
        // The gateway is closed: what was heard is finished, and then the store is closed.
        tasks.finish();
        store.close()?;
    }

    let sent = http.sent();
    assert!(sent.iter().any(|(_, text)| text.contains("a match")), "{sent:?}");
    for (to, text) in sent {
        println!("to {to}: {}", text.replace('\n', " / "));
    }
    Ok(())
}

/// Two people become a team and open a game.
fn first_evening() -> Vec<Event> {
    let said = [
        (7, Some(9), "wmteam <@8> Night owls"),
        (8, Some(9), "wmok"),
        (8, Some(9), "wmopen two-player team"),
        (7, Some(9), "wmstart"),
        (7, Some(9), "good evening everybody"),
        (7, None, "anchor"),
    ];
    (1..).zip(said).map(|(id, (author, guild, text))| Event::message(id, author, guild, text)).collect()
}

/// The bot was away for the night. The first message is one that it has had.
fn second_evening() -> Vec<Event> {
    let said = [(6, 7, None, "anchor"), (7, 8, None, "anchors"), (8, 8, Some(9), "wmleave")];
    said.into_iter().map(|(id, author, guild, text)| Event::message(id, author, guild, text)).collect()
}

/// A stand-in: what a bot sees of twilight.
mod twilight {
    use super::stand_in::Tasks;
    use std::sync::{Mutex, PoisonError};

    pub(crate) struct Message {
        pub(crate) id: u64,
        pub(crate) author: u64,
        pub(crate) guild: Option<u64>,
        pub(crate) channel: u64,
        pub(crate) content: String,
    }

    pub(crate) enum Event {
        MessageCreate(Message),
        GatewayHeartbeatAck,
        GatewayClose,
    }

    impl Event {
        pub(crate) fn message(id: u64, author: u64, guild: Option<u64>, content: &str) -> Event {
            Event::MessageCreate(Message { id, author, guild, channel: 10, content: content.to_owned() })
        }
    }

    /// Gives what was written beforehand, each message when the one before it has been answered, and a heartbeat behind each.
    pub(crate) struct Shard<'a> {
        coming: std::vec::IntoIter<Event>,
        is_beat_due: bool,
        answering: &'a Tasks,
    }

    impl Shard<'_> {
        pub(crate) fn new(events: Vec<Event>, answering: &Tasks) -> Shard<'_> {
            Shard { coming: events.into_iter(), is_beat_due: false, answering }
        }

        pub(crate) async fn next_event(&mut self) -> Option<Event> {
            self.answering.finish();
            if std::mem::take(&mut self.is_beat_due) {
                return Some(Event::GatewayHeartbeatAck);
            }
            self.is_beat_due = true;
            Some(self.coming.next().unwrap_or(Event::GatewayClose))
        }
    }

    /// Remembers what would have been sent.
    #[derive(Default)]
    pub(crate) struct Client(Mutex<Vec<(u64, String)>>);

    impl Client {
        pub(crate) async fn create_message(&self, to: u64, text: String) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((to, text));
        }

        pub(crate) fn sent(&self) -> Vec<(u64, String)> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }
}

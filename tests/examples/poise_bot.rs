//! The word game on poise: slash commands, direct messages, the clock, and how it is all shut down.
//!
//! The module `poise` here is a stand-in: it has the few names of the real one that a bot of this kind needs, with the same
//! shapes, so that nothing has to be installed. What is outside of it is what such a bot looks like.
//!
//! ```console
//! cargo run --example poise_bot --features game
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod stand_in;

use scorebook::game::{Answer, Ask, Bot, BotSetup, Caller, GameConfig, GameId, Mode, Refusal};
use scorebook::{EventStore, ExecuteError};
use stand_in::{Tasks, block_on};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Context<'a> = poise::Context<'a, Data>;

/// What every handler is given.
struct Data {
    bot: Bot,
}

// The commands. With poise each has `#[poise::command(slash_command)]` above it.

async fn open(ctx: Context<'_>, mode: Mode) -> Result<(), Error> {
    ask(&ctx, Ask::Open { config: GameConfig::of(mode) }).await
}

async fn join(ctx: Context<'_>, game: GameId) -> Result<(), Error> {
    ask(&ctx, Ask::Join { game }).await
}

async fn start(ctx: Context<'_>) -> Result<(), Error> {
    ask(&ctx, Ask::Start { game: None }).await
}

/// What is written to the bot directly is said in the player's game.
async fn direct_message(ctx: Context<'_>) -> Result<(), Error> {
    match Ask::direct(ctx.content()) {
        Ok(said) => ask(&ctx, said).await,
        Err(refusal) => ctx.say(refusal.to_string()).await,
    }
}

/// Asks the bot, and tells everybody what came of it.
async fn ask(ctx: &Context<'_>, ask: Ask) -> Result<(), Error> {
    match ctx.data().bot.ask(caller(ctx), ask).await {
        Ok(answer) => {
            tell(ctx.http(), &answer).await?;
            let done =
                || answer.game().map_or("That is so already.".to_owned(), |game| format!("Done, in game {game}."));
            ctx.say(answer.report().map_or_else(done, ToString::to_string)).await
        }
        Err(ExecuteError::Refused(Refusal::AmbiguousGame(games))) => ctx.say(format!("Which one? {games:?}")).await,
        Err(ExecuteError::Refused(refusal)) => ctx.say(format!("No: {refusal}.")).await,
        Err(ExecuteError::Conflict(_)) => ctx.say("Too many at once. Try again.".to_owned()).await,
        Err(ExecuteError::Store(error)) => Err(error.into()),
    }
}

/// The interaction's id makes it idempotent: should Discord deliver it twice, or the bot die before it has told everybody,
/// the same answer comes again, and is told again.
fn caller(ctx: &Context<'_>) -> Caller {
    let (interaction, player, channel) = (ctx.id().into(), ctx.author().id.into(), ctx.channel_id().into());
    let caller = match ctx.guild_id() {
        Some(guild) => Caller::in_guild(interaction, player, guild.into(), channel),
        None => Caller::direct(interaction, player, channel),
    };
    caller.named(&ctx.author().name)
}

async fn tell(http: &poise::Http, answer: &Answer) -> Result<(), Error> {
    for message in answer.messages() {
        http.direct_message(message.to().get(), message.to_string()).await?;
    }
    Ok(())
}

/// Lets time pass: waits until something is due, at most for a second, so that what an answer brings forward is seen.
fn run_clock(bot: Bot, http: Arc<poise::Http>) -> (Sender<()>, JoinHandle<Result<(), Error>>) {
    let (stop, stopped) = mpsc::channel();
    let clock = thread::spawn(move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_secs(1)) {
            for answer in bot.pass_time().wait()? {
                block_on(tell(&http, &answer))?;
            }
        }
        Ok(())
    });
    (stop, clock)
}

fn main() -> Result<(), Error> {
    let directory = tempfile::tempdir()?;
    let http = Arc::new(poise::Http::default());

    // First the store, then the bot, and only then Discord: nobody is heard before every game goes on.
    let store = EventStore::open(directory.path().join("bot.scorebook"))?;
    let (bot, recovered) = Bot::start(&store, BotSetup::default()).wait()?;
    for message in recovered.messages() {
        block_on(http.direct_message(message.to().get(), message.to_string()))?;
    }
    let (stop, clock) = run_clock(bot.clone(), http.clone());
    let framework = poise::Framework::new(Data { bot }, http.clone());

    play(&framework)?;

    // The other way around: hear nobody any more, finish what was heard, stop the clock, close the store.
    framework.shutdown_all();
    stop.send(())?;
    clock.join().expect("the clock does not panic")?;
    drop(framework);
    store.close()?;

    let said = http.said();
    assert!(said.iter().any(|(to, text)| *to == 7 && text.contains("a match, at attempt 1!")), "{said:?}");
    for (to, text) in said {
        println!("to {to}: {}", text.replace('\n', " / "));
    }
    Ok(())
}

/// What two people do of an evening.
fn play(framework: &poise::Framework<Data>) -> Result<(), Error> {
    let game = framework.slash(7, "ada", |ctx| block_on(open(ctx, Mode::TwoPlayer)))?;
    let id = game.rsplit(' ').next().map(|id| id.trim_end_matches('.').parse::<GameId>());
    let id = id.and_then(Result::ok).ok_or("the answer names the game")?;
    framework.slash(7, "ada", |ctx| block_on(join(ctx, id)))?;
    framework.slash(8, "grace", |ctx| block_on(join(ctx, id)))?;
    framework.slash(8, "grace", |ctx| block_on(start(ctx)))?;
    let refused = framework.direct(7, "ada", "qwertyuiop", |ctx| block_on(direct_message(ctx)))?;
    assert!(refused.contains("not in the dictionary"), "{refused}");
    // Both at once, each in a task of its own, as they come.
    let tasks = Tasks::default();
    for (player, name, word) in [(7, "ada", "anchor"), (8, "grace", "anchors")] {
        let framework = framework.clone();
        tasks.spawn(async move {
            framework.direct(player, name, word, |ctx| block_on(direct_message(ctx))).expect("it is a word");
        });
    }
    tasks.finish();
    Ok(())
}

/// A stand-in: what a bot sees of poise.
mod poise {
    use super::Error;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    pub(crate) struct User {
        pub(crate) id: u64,
        pub(crate) name: String,
    }

    pub(crate) struct Context<'a, D> {
        data: &'a D,
        http: &'a Http,
        id: u64,
        author: User,
        guild: Option<u64>,
        content: String,
        answer: &'a Mutex<String>,
    }

    impl<D> Context<'_, D> {
        pub(crate) fn data(&self) -> &D {
            self.data
        }

        pub(crate) fn http(&self) -> &Http {
            self.http
        }

        pub(crate) fn id(&self) -> u64 {
            self.id
        }

        pub(crate) fn author(&self) -> &User {
            &self.author
        }

        pub(crate) fn guild_id(&self) -> Option<u64> {
            self.guild
        }

        pub(crate) fn channel_id(&self) -> u64 {
            10
        }

        pub(crate) fn content(&self) -> &str {
            &self.content
        }

        pub(crate) async fn say(&self, text: String) -> Result<(), Error> {
            *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = text;
            Ok(())
        }
    }

    /// Remembers what would have been sent.
    #[derive(Default)]
    pub(crate) struct Http(Mutex<Vec<(u64, String)>>);

    impl Http {
        pub(crate) async fn direct_message(&self, to: u64, text: String) -> Result<(), Error> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((to, text));
            Ok(())
        }

        pub(crate) fn said(&self) -> Vec<(u64, String)> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    pub(crate) struct Framework<D>(Arc<(D, Arc<Http>, AtomicU64)>);

    impl<D> Clone for Framework<D> {
        fn clone(&self) -> Framework<D> {
            Framework(self.0.clone())
        }
    }

    impl<D> Framework<D> {
        pub(crate) fn new(data: D, http: Arc<Http>) -> Framework<D> {
            Framework(Arc::new((data, http, AtomicU64::new(1))))
        }

        /// Somebody uses a slash command in guild 9. Gives what was answered.
        pub(crate) fn slash(
            &self,
            player: u64,
            name: &str,
            command: impl FnOnce(Context<'_, D>) -> Result<(), Error>,
        ) -> Result<String, Error> {
            self.heard(player, name, Some(9), "", command)
        }

        /// Somebody writes to the bot directly. Gives what was answered.
        pub(crate) fn direct(
            &self,
            player: u64,
            name: &str,
            text: &str,
            handler: impl FnOnce(Context<'_, D>) -> Result<(), Error>,
        ) -> Result<String, Error> {
            self.heard(player, name, None, text, handler)
        }

        fn heard(
            &self,
            id: u64,
            name: &str,
            guild: Option<u64>,
            text: &str,
            handler: impl FnOnce(Context<'_, D>) -> Result<(), Error>,
        ) -> Result<String, Error> {
            let (data, http, interactions) = &*self.0;
            let author = User { id, name: name.to_owned() };
            let answer = Mutex::default();
            let (interaction, content) = (interactions.fetch_add(1, Ordering::Relaxed), text.to_owned());
            handler(Context { data, http, id: interaction, author, guild, content, answer: &answer })?;
            Ok(answer.into_inner().unwrap_or_else(PoisonError::into_inner))
        }

        /// From here on nobody is heard, and who was is answered.
        pub(crate) fn shutdown_all(&self) {}
    }
}

//! `play`: two people at one terminal play a game, which is kept in the store and goes on when it was interrupted.

mod seats;
mod talk;

use crate::cli::Tool;
use crate::cli::demo::mixed_text;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Format;
use scorebook::ExecuteError;
use scorebook::game::{
    Answer, Ask, Bot, BotSetup, Caller, ChannelId, Game, GameConfig, GameId, GameStats, GuildId, InteractionId,
    ModeStats, PlayerId, Refusal, Situation,
};
use seats::Seats;
use std::time::SystemTime;
use talk::Talk;

/// Plays a game for two at one terminal: each sees a word the other does not, and they try to say the same one.
///
/// Between two words the screen is cleared. The game is kept in the store: interrupted, by Ctrl-C or the end of the input, it
/// goes on when the same two play again. `give up` asks for other words.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Who plays: two names [default: asked for]
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    names: Vec<String>,
    /// How many rounds a new game has
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// With how many attempts for each round, on average, a new game is won
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    threshold: u32,
}

/// The guild of everybody who plays at a terminal.
const GUILD: u64 = 1;

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    if tool.format.is_some_and(|format| format != Format::Table) {
        return Err(Failure::new(Exit::Usage, "a game is for people: it prints text only"));
    }
    let mut talk = Talk::new();
    let Some(seats) = Seats::of(&arguments.names, &mut talk)? else { return Ok(()) };
    let store = tool.open()?;
    let (bot, recovered) = Bot::start(&store, BotSetup::default()).wait()?;
    let mut play = Play { bot, seats, talk, shown: [None, None], asked: 0 };
    let game = match play.unfinished()? {
        Some(game) => {
            recovered.messages().for_each(|message| play.seats.show(&mut play.shown, game, message));
            play.talk.say("The game goes on.\n")?;
            game
        }
        None => {
            let config =
                GameConfig::TwoPlayer { rounds_required: arguments.rounds, success_threshold: arguments.threshold };
            play.begin(config)?
        }
    };
    let end = play.rounds(game)?;
    match end {
        End::Over => play.tell_end(game)?,
        End::Interrupted => play.talk.say("\nThe game waits: play again to go on.\n")?,
    }
    drop(play);
    Ok(store.close()?)
}

/// How it came to an end.
enum End {
    Over,
    Interrupted,
}

/// Two people and a bot.
struct Play {
    bot: Bot,
    seats: Seats,
    talk: Talk,
    /// Where the game stands for each of them.
    shown: [Option<Situation>; 2],
    asked: u64,
}

impl Play {
    /// The game that the two did not finish.
    fn unfinished(&self) -> Result<Option<GameId>, Failure> {
        let of = |at: usize| self.bot.games_of(self.seats.player(at));
        let (first, second) = (of(0)?, of(1)?);
        for seat in first.iter().chain(&second) {
            let is_of_both = first.contains(seat) && second.contains(seat);
            let game = self.bot.store().aggregate::<Game>(&seat.game.stream()).load()?.into_state();
            if is_of_both && seat.guild == GuildId::from(GUILD) && game.is_played() {
                return Ok(Some(seat.game));
            }
            // Somebody left before it began, or plays with another one: that game is given up.
            let others = game.players().into_iter().filter(|player| !self.seats.has(*player)).count();
            if others != 0 {
                let text = "one of you is in a game with somebody else: finish that one first";
                return Err(Failure::new(Exit::Other, text));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, config: GameConfig) -> Result<GameId, Failure> {
        let opened = self.asks(0, Ask::Open { config })?.map_err(refused)?;
        let game =
            opened.game().ok_or_else(|| Failure::new(Exit::Other, "the game was opened, and nobody knows which"))?;
        for at in [0, 1] {
            // Who was interrupted here joins another one now, and leaves that.
            if let Err(Refusal::AlreadyPlaying(_)) = self.joins(at, game)? {
                self.asks(at, Ask::Leave { game: None })?.map_err(refused)?;
                self.joins(at, game)?.map_err(refused)?;
            }
        }
        let started = self.asks(0, Ask::Start { game: Some(game) })?.map_err(refused)?;
        self.hear(game, &started);
        Ok(game)
    }

    fn joins(&mut self, at: usize, game: GameId) -> Result<Result<(), Refusal>, Failure> {
        Ok(self.asks(at, Ask::Join { game })?.map(|_| ()))
    }

    /// Lets the two say words, until the game is over or nobody says anything any more.
    fn rounds(&mut self, game: GameId) -> Result<End, Failure> {
        while self.shown.iter().flatten().all(|shown| *shown != Situation::Over) {
            let Some(at) = self.shown.iter().position(|shown| matches!(shown, Some(Situation::Say { .. }))) else {
                return Err(Failure::new(Exit::Other, "the game waits for nobody"));
            };
            if !self.turn(at, game)? {
                return Ok(End::Interrupted);
            }
        }
        Ok(End::Over)
    }

    /// Lets one of them say a word. Whether there was one.
    fn turn(&mut self, at: usize, game: GameId) -> Result<bool, Failure> {
        let name = self.seats.name(at).to_owned();
        if !self.talk.is_alone(&format!("\n{name}, press Enter when nobody else looks. "))? {
            return Ok(false);
        }
        let Some(Situation::Say { round_number, guess_count, .. }) = self.shown[at].clone() else { return Ok(true) };
        let shown = self.shown[at].as_ref().map_or_else(String::new, Situation::to_string);
        self.talk.say(&format!("Round {round_number}, attempt {guess_count}. {name}: {shown}\n"))?;
        loop {
            let Some(word) = self.talk.ask(&format!("{name}> "))? else { return Ok(false) };
            match self.asks(at, Ask::Guess { game: Some(game), word })? {
                Ok(answer) => {
                    self.talk.clear()?;
                    let news = answer.message_to(self.seats.player(at)).map(|message| message.news().to_vec());
                    for news in news.unwrap_or_default() {
                        self.talk.say(&format!("{}\n", self.seats.named(&news.to_string())))?;
                    }
                    self.hear(game, &answer);
                    return Ok(true);
                }
                Err(refusal) => self.talk.say(&format!("No: {refusal}. Something else?\n"))?,
            }
        }
    }

    fn hear(&mut self, game: GameId, answer: &Answer) {
        answer.messages().for_each(|message| self.seats.show(&mut self.shown, game, message));
    }

    fn tell_end(&mut self, game: GameId) -> Result<(), Failure> {
        let state = self.bot.store().aggregate::<Game>(&game.stream()).load()?.into_state();
        let Some(stats) = GameStats::of(&state) else { return Ok(()) };
        let won = if stats.winners.is_empty() { "not won" } else { "won" };
        let mut text = format!("\n{} rounds in {} s: {won}.\n", stats.rounds, stats.duration_ms / 1_000);
        if let ModeStats::TwoPlayer { successful, failed, average_guesses, .. } = stats.of_mode {
            let perfect = stats.perfect_rounds.values().sum::<usize>();
            text.push_str(&format!(
                "{} attempts, {successful} of them matched and {failed} not; {average_guesses:.1} for each round.\n\
                 {perfect} rounds matched at the first attempt.\n",
                stats.total_guesses
            ));
        }
        self.talk.say(&text)
    }

    /// Asks the bot for something. What the rules do not allow is the inner error.
    fn asks(&mut self, at: usize, ask: Ask) -> Result<Result<Answer, Refusal>, Failure> {
        self.asked += 1;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        // Every command is one of its own: nothing delivers one twice here.
        let interaction = InteractionId::from(mixed_text(&format!("{now} {} {}", std::process::id(), self.asked)));
        let (player, guild, channel) = (self.seats.player(at), GuildId::from(GUILD), ChannelId::from(GUILD));
        let caller = Caller::in_guild(interaction, player, guild, channel).named(self.seats.name(at));
        match self.bot.ask(caller, ask).wait() {
            Ok(answer) => Ok(Ok(answer)),
            Err(ExecuteError::Refused(refusal)) => Ok(Err(refusal)),
            Err(ExecuteError::Conflict(conflict)) => Err(Failure::new(Exit::Conflict, conflict.to_string())),
            Err(ExecuteError::Store(error)) => Err(error.into()),
        }
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::new(Exit::Other, refusal.to_string())
}

/// Whoever has a name is the same player in every game at this terminal.
fn player_of(name: &str) -> PlayerId {
    PlayerId::from(mixed_text(&name.to_lowercase()) >> 1)
}

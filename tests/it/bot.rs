//! A club to play in: a bot whose clock is moved by hand and whose chance comes from a seed, with few words and a simple
//! judge; and an account of who plays where, made of the log alone.

use super::game::{NOON, SameWord, guild, numbered, word};
use crate::model::{Chance, seed};
use scorebook::game::*;
use scorebook::{EventStore, ExecuteError, Position, Registry};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What came of something that was asked.
pub(crate) type Asked = Result<Answer, ExecuteError<Refusal>>;

/// Where something is asked: in one of the guilds, or in a direct message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Guild(u64),
    Direct,
}

pub(crate) use At::{Direct, Guild};

/// The guild of most tests.
pub(crate) const HERE: At = Guild(900);

/// So many words, [numbered]; what is written like one may be said.
pub(crate) struct FewWords(pub(crate) usize);

impl Words for FewWords {
    fn count(&self) -> usize {
        self.0
    }

    fn word(&self, number: usize) -> Option<Word> {
        (number < self.0).then(|| word(&numbered(number as u64)))
    }

    fn knows(&self, word: &Word) -> bool {
        word.folded().starts_with('w') && word.folded().ends_with('q')
    }
}

/// A clock and chance that bots share, the one before a restart and the one behind it.
#[derive(Clone)]
pub(crate) struct Props {
    now: Arc<AtomicU64>,
    drawn: Arc<AtomicU64>,
    seed: u64,
    words: usize,
}

impl Props {
    pub(crate) fn new() -> Props {
        let now = Arc::new(AtomicU64::new(NOON.millis()));
        Props { now, drawn: Arc::default(), seed: seed(), words: 2_000 }
    }

    pub(crate) fn words(self, words: usize) -> Props {
        Props { words, ..self }
    }

    pub(crate) fn setup(&self) -> BotSetup {
        let (now, drawn, seed) = (self.now.clone(), self.drawn.clone(), self.seed);
        BotSetup {
            words: Arc::new(FewWords(self.words)),
            judge: Arc::new(SameWord),
            clock: Arc::new(move || Moment::from_millis(now.load(Ordering::SeqCst))),
            chance: Arc::new(move || Chance(seed ^ drawn.fetch_add(1, Ordering::SeqCst) << 20).next()),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::from_millis(self.now.load(Ordering::SeqCst))
    }

    pub(crate) fn set_now(&self, now: Moment) {
        self.now.store(now.millis(), Ordering::SeqCst);
    }

    pub(crate) fn wait(&self, millis: u64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    /// From here on chance goes on as from this place, whatever was drawn before.
    pub(crate) fn draw_from(&self, place: u64) {
        self.drawn.store(place, Ordering::SeqCst);
    }
}

pub(crate) struct Club {
    pub(crate) bot: Bot,
    pub(crate) props: Props,
    interactions: Arc<AtomicU64>,
}

impl Club {
    pub(crate) fn new() -> Club {
        Club::with(Props::new())
    }

    pub(crate) fn with(props: Props) -> Club {
        Club::on(&EventStore::open_in_memory().expect("a store"), props)
    }

    pub(crate) fn on(store: &EventStore, props: Props) -> Club {
        Club::of(Bot::start(store, props.setup()).wait().expect("it starts").0, props)
    }

    pub(crate) fn of(bot: Bot, props: Props) -> Club {
        Club { bot, props, interactions: Arc::new(AtomicU64::new(1)) }
    }

    pub(crate) fn store(&self) -> &EventStore {
        self.bot.store()
    }

    /// Another bot on the same store, as after a restart. Gives what was taken up.
    pub(crate) fn restart(&mut self) -> Recovered {
        let (bot, recovered) = Bot::start(self.store(), self.props.setup()).wait().expect("it starts");
        self.bot = bot;
        recovered
    }

    /// Somebody with an interaction that nobody has seen.
    pub(crate) fn caller(&self, at: At, player: u64) -> Caller {
        caller(self.interactions.fetch_add(1, Ordering::SeqCst), at, player)
    }

    pub(crate) fn ask(&self, at: At, player: u64, ask: Ask) -> Asked {
        self.bot.ask(self.caller(at, player), ask).wait()
    }

    #[track_caller]
    pub(crate) fn done(&self, at: At, player: u64, ask: Ask) -> Answer {
        let name = ask.name();
        self.ask(at, player, ask).unwrap_or_else(|error| panic!("{name} by {player}: {error}"))
    }

    /// What is asked is refused, and nothing has happened, but that a refused word is kept.
    #[track_caller]
    pub(crate) fn refused(&self, at: At, player: u64, ask: Ask) -> Refusal {
        let is_guess = matches!(ask, Ask::Guess { .. });
        let before = self.head();
        let refusal = refusal(self.ask(at, player, ask));
        let after = events_behind(self.store(), before);
        assert!(after.iter().all(|event| is_kept(event) && is_guess), "{refusal}: {after:?}");
        refusal
    }

    /// How many events there are.
    pub(crate) fn head(&self) -> usize {
        usize::try_from(self.store().head().expect("a head").get()).expect("not so many")
    }

    #[track_caller]
    pub(crate) fn open(&self, at: At, config: GameConfig) -> GameId {
        self.done(at, 99, Ask::Open { config }).game().expect("it is open")
    }

    /// A game in which teams have joined, each player after the other.
    #[track_caller]
    pub(crate) fn opened(&self, at: At, config: GameConfig, players: &[u64]) -> GameId {
        let game = self.open(at, config);
        players.iter().for_each(|player| drop(self.done(at, *player, Ask::Join { game })));
        game
    }

    #[track_caller]
    pub(crate) fn started(&self, at: At, mode: Mode, players: &[u64]) -> GameId {
        let game = self.opened(at, GameConfig::of(mode), players);
        self.done(at, players[0], Ask::Start { game: Some(game) });
        game
    }

    pub(crate) fn game(&self, game: GameId) -> Game {
        self.store().aggregate::<Game>(&game.stream()).load().expect("a game").into_state()
    }

    #[track_caller]
    pub(crate) fn say(&self, player: u64, text: &str) -> Answer {
        self.done(Direct, player, say(text))
    }

    /// Both say the same, which nobody has said.
    #[track_caller]
    pub(crate) fn hit(&self, one: u64, other: u64) -> Answer {
        let text = self.fresh();
        self.say(one, &text);
        self.say(other, &text)
    }

    /// A word that nobody has said, and that is not dealt.
    pub(crate) fn fresh(&self) -> String {
        numbered(1_000_000 + self.interactions.fetch_add(1, Ordering::SeqCst))
    }

    /// The two become a team of the guild.
    #[track_caller]
    pub(crate) fn team(&self, at: At, one: u64, other: u64) {
        self.done(at, one, Ask::Invite { invitee: other.into(), name: None });
        self.done(at, other, Ask::Accept { inviter: Some(one.into()) });
    }

    /// Time passes, and what is due is done.
    pub(crate) fn pass(&self, millis: u64) -> Vec<Answer> {
        self.props.wait(millis);
        self.bot.pass_time().wait().expect("the store works")
    }

    /// Lets time pass until nothing is due any more. Gives how often it had to be looked.
    pub(crate) fn play_out(&self) -> usize {
        let mut looks = 0;
        while let Some(due) = self.bot.next_due() {
            self.props.set_now(self.props.now().max(due));
            self.pass(0);
            looks += 1;
            assert!(looks < 100_000, "it never ends: {:?}", self.bot);
        }
        looks
    }

    pub(crate) fn games_of(&self, player: u64) -> Vec<GameId> {
        self.bot.games_of(player.into()).expect("it can be read").into_iter().map(|seat| seat.game).collect()
    }
}

/// Who asks, where, with this interaction.
pub(crate) fn caller(interaction: u64, at: At, player: u64) -> Caller {
    let (interaction, player, channel) = (interaction.into(), player.into(), ChannelId::from(player + 5_000));
    match at {
        Guild(guild) => Caller::in_guild(interaction, player, guild.into(), channel),
        Direct => Caller::direct(interaction, player, channel),
    }
}

pub(crate) fn say(text: &str) -> Ask {
    Ask::Guess { game: None, word: text.to_owned() }
}

pub(crate) fn two_player(rounds_required: u32) -> GameConfig {
    GameConfig::TwoPlayer { rounds_required, success_threshold: 4 }
}

#[track_caller]
pub(crate) fn refusal(asked: Asked) -> Refusal {
    match asked {
        Err(ExecuteError::Refused(refusal)) => refusal,
        Err(other) => panic!("a refusal, not {other}"),
        Ok(answer) => panic!("a refusal, not {:?}", answer.events()),
    }
}

/// Whether an event is a refused word.
pub(crate) fn is_kept(event: &GameEvent) -> bool {
    matches!(event, GameEvent::GuessError(_) | GameEvent::GuessPairError(_))
}

/// All that has happened, in order, without what a test has forged.
pub(crate) fn events(store: &EventStore) -> Vec<GameEvent> {
    events_behind(store, 0)
}

/// What has happened behind the first so many.
fn events_behind(store: &EventStore, count: usize) -> Vec<GameEvent> {
    let registry = Registry::builder().events::<GameEvent>().build().expect("a registry");
    let events = store.read_all().after(Position::new(count as u64)).into_iter().flat_map(|event| {
        let event = event.expect("an event");
        let is_forged = event.json::<String>().is_ok_and(|text| text == "forged");
        if is_forged {
            return Vec::new();
        }
        registry.decode::<GameEvent>(&event).expect("it can be decoded").collect::<Vec<_>>()
    });
    events.collect()
}

/// Who plays where, by the log alone: an account that knows nothing of how the bot finds it.
#[derive(Default)]
pub(crate) struct Account {
    /// Of each game that is not over: its guild, its mode and who is in it.
    pub(crate) games: BTreeMap<GameId, (GuildId, Mode, BTreeSet<PlayerId>)>,
    /// How many games there were.
    pub(crate) count: usize,
}

impl Account {
    /// Takes in all events, and looks behind each whether somebody is in two games that are not longform.
    pub(crate) fn of(events: &[GameEvent]) -> Account {
        let mut account = Account::default();
        for (number, event) in events.iter().enumerate() {
            account.take(event);
            let concerned = if event.base().is_some() { event.players() } else { Vec::new() };
            for player in concerned {
                let games = account.short_games(player);
                assert!(games.len() <= 1, "behind event {number}, {event:?}: {player} is in {games:?}");
            }
        }
        account
    }

    fn take(&mut self, event: &GameEvent) {
        let Some(base) = event.base() else { return };
        if let GameEvent::GameCreated(of) = event {
            let players = of.team_ids.iter().flat_map(|team| team.players()).collect();
            self.games.insert(base.game_id, (base.guild_id, base.mode, players));
            self.count += 1;
            return;
        }
        let Some((guild, mode, players)) = self.games.get_mut(&base.game_id) else { return };
        assert_eq!(base.guild_id, *guild, "every event of a game has its guild");
        match event {
            GameEvent::GameModeChanged(of) => *mode = of.to,
            GameEvent::PlayerJoined(of) => assert!(players.insert(of.player_id), "nobody joins twice"),
            GameEvent::PlayerLeft(of) => assert!(players.remove(&of.player_id), "who leaves was there"),
            GameEvent::TeamEliminated(of) => players.retain(|player| !of.team_id.has(*player)),
            GameEvent::GameCompleted(_) | GameEvent::GameCancelled(_) => drop(self.games.remove(&base.game_id)),
            _ => {}
        }
    }

    fn games_of(&self, player: PlayerId) -> impl Iterator<Item = (&GameId, &(GuildId, Mode, BTreeSet<PlayerId>))> {
        self.games.iter().filter(move |(_, (_, _, players))| players.contains(&player))
    }

    pub(crate) fn short_games(&self, player: PlayerId) -> Vec<GameId> {
        self.games_of(player).filter(|(_, (_, mode, _))| *mode != Mode::Longform).map(|(id, _)| *id).collect()
    }

    /// The game that is meant where none is named: "the player's unfinished game that is not longform, else the only longform
    /// one, else the bot asks", and in a guild only games of that guild.
    pub(crate) fn meant(&self, at: At, player: PlayerId) -> Result<GameId, Refusal> {
        let is_meant = |of: &GuildId| at == Direct || at == Guild(of.get());
        let games = self.games_of(player).filter(|(_, (guild, _, _))| is_meant(guild)).collect::<Vec<_>>();
        if let Some((id, _)) = games.iter().find(|(_, (_, mode, _))| *mode != Mode::Longform) {
            return Ok(**id);
        }
        match games[..] {
            [] => Err(Refusal::GameNotFound),
            [(id, _)] => Ok(*id),
            _ => Err(Refusal::AmbiguousGame(games.iter().map(|(id, _)| **id).collect())),
        }
    }

    /// All games that a player is in.
    pub(crate) fn all_of(&self, player: PlayerId) -> BTreeSet<GameId> {
        self.games_of(player).map(|(id, _)| *id).collect()
    }
}

/// The fixture says what it means: the guild of the tables is the guild of the club.
#[test]
fn a_club_is_in_the_guild_of_the_tables() {
    assert_eq!(HERE, Guild(guild().get()));
}

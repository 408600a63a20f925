//! What is kept of what happens in games, teams and to users.

use super::summary::{CameAs, GameStatus, GameSummary, MatchedRounds, TeamResult};
use crate::game::{GameBase, GameCompleted, GameEvent, GameId, GameStarted, GuildId, Moment, PlayerId, TeamId};
use scorebook::{EventContext, Projection, Query, Saving, Version};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The results of all games, folded from what happens in them: leaderboards, records, history, and what is played now.
///
/// It grows with the games that are over, by some hundred bytes for each team in one, and with players and teams, by their
/// names; not with the words that are said. Less would not do: a board of the last 24 hours is asked for at any moment, so it
/// takes the moment at which each game ended.
///
/// Moments are parameters; no clock is asked. What is asked of all time looks at every game of the guild.
///
/// ```
/// use scorebook::EventStore;
/// use scorebook::game::{Ask, Board, Boards, Bot, BotSetup, Caller, GameConfig, Moment, Period};
///
/// let store = EventStore::open_in_memory()?;
/// let (bot, _) = Bot::start(&store, BotSetup::default()).wait()?;
/// let mut interactions = 1..;
/// let mut ask = |player: u64, text: &str| {
///     let caller = Caller::in_guild(interactions.next().unwrap_or(0).into(), player.into(), 9.into(), 10.into());
///     bot.ask(caller, Ask::typed(text)?).wait().map_err(Box::<dyn std::error::Error>::from)
/// };
/// let game = ask(7, "open two-player")?.game().ok_or("it is open")?;
/// for (player, text) in [(7, format!("join {game}")), (8, format!("join {game}")), (8, "start".to_owned())] {
///     ask(player, &text)?;
/// }
/// for word in ["anchor", "bagel", "cedar", "dome", "engine"] {
///     ask(7, &format!("guess {word}"))?;
///     ask(8, &format!("guess {word}"))?;
/// }
///
/// let boards = store.projection::<Boards>()?;
/// let best = boards.read_at(store.head()?, |boards| {
///     boards.leaderboard(9.into(), Board::Pairs, Period::All, Moment::MAX, 10)
/// })?;
/// assert_eq!((best.len(), best[0].tally.wins, best[0].tally.matches), (1, 1, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Boards {
    guilds: BTreeMap<GuildId, Guild>,
    /// The games that are not over.
    open: BTreeMap<GameId, Open>,
    /// What players are called now.
    names: BTreeMap<PlayerId, String>,
}

/// What is kept of a guild.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Guild {
    teams: BTreeMap<TeamId, Known>,
    /// INVARIANT: in the order in which they ended: by the moment, and of one moment by the position.
    ended: Vec<Ended>,
}

/// A game that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Where the log says so.
    pub(super) position: u64,
    pub(super) summary: GameSummary,
}

/// A game that is not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    summary: GameSummary,
    /// Those that were teams of the guild when it began.
    came_as_teams: BTreeSet<TeamId>,
    rounds: BTreeMap<TeamId, MatchedRounds>,
}

/// A team of a guild.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    name: String,
    members: BTreeSet<PlayerId>,
}

/// What it is folded from.
const TYPES: [&str; 15] = [
    "game_created",
    "game_mode_changed",
    "player_joined",
    "player_left",
    "game_started",
    "guess_processed",
    "game_completed",
    "game_cancelled",
    "replay_created",
    "team_created",
    "team_updated",
    "team_member_added",
    "team_member_removed",
    "user_registered",
    "user_profile_updated",
];

impl Projection for Boards {
    type Event = GameEvent;
    const NAME: &'static str = "game-boards";
    const VERSION: u32 = 1;

    fn query() -> Query {
        let query = Query::all().in_category("game").in_category("replay").in_category("team").in_category("user");
        TYPES.iter().fold(query, |query, of| query.of_type(of))
    }

    fn new() -> Boards {
        Boards { guilds: BTreeMap::new(), open: BTreeMap::new(), names: BTreeMap::new() }
    }

    fn apply(&mut self, event: &GameEvent, context: &EventContext<'_>) {
        if let Some(base) = event.base() {
            self.apply_to_game(event, base, context);
        } else if event.team_base().is_some() {
            self.apply_to_team(event);
        } else {
            self.apply_to_others(event);
        }
    }

    /// An evening of a busy bot.
    fn saving() -> Saving {
        Saving::Every(10_000)
    }
}

impl Boards {
    fn apply_to_game(&mut self, event: &GameEvent, base: &GameBase, context: &EventContext<'_>) {
        if let GameEvent::GameCreated(of) = event {
            // A game begins its stream, and once. What comes later as a beginning is forged.
            if context.version() == Version::FIRST {
                let (came_as_teams, rounds) = (BTreeSet::new(), BTreeMap::new());
                let open = Open { summary: GameSummary::new(of), came_as_teams, rounds };
                self.open.entry(base.game_id).or_insert(open);
            }
            return;
        }
        let is_its = |open: &&mut Open| open.summary.guild_id == base.guild_id;
        let Some(open) = self.open.get_mut(&base.game_id).filter(is_its) else { return };
        let is_played = open.summary.status == GameStatus::Active;
        match event {
            GameEvent::GameModeChanged(of) if !is_played => open.summary.mode = of.to,
            GameEvent::PlayerJoined(of) if !is_played => open.summary.enter(of.team_id),
            // Before the game has started the team goes with a player; afterwards it has played.
            GameEvent::PlayerLeft(of) if !is_played => {
                open.summary.team_ids.retain(|team| !team.has(of.player_id));
            }
            GameEvent::GameStarted(of) if !is_played => {
                let teams = self.guilds.get(&base.guild_id).map(|guild| &guild.teams);
                open.start(of, |team| teams.and_then(|teams| teams.get(&team)).is_some_and(Known::is_complete));
            }
            GameEvent::GuessProcessed(of) if is_played && of.guess_successful => {
                open.rounds.entry(of.team_id).or_default().matched(of);
            }
            GameEvent::GameCompleted(of) if is_played => self.end(base.game_id, context, |open| open.complete(of)),
            GameEvent::GameCancelled(of) => self.end(base.game_id, context, |open| open.cancel(of.base.timestamp)),
            _ => {}
        }
    }

    /// A game is over: what it came to is its guild's from here on.
    fn end(&mut self, game: GameId, context: &EventContext<'_>, end: impl FnOnce(Open) -> GameSummary) {
        let Some(open) = self.open.remove(&game) else { return };
        let ended = Ended { position: context.position().get(), summary: end(open) };
        let ends = &mut self.guilds.entry(ended.summary.guild_id).or_default().ended;
        // Clocks of threads that answer at once differ a little, so it is the last place in most cases, and near it in the rest.
        let behind = ends.iter().rposition(|earlier| earlier.key() < ended.key());
        ends.insert(behind.map_or(0, |at| at + 1), ended);
    }

    fn apply_to_team(&mut self, event: &GameEvent) {
        let Some(base) = event.team_base() else { return };
        let teams = &mut self.guilds.entry(base.guild_id).or_default().teams;
        if let GameEvent::TeamCreated(of) = event {
            let members = base.team_id.players().into_iter().collect();
            teams.insert(base.team_id, Known { name: of.name.clone(), members });
        }
        let Some(team) = teams.get_mut(&base.team_id) else { return };
        match event {
            GameEvent::TeamUpdated(of) => team.name.clone_from(&of.name),
            GameEvent::TeamMemberAdded(of) if base.team_id.has(of.player_id) => {
                team.members.insert(of.player_id);
            }
            GameEvent::TeamMemberRemoved(of) => {
                team.members.remove(&of.player_id);
            }
            _ => {}
        }
    }

    fn apply_to_others(&mut self, event: &GameEvent) {
        match event {
            GameEvent::UserRegistered(of) => {
                let name = of.display_name.as_ref().unwrap_or(&of.username);
                self.names.insert(of.user_id, name.clone());
            }
            GameEvent::UserProfileUpdated(of) => drop(self.names.insert(of.user_id, of.display_name.clone())),
            GameEvent::ReplayCreated(of) => {
                // It comes right behind the end of the game.
                let ended =
                    self.guilds.get_mut(&of.guild_id).into_iter().flat_map(|guild| guild.ended.iter_mut().rev());
                let game = ended.map(|ended| &mut ended.summary).find(|game| game.game_id == of.game_id);
                if let Some(game) = game.filter(|game| game.status == GameStatus::Completed) {
                    game.replay.get_or_insert_with(|| of.name.clone());
                }
            }
            _ => {}
        }
    }

    /// A game of a guild: one that is not over, or was.
    #[must_use]
    pub fn game(&self, guild: GuildId, game: GameId) -> Option<&GameSummary> {
        let open = self.open.get(&game).map(|open| &open.summary).filter(|summary| summary.guild_id == guild);
        open.or_else(|| self.ended(guild).rev().map(|ended| &ended.summary).find(|summary| summary.game_id == game))
    }

    /// The games of a guild that are not over: those that are played, and those that wait for players. The newest first.
    #[must_use]
    pub fn active(&self, guild: GuildId) -> Vec<&GameSummary> {
        let of_guild = self.open.values().map(|open| &open.summary).filter(|summary| summary.guild_id == guild);
        let mut active: Vec<_> = of_guild.collect();
        active.sort_by_key(|summary| std::cmp::Reverse((summary.created_at, summary.game_id)));
        active
    }

    /// What a player is called now.
    #[must_use]
    pub fn player_name(&self, player: PlayerId) -> Option<&str> {
        self.names.get(&player).map(String::as_str)
    }

    /// What a team of a guild is called now, or was when it was one last.
    #[must_use]
    pub fn team_name(&self, guild: GuildId, team: TeamId) -> Option<&str> {
        Some(&self.guilds.get(&guild)?.teams.get(&team)?.name)
    }

    /// The team of a guild that a player is in, if both are. A player is in one at a time.
    #[must_use]
    pub fn team_of(&self, guild: GuildId, player: PlayerId) -> Option<TeamId> {
        let mut teams = self.guilds.get(&guild)?.teams.iter();
        teams.find(|(team, known)| team.has(player) && known.is_complete()).map(|(team, _)| *team)
    }

    /// The guilds in which a game has ended.
    pub fn guilds(&self) -> impl Iterator<Item = GuildId> {
        self.guilds.iter().filter(|(_, guild)| !guild.ended.is_empty()).map(|(id, _)| *id)
    }

    /// The games of a guild that are over, in the order in which they ended.
    pub(super) fn ended(&self, guild: GuildId) -> std::slice::Iter<'_, Ended> {
        self.guilds.get(&guild).map(|guild| guild.ended.iter()).unwrap_or_default()
    }
}

impl fmt::Debug for Boards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.guilds.values().map(|guild| guild.ended.len()).sum::<usize>();
        write!(f, "boards of {} guilds, {ended} games over and {} not", self.guilds.len(), self.open.len())
    }
}

impl GameSummary {
    fn enter(&mut self, team: Option<TeamId>) {
        if let Some(team) = team.filter(|team| !self.team_ids.contains(team)) {
            self.team_ids.push(team);
        }
    }
}

impl Open {
    fn start(&mut self, of: &GameStarted, is_team: impl Fn(TeamId) -> bool) {
        self.summary.status = GameStatus::Active;
        self.summary.started_at = Some(of.started_at);
        self.summary.team_ids.clone_from(&of.team_ids);
        self.came_as_teams = of.team_ids.iter().copied().filter(|team| is_team(*team)).collect();
    }

    fn complete(mut self, of: &GameCompleted) -> GameSummary {
        let came_as = |team: TeamId| if self.came_as_teams.contains(&team) { CameAs::Team } else { CameAs::Pair };
        let rounds = |team: TeamId| self.rounds.get(&team).copied().unwrap_or_default();
        self.summary.complete(of, |team, score| TeamResult::new(team, score, came_as(team), rounds(team)));
        self.summary
    }

    fn cancel(mut self, at: Moment) -> GameSummary {
        self.summary.status = GameStatus::Cancelled;
        self.summary.finished_at = Some(at);
        self.summary
    }
}

impl Ended {
    /// By what the ended games stand in order.
    pub(super) fn key(&self) -> (Moment, u64) {
        (self.summary.end(), self.position)
    }
}

impl Known {
    fn is_complete(&self) -> bool {
        self.members.len() == 2
    }
}

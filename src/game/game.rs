//! The state of a game, and how events change it.
//!
//! What follows from a command is decided in `deciding`, and in the file of each mode. Here nothing is decided: what has
//! happened is taken as it stands in the events, words and verdicts among it, so the same events give the same state for
//! ever.

use super::clock::{Clock, Played};
use super::command::GameCommand;
use super::deadline::Deadline;
use super::deciding;
use super::event::GameEvent;
use super::ids::{GameId, GuildId, PlayerId, TeamId};
use super::mode::{GameConfig, Mode};
use super::moment::Moment;
use super::payload::*;
use super::race;
use super::refusal::Refusal;
use super::side::{Pending, Side};
use super::word::WordPair;
use scorebook::{Aggregate, Carrying, EventContext, Snapshots, StreamName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One more whenever a field of the state changes, or what the fold makes of it.
const STATE_SCHEMA: u32 = 1;

/// The same for states that are carried in the log: what was carried in a lower one is still read.
const CARRIED_SCHEMA: u32 = 1;

/// A game, as an aggregate of the stream `game-{id}`.
///
/// ```
/// use scorebook::EventStore;
/// use scorebook::game::{Game, GameAction, GameCommand, GameConfig, GameId, Mode, Moment, Phase, TeamId};
///
/// let store = EventStore::open_in_memory()?;
/// let now = Moment::from_millis(1_700_000_000_000);
/// let id = GameId::new(now, [7; 10]);
/// let team = TeamId::of(7.into(), 8.into()).expect("they are two");
/// let create = GameAction::Create {
///     guild: 9.into(),
///     by: 7.into(),
///     config: GameConfig::of(Mode::TwoPlayer),
///     teams: vec![team],
/// };
/// let game = store.aggregate::<Game>(&id.stream());
/// game.execute(GameCommand::new(now, create)).once("interaction-1").wait().expect("it is new");
/// assert_eq!(game.load()?.state().phase(), Phase::Open);
/// assert_eq!(game.load()?.state().team_of(8.into()), Some(team));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Game {
    pub(super) id: Option<GameId>,
    #[serde(flatten)]
    pub(super) about: Option<About>,
    pub(super) phase: Phase,
    pub(super) config: GameConfig,
    pub(super) config_version: u32,
    /// The teams, in the order in which they came.
    #[serde(rename = "teams")]
    pub(super) order: Vec<TeamId>,
    pub(super) sides: BTreeMap<TeamId, Side>,
    /// Who came alone and waits for a partner.
    pub(super) waiting: Option<PlayerId>,
    away: BTreeSet<PlayerId>,
    pub(super) clock: Clock,
    /// When something last happened that is no pause.
    pub(super) last_play: Played,
    started_at: Option<Moment>,
    pub(super) started: Played,
    /// The round of all: in a race the first.
    pub(super) round: u32,
    pub(super) round_began: Played,
    pub(super) round_ended: Played,
    eliminations: Vec<Elimination>,
    /// Whether anybody said a word in this round.
    pub(super) is_round_quiet: bool,
    /// The rounds since somebody last said a word.
    pub(super) quiet_rounds: u32,
    winners: Vec<TeamId>,
    pub(super) finished: Played,
}

/// What a game is from its first event on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) guild: GuildId,
    pub(super) creator: PlayerId,
}

/// How far a game is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It does not exist.
    Missing,
    /// Players come and go.
    Open,
    /// A round is played, or in a race one of each team.
    InRound,
    /// A round is over, and the next begins soon.
    BetweenRounds,
    /// It is over.
    Completed,
    /// It ended without a result.
    Cancelled,
}

/// A team that went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elimination {
    /// The team.
    pub team: TeamId,
    /// In which round.
    pub round_number: u32,
    /// Why.
    pub reason: EliminationReason,
    /// Its guess count in that round.
    pub guess_count: u32,
    /// Of those that were forced out together, which it was.
    pub round_position: Option<u32>,
    /// After how many milliseconds played.
    pub played_ms: u64,
}

impl Game {
    /// How far it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Its id; `None` where the stream's name holds none.
    #[must_use]
    pub fn id(&self) -> Option<GameId> {
        self.id
    }

    /// The guild it belongs to.
    #[must_use]
    pub fn guild(&self) -> Option<GuildId> {
        self.about.map(|about| about.guild)
    }

    /// How it is played.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.config.mode()
    }

    /// What is set.
    #[must_use]
    pub fn config(&self) -> &GameConfig {
        &self.config
    }

    /// The teams, in the order in which they came.
    #[must_use]
    pub fn teams(&self) -> &[TeamId] {
        &self.order
    }

    /// A team in the game.
    #[must_use]
    pub fn side(&self, team: TeamId) -> Option<&Side> {
        self.sides.get(&team)
    }

    /// The teams in the game, as they stand.
    pub fn sides(&self) -> impl Iterator<Item = &Side> {
        self.order.iter().filter_map(|team| self.sides.get(team))
    }

    /// The team of a player; `None` for who waits for a partner, and for who is not in the game.
    #[must_use]
    pub fn team_of(&self, player: PlayerId) -> Option<TeamId> {
        self.order.iter().copied().find(|team| team.has(player))
    }

    /// The players, in the order of their teams, who waits for a partner at the end.
    #[must_use]
    pub fn players(&self) -> Vec<PlayerId> {
        self.order.iter().flat_map(|team| team.players()).chain(self.waiting).collect()
    }

    /// Who came alone and waits for a partner.
    #[must_use]
    pub fn waiting(&self) -> Option<PlayerId> {
        self.waiting
    }

    /// Whether a player is here.
    #[must_use]
    pub fn status_of(&self, player: PlayerId) -> PlayerStatus {
        if self.away.contains(&player) { PlayerStatus::Away } else { PlayerStatus::Active }
    }

    /// When it started, if it has.
    #[must_use]
    pub fn started_at(&self) -> Option<Moment> {
        self.started_at
    }

    /// The round of all: in a race, where each team has its own, the first. 0 before the game has started.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Who won: nobody, one team, or several.
    #[must_use]
    pub fn winners(&self) -> &[TeamId] {
        &self.winners
    }

    /// The teams that went, in this order.
    #[must_use]
    pub fn eliminations(&self) -> &[Elimination] {
        &self.eliminations
    }

    /// Since when it is held up, if it is.
    #[must_use]
    pub fn paused_since(&self) -> Option<Moment> {
        self.clock.paused_since()
    }

    /// Who opened it.
    #[must_use]
    pub fn creator(&self) -> Option<PlayerId> {
        self.about.map(|about| about.creator)
    }

    /// For how many milliseconds it has been played, pauses left out: up to its end, or to its last event. 0 before it has
    /// started.
    #[must_use]
    pub fn played_ms(&self) -> u64 {
        match self.phase {
            Phase::Missing | Phase::Open => 0,
            Phase::InRound | Phase::BetweenRounds => self.clock.played(self.clock.last()).saturating_sub(self.started),
            Phase::Completed | Phase::Cancelled if self.started == 0 => 0,
            Phase::Completed | Phase::Cancelled => self.finished.saturating_sub(self.started),
        }
    }

    /// Whether it is over, with a result or without.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Completed | Phase::Cancelled)
    }

    /// Whether it is played: it has started and is not over.
    #[must_use]
    pub fn is_played(&self) -> bool {
        matches!(self.phase, Phase::InRound | Phase::BetweenRounds)
    }

    /// Whether a clock runs against its players, so that a pause is due where the bot was away.
    #[must_use]
    pub fn is_clocked(&self) -> bool {
        self.is_played() && self.mode() != Mode::TwoPlayer
    }

    /// When something is due next, and what; `None` where nothing is, as in a game that is held up or over.
    #[must_use]
    pub fn deadline(&self) -> Option<(Moment, Deadline)> {
        let (played, deadline) = self.next_deadline()?;
        Some((self.clock.moment(played)?, deadline))
    }

    /// How many pairs of words a command to it takes at most: one for each team that is left, and for each that came.
    #[must_use]
    pub fn pairs_needed(&self) -> usize {
        if self.is_over() { 0 } else { self.playing().count().max(1) }
    }

    /// Whether it is in the state of another game but for pauses, and what follows from them alone: when things happened.
    #[must_use]
    pub fn is_same_play(&self, other: &Game) -> bool {
        let without_clock = |game: &Game| Game { clock: Clock::default(), ..game.clone() };
        without_clock(self) == without_clock(other)
    }

    /// The teams that are not out.
    pub(super) fn playing(&self) -> impl Iterator<Item = &Side> {
        self.sides().filter(|side| side.out.is_none())
    }

    /// Takes in what has happened, and nothing that cannot have.
    pub(super) fn fold(&mut self, event: &GameEvent) {
        let Some(base) = event.base().filter(|base| self.can_follow(event, base)) else { return };
        let at = base.timestamp;
        self.clock.happened(at);
        match event {
            GameEvent::GamePaused(of) => return self.clock.pause(of.since),
            GameEvent::GameResumed(of) => return self.clock.resume(of.paused_ms),
            _ => {}
        }
        let now = self.clock.played(at);
        self.last_play = now;
        match event {
            GameEvent::GameCreated(of) => self.created(of),
            GameEvent::GameModeChanged(of) => self.config = GameConfig::of(of.to),
            GameEvent::GameConfigured(of) => {
                self.config = of.config;
                self.config_version = of.config_version;
            }
            GameEvent::PlayerJoined(of) => match of.team_id {
                Some(team) => self.enter(team),
                None => self.waiting = Some(of.player_id),
            },
            GameEvent::PlayerLeft(of) => self.left(of),
            GameEvent::PlayerStatusChanged(of) => {
                match of.to {
                    PlayerStatus::Away => self.away.insert(of.player_id),
                    PlayerStatus::Active => self.away.remove(&of.player_id),
                };
            }
            GameEvent::GameStarted(of) => self.started(of, now),
            GameEvent::RoundStarted(of) => self.round_started(of, now),
            GameEvent::RoundCompleted(of) => self.round_completed(of, now),
            GameEvent::KnockoutRoundCompleted(_) => {
                self.phase = Phase::BetweenRounds;
                self.round_ended = now;
            }
            GameEvent::LongformDayEnded(_) => {
                self.quiet_rounds = if self.is_round_quiet { self.quiet_rounds.saturating_add(1) } else { 0 };
                self.is_round_quiet = true;
            }
            GameEvent::TeamEliminated(of) => self.eliminated(of, now),
            GameEvent::GameCompleted(of) => {
                self.phase = Phase::Completed;
                self.winners.clone_from(&of.winners);
                self.finished = now;
            }
            GameEvent::GameCancelled(_) => {
                self.phase = Phase::Cancelled;
                self.finished = now;
            }
            GameEvent::WordsDealt(_)
            | GameEvent::GuessStarted(_)
            | GameEvent::GuessProcessed(_)
            | GameEvent::GuessAbandoned(_) => self.guessed(event, now),
            // What these say follows from others: the clock of a round from its beginning, the end of a race from the
            // guesses. The rest is no part of a game.
            _ => {}
        }
    }

    fn created(&mut self, of: &GameCreated) {
        self.phase = Phase::Open;
        self.about = Some(About { guild: of.base.guild_id, creator: of.created_by });
        self.config = GameConfig::of(of.base.mode);
        of.team_ids.iter().for_each(|team| self.enter(*team));
    }

    fn enter(&mut self, team: TeamId) {
        self.waiting = self.waiting.filter(|waiting| !team.has(*waiting));
        if self.has_room(team) {
            self.order.push(team);
            self.sides.insert(team, Side::new(team));
        }
    }

    /// Before the game has started, the team goes with a player; after that, it is out, which is an event of its own.
    fn left(&mut self, of: &PlayerLeft) {
        self.waiting = self.waiting.filter(|waiting| *waiting != of.player_id);
        self.away.remove(&of.player_id);
        if self.phase == Phase::Open {
            self.order.retain(|team| !team.has(of.player_id));
            self.sides.retain(|team, _| !team.has(of.player_id));
        }
    }

    fn started(&mut self, of: &GameStarted, now: Played) {
        self.phase = Phase::InRound;
        self.config = of.config;
        self.started_at = Some(of.started_at);
        (self.started, self.round_began, self.round) = (now, now, of.round_number);
        self.sides.values_mut().for_each(|side| side.round = of.round_number);
    }

    fn round_started(&mut self, of: &RoundStarted, now: Played) {
        for (team, state) in &of.team_states {
            if let Some(side) = self.sides.get_mut(team) {
                side.begin(of.round_number, &state.words, now);
            }
        }
        if !self.mode().is_race() {
            self.phase = Phase::InRound;
            self.round = of.round_number;
            self.round_began = now;
        }
    }

    fn round_completed(&mut self, of: &RoundCompleted, now: Played) {
        if let (Some(team), None) = (of.team_id, of.winner_team_id)
            && let Some(side) = self.sides.get_mut(&team)
        {
            side.end_round(false, of.round_score, now);
        }
    }

    fn guessed(&mut self, event: &GameEvent, now: Played) {
        let mode = self.mode();
        match event {
            GameEvent::WordsDealt(of) => {
                if let Some(side) = self.sides.get_mut(&of.team_id) {
                    side.deal(&of.words);
                }
            }
            GameEvent::GuessStarted(of) => {
                self.is_round_quiet = false;
                if let Some(side) = self.sides.get_mut(&of.team_id) {
                    side.pending = Some(Pending { player: of.player_id, word: of.word.clone(), duration: of.duration });
                }
            }
            GameEvent::GuessProcessed(of) => {
                if let Some(side) = self.sides.get_mut(&of.team_id) {
                    match of.guess_successful {
                        true => side.matched(race::points(mode, of.guess_count), now),
                        false => side.missed(WordPair(of.player1_word.clone(), of.player2_word.clone())),
                    }
                }
            }
            GameEvent::GuessAbandoned(of) => {
                let is_given_up = of.reason == AbandonReason::GaveUp;
                self.is_round_quiet &= !is_given_up;
                if let Some(side) = self.sides.get_mut(&of.team_id) {
                    side.abandoned(of.abandoning_player_id, is_given_up);
                }
            }
            _ => {}
        }
    }

    fn eliminated(&mut self, of: &TeamEliminated, now: Played) {
        if let Some(side) = self.sides.get_mut(&of.team_id) {
            side.out = Some(of.reason);
            side.pending = None;
            side.words = None;
        }
        self.eliminations.push(Elimination {
            team: of.team_id,
            round_number: of.round_number,
            reason: of.reason,
            guess_count: of.guess_count,
            round_position: of.round_position,
            played_ms: now.saturating_sub(self.started),
        });
    }
}

impl Aggregate for Game {
    type Event = GameEvent;
    type Command = GameCommand;
    type Refusal = Refusal;

    fn new(stream: &StreamName) -> Game {
        Game {
            id: GameId::of_stream(stream),
            about: None,
            phase: Phase::Missing,
            config: GameConfig::of(Mode::TwoPlayer),
            config_version: 0,
            order: Vec::new(),
            sides: BTreeMap::new(),
            waiting: None,
            away: BTreeSet::new(),
            clock: Clock::default(),
            last_play: 0,
            started_at: None,
            started: 0,
            round: 0,
            round_began: 0,
            round_ended: 0,
            eliminations: Vec::new(),
            is_round_quiet: true,
            quiet_rounds: 0,
            winners: Vec::new(),
            finished: 0,
        }
    }

    fn decide(&self, command: &GameCommand) -> Result<Vec<GameEvent>, Refusal> {
        deciding::decide(self, command)
    }

    fn apply(&mut self, event: &GameEvent, _context: &EventContext<'_>) {
        self.fold(event);
    }

    fn snapshots() -> Option<Snapshots<Game>> {
        Some(Snapshots::json(STATE_SCHEMA))
    }

    fn carrying() -> Option<Carrying<Game>> {
        Some(Carrying::json("word_game", CARRIED_SCHEMA))
    }
}

//! A game that people mean to play: who, how, and how far they have come.

use crate::cli::demo::chance::Chance;
use scorebook::game::{GameConfig, GameId, Mode};

/// A table.
pub(super) struct Table {
    pub(super) guild: usize,
    pub(super) plan: Plan,
    /// Who sits there, the host first; where they come in pairs, one pair behind the other.
    pub(super) players: Vec<usize>,
    pub(super) game: Option<GameId>,
    pub(super) stage: Stage,
    /// How many answers it waits for, to go on to the next stage.
    pub(super) waiting: usize,
    /// How often something was tried.
    pub(super) tries: u32,
    /// When it last heard of its game, in milliseconds of the evening.
    pub(super) heard_at: u64,
}

/// How a game is to be played.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    /// What is set, where it is not the usual.
    pub(crate) config: Option<GameConfig>,
    pub(crate) teams: usize,
    pub(super) come: Come,
    /// Whether anybody will think of starting it.
    pub(super) is_forgotten: bool,
}

/// How people come to a game.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Come {
    /// As teams that have found each other before.
    InPairs,
    /// Everybody alone, teamed with whoever comes next.
    Alone,
}

/// How far a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Teaming,
    Joining,
    Playing,
    /// Open, and nobody comes back to it.
    Forgotten,
    Over,
}

impl Plan {
    pub(super) fn draw(chance: &mut Chance) -> Plan {
        let mode = match chance.below(20) {
            0..6 => Mode::TwoPlayer,
            6..10 => Mode::Knockout,
            10..14 => Mode::Race,
            14..18 => Mode::GolfRace,
            _ => Mode::Longform,
        };
        Plan::of(mode, chance)
    }

    /// A plan for a game of this mode.
    pub(crate) fn of(mode: Mode, chance: &mut Chance) -> Plan {
        let is_crowd = chance.happens(800);
        let teams = match mode {
            Mode::TwoPlayer => 1,
            Mode::Knockout if is_crowd => chance.between(9, 12),
            Mode::Knockout => chance.between(2, 4),
            Mode::Race | Mode::GolfRace => chance.between(2, 3),
            Mode::Longform => chance.between(3, 4),
        };
        let is_usual = chance.happens(5_000);
        let config = match mode {
            // Nobody waits a day tonight.
            Mode::Longform => Some(GameConfig::Longform { day_ms: 150_000 }),
            _ if is_usual => None,
            Mode::TwoPlayer => Some(GameConfig::TwoPlayer { rounds_required: 3, success_threshold: 3 }),
            Mode::Knockout => Some(GameConfig::Knockout { round_ms: 120_000, elimination_guess_limit: 6 }),
            Mode::Race => Some(GameConfig::Race { time_limit_ms: 120_000 }),
            Mode::GolfRace => Some(GameConfig::GolfRace { time_limit_ms: 150_000 }),
        };
        let come = if chance.happens(4_000) { Come::InPairs } else { Come::Alone };
        let is_forgotten = chance.happens(200);
        Plan { mode, config, teams: usize::try_from(teams).unwrap_or(1), come, is_forgotten }
    }
}

impl Table {
    pub(super) fn new(guild: usize, plan: Plan, players: Vec<usize>, now: u64) -> Table {
        Table { guild, plan, players, game: None, stage: Stage::Teaming, waiting: 0, tries: 0, heard_at: now }
    }

    pub(super) fn is_longform(&self) -> bool {
        self.plan.mode == Mode::Longform
    }

    pub(super) fn host(&self) -> usize {
        self.players[0]
    }

    pub(super) fn pair(&self, number: usize) -> Option<[usize; 2]> {
        Some([*self.players.get(2 * number)?, *self.players.get(2 * number + 1)?])
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Forgotten | Stage::Over)
    }
}

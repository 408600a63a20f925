//! What can happen next in a game.
//!
//! A log is a file, and somebody else may have written it. [`rules`](super::rules) say what an event may hold by itself, and
//! nobody asks them when it is read; here is what it may say after the events before it. What cannot have happened changes
//! nothing: so whatever stands in a log, a game is in a state from which it can be played to its end.

use super::event::GameEvent;
use super::game::{Game, Phase};
use super::ids::TeamId;
use super::mode::Mode;
use super::moment::Moment;
use super::payload::{GameBase, PlayerJoined};

impl Game {
    /// Whether an event can be the next of this game. Every event that a command brings about is.
    pub(super) fn can_follow(&self, event: &GameEvent, base: &GameBase) -> bool {
        // Those of other games belong to other streams, and no game runs backwards.
        let is_in_time = self.clock.last() <= base.timestamp && base.timestamp <= Moment::MAX;
        let is_its = self.id == Some(base.game_id) && is_in_time;
        if self.phase == Phase::Missing {
            return is_its && matches!(event, GameEvent::GameCreated(_));
        }
        let is_mode = base.mode == self.mode() || matches!(event, GameEvent::GameModeChanged(_));
        is_its && is_mode && self.guild() == Some(base.guild_id) && self.suits_phase(event)
    }

    fn suits_phase(&self, event: &GameEvent) -> bool {
        match self.phase {
            Phase::Open => self.suits_open(event),
            Phase::InRound | Phase::BetweenRounds => self.suits_play(event),
            Phase::Missing | Phase::Completed | Phase::Cancelled => false,
        }
    }

    fn suits_open(&self, event: &GameEvent) -> bool {
        match event {
            GameEvent::GameModeChanged(_) | GameEvent::GameCancelled(_) => true,
            GameEvent::GameConfigured(of) => of.config.mode() == self.mode(),
            GameEvent::PlayerJoined(of) => self.can_come(of),
            GameEvent::PlayerLeft(of) => self.players().contains(&of.player_id),
            GameEvent::PlayerStatusChanged(of) => self.players().contains(&of.player_id),
            GameEvent::GameStarted(of) => {
                let is_first = of.round_number == 1 && of.config == self.config;
                is_first && of.team_ids == self.order && !self.order.is_empty() && self.waiting.is_none()
            }
            _ => false,
        }
    }

    /// Of a team that comes, the first event brings both players: the second finds them there.
    fn can_come(&self, of: &PlayerJoined) -> bool {
        match of.team_id {
            Some(team) => self.order.contains(&team) || self.has_room(team),
            None => self.waiting.is_none() && self.team_of(of.player_id).is_none(),
        }
    }

    /// Whether one more team may be in the game, and none of its players is in another.
    pub(super) fn has_room(&self, team: TeamId) -> bool {
        let is_present = |player| self.team_of(player).is_some();
        self.order.len() < *self.mode().teams().end() && !team.players().into_iter().any(is_present)
    }

    fn suits_play(&self, event: &GameEvent) -> bool {
        let is_playing = |team: &TeamId| self.side(*team).is_some_and(|side| side.out.is_none());
        // The attempt that is open, and no other.
        let is_attempt = |team, attempt| {
            self.side(team).is_some_and(|side| side.is_guessing() && attempt == (side.round, side.guess_count))
        };
        match event {
            GameEvent::PlayerStatusChanged(of) => self.players().contains(&of.player_id),
            GameEvent::GamePaused(of) => self.paused_since().is_none() && self.clock.last() <= of.since,
            GameEvent::GameResumed(of) => {
                self.paused_since().is_some_and(|since| of.base.timestamp.since(since) == of.paused_ms)
            }
            GameEvent::RoundStarted(of) => {
                // Only in a race does a team begin a round while others are in theirs.
                let is_of_all = of.team_states.len() == self.playing().count();
                0 < of.round_number && (is_of_all || self.mode().is_race()) && of.team_states.keys().all(is_playing)
            }
            GameEvent::RoundCompleted(of) => match of.team_id {
                Some(team) => is_playing(&team) && (self.mode().is_race() || self.mode() == Mode::TwoPlayer),
                None => true,
            },
            // The words of the attempt that was given up are gone, so none is open.
            GameEvent::WordsDealt(of) => {
                let attempt = (of.round_number, of.guess_count);
                let side = self.side(of.team_id).filter(|side| is_playing(&side.team) && !side.has_matched());
                side.is_some_and(|side| attempt == (side.round, side.guess_count))
            }
            GameEvent::GuessStarted(of) => {
                of.team_id.has(of.player_id) && is_attempt(of.team_id, (of.round_number, of.guess_count))
            }
            GameEvent::GuessProcessed(of) => is_attempt(of.team_id, (of.round_number, of.guess_count)),
            GameEvent::GuessAbandoned(of) => is_attempt(of.team_id, (of.round_number, of.guess_count)),
            GameEvent::TeamEliminated(of) => is_playing(&of.team_id),
            GameEvent::PlayerLeft(_) | GameEvent::GameCompleted(_) | GameEvent::GameCancelled(_) => true,
            GameEvent::KnockoutRoundStarted(_) | GameEvent::KnockoutRoundCompleted(_) => self.mode() == Mode::Knockout,
            GameEvent::LongformDayEnded(_) => self.mode() == Mode::Longform,
            GameEvent::RaceModeTimeExpired(_) | GameEvent::GolfRaceTimeExpired(_) => true,
            _ => false,
        }
    }
}

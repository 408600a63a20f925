//! A command on its way through the rules: the events that follow from it so far, and the game with these events in it.
//!
//! Every event is folded in as soon as it is there, so each rule sees what the one before it has done, and what is decided
//! can never differ from what a replay makes of it.

use super::clock::Played;
use super::event::GameEvent;
use super::game::{Game, Phase};
use super::ids::{PlayerId, TeamId};
use super::moment::Moment;
use super::payload::*;
use super::refusal::Refusal;
use super::side::Side;
use super::word::WordPair;
use std::collections::BTreeMap;

pub(super) struct Turn<'a> {
    pub(super) game: Game,
    pub(super) at: Moment,
    deal: std::slice::Iter<'a, WordPair>,
    events: Vec<GameEvent>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(game: &Game, at: Moment, deal: &'a [WordPair]) -> Turn<'a> {
        Turn { game: game.clone(), at, deal: deal.iter(), events: Vec::new() }
    }

    pub(super) fn into_events(self) -> Vec<GameEvent> {
        self.events
    }

    pub(super) fn emit(&mut self, event: impl Into<GameEvent>) {
        let event = event.into();
        self.game.fold(&event);
        self.events.push(event);
    }

    /// What every event of the game holds.
    pub(super) fn base(&self) -> Result<GameBase, Refusal> {
        let about = self.game.about.ok_or(Refusal::GameNotFound)?;
        let game_id = self.game.id.ok_or(Refusal::InvalidStream)?;
        Ok(GameBase { game_id, guild_id: about.guild, mode: self.game.mode(), timestamp: self.at })
    }

    pub(super) fn now(&self) -> Played {
        self.game.clock.played(self.at)
    }

    pub(super) fn side(&self, team: TeamId) -> Result<&Side, Refusal> {
        // Teams are asked for that the rules have just found in the game.
        self.game.side(team).ok_or(Refusal::GameNotFound)
    }

    /// The teams that are not out.
    pub(super) fn playing(&self) -> Vec<TeamId> {
        self.game.playing().map(Side::team).collect()
    }

    /// The next pair to be dealt. Pairs of one word are passed over: nobody would have to guess.
    pub(super) fn take_pair(&mut self) -> Result<WordPair, Refusal> {
        self.deal.find(|pair| !pair.0.is_same(&pair.1)).cloned().ok_or(Refusal::WordsMissing)
    }

    /// Begins a round for some teams, each with words of its own.
    pub(super) fn start_round(&mut self, teams: &[TeamId], round_number: u32) -> Result<(), Refusal> {
        let mut team_states = BTreeMap::new();
        for team in teams {
            let words = self.take_pair()?;
            let TeamScore { score, matches, total_guesses, average_guesses, .. } = self.side(*team)?.standing();
            let state = TeamRoundState {
                active_players: team.players().to_vec(),
                score,
                matches,
                total_guesses,
                average_guesses,
                remaining_guesses: self.game.config.guess_limit(),
                words,
            };
            team_states.insert(*team, state);
        }
        let base = self.base()?;
        self.emit(RoundStarted { base, round_number, team_states });
        Ok(())
    }

    /// Deals words to a team that goes on in its round.
    pub(super) fn deal_words(&mut self, team_id: TeamId) -> Result<(), Refusal> {
        let words = self.take_pair()?;
        let side = self.side(team_id)?;
        let (round_number, guess_count) = (side.round, side.guess_count);
        let base = self.base()?;
        self.emit(WordsDealt { base, team_id, round_number, guess_count, words });
        Ok(())
    }

    /// Ends the open attempt of a team without a comparison.
    pub(super) fn abandon(
        &mut self,
        team_id: TeamId,
        reason: AbandonReason,
        by: Option<PlayerId>,
    ) -> Result<(), Refusal> {
        let side = self.side(team_id)?;
        let pending = side.pending.clone();
        let is_given_up = reason == AbandonReason::GaveUp;
        let [player1_id, player2_id] = team_id.players();
        let event = GuessAbandoned {
            base: self.base()?,
            round_number: side.round,
            team_id,
            player1_id,
            player2_id,
            reason,
            abandoning_player_id: by,
            last_guess: pending.map(|of| LastGuess { player_id: of.player, word: of.word, duration: of.duration }),
            guess_count: side.guess_count,
            round_guess_count: side.guess_count,
            total_guesses: side.total_guesses.saturating_add(is_given_up.into()),
            guess_duration: is_given_up.then(|| self.now().saturating_sub(side.round_began)),
        };
        self.emit(event);
        Ok(())
    }

    /// Ends the attempts in which a word was said that nobody will answer any more.
    pub(super) fn time_out(&mut self, teams: &[TeamId]) -> Result<(), Refusal> {
        for team in teams {
            if self.side(*team)?.pending.is_some() {
                self.abandon(*team, AbandonReason::Timeout, None)?;
            }
        }
        Ok(())
    }

    /// Puts a team out.
    pub(super) fn eliminate(
        &mut self,
        team_id: TeamId,
        reason: EliminationReason,
        round_position: Option<u32>,
    ) -> Result<(), Refusal> {
        let limit = self.game.config.guess_limit().unwrap_or(u32::MAX);
        let side = self.side(team_id)?;
        let (final_state, final_score) = (side.standing(), side.score);
        let (round_number, guess_count) = (side.round, side.count().min(limit).max(1));
        let base = self.base()?;
        self.emit(TeamEliminated {
            base,
            round_number,
            team_id,
            reason,
            guess_count,
            final_state,
            final_score,
            round_position,
        });
        Ok(())
    }

    /// Ends the round of all: whoever matched with the fewest guesses was best, then whoever was earlier.
    pub(super) fn complete_round(&mut self) -> Result<(), Refusal> {
        let matched = self.game.playing().filter_map(|side| Some((side.matched?, side)));
        let best = matched.min_by_key(|(matched, side)| (matched.guess_count, matched.at, side.team));
        let winner_team_id = best.map(|(_, side)| side.team);
        let round_score = best.and_then(|(_, side)| side.rounds.last()).map_or(0, |round| round.points);
        let round_stats = self.game.playing().flat_map(Side::player_stats).collect();
        let (base, round_number) = (self.base()?, self.game.round);
        self.emit(RoundCompleted { base, round_number, team_id: None, winner_team_id, round_score, round_stats });
        Ok(())
    }

    /// Ends the round of one team that has it for itself.
    pub(super) fn complete_own_round(&mut self, team: TeamId, round_score: i64) -> Result<(), Refusal> {
        let side = self.side(team)?;
        let winner_team_id = side.has_matched().then_some(team);
        let (round_number, round_stats) = (side.round, side.player_stats());
        let (base, team_id) = (self.base()?, Some(team));
        self.emit(RoundCompleted { base, round_number, team_id, winner_team_id, round_score, round_stats });
        Ok(())
    }

    /// Where teams stand.
    pub(super) fn standings(&self, teams: &[TeamId]) -> BTreeMap<TeamId, TeamScore> {
        teams.iter().filter_map(|team| Some((*team, self.game.side(*team)?.standing()))).collect()
    }

    /// Ends the game with a result.
    pub(super) fn complete(&mut self, winners: Vec<TeamId>) -> Result<(), Refusal> {
        let rounds = || self.game.sides().map(|side| side.round);
        let total_rounds =
            if self.game.mode().is_race() { rounds().fold(0, u32::saturating_add) } else { self.game.round };
        let event = GameCompleted {
            base: self.base()?,
            round_number: rounds().max().unwrap_or(0),
            winners,
            final_scores: self.standings(&self.game.order),
            game_duration: self.now().saturating_sub(self.game.started),
            total_rounds,
            finished_at: self.at,
        };
        self.emit(event);
        Ok(())
    }

    /// Ends the game without a result.
    pub(super) fn cancel(&mut self, reason: CancelReason, by: Option<PlayerId>) -> Result<(), Refusal> {
        let (base, player_ids) = (self.base()?, self.game.players());
        self.emit(GameCancelled { base, reason, by, player_ids });
        Ok(())
    }

    /// Whether a round is over, or the game.
    pub(super) fn is_in_round(&self) -> bool {
        self.game.phase == Phase::InRound
    }
}

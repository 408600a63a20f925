//! A team in a game.

use super::clock::Played;
use super::ids::{PlayerId, TeamId};
use super::payload::{EliminationReason, PlayerStats, TeamScore};
use super::word::{Word, WordPair};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A team in a game: its round, its words, and what it has reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    pub(super) team: TeamId,
    /// Why it is out, if it is.
    pub(super) out: Option<EliminationReason>,
    /// Its round, 0 before the first.
    pub(super) round: u32,
    pub(super) round_began: Played,
    /// The pair that it has now: dealt, or guessed last.
    pub(super) words: Option<WordPair>,
    /// All words that were dealt to it in this round, without case. They are forbidden.
    pub(super) dealt: Vec<String>,
    /// Which attempt of the round is open, from 1.
    pub(super) guess_count: u32,
    pub(super) pending: Option<Pending>,
    pub(super) matched: Option<Match>,
    pub(super) score: i64,
    pub(super) matches: u32,
    pub(super) total_guesses: u32,
    /// How its rounds went, those that were left open among them left out.
    pub(super) rounds: Vec<RoundResult>,
    tallies: [Tally; 2],
}

/// A word that waits for the partner's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Who said it.
    pub player: PlayerId,
    /// The word.
    pub word: Word,
    /// Milliseconds since the round began.
    pub duration: u64,
}

/// A match in a round that goes on for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Match {
    pub(super) guess_count: u32,
    pub(super) at: Played,
}

/// How a round of a team went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundResult {
    /// The round.
    pub round_number: u32,
    /// Whether it ended with a match.
    pub is_match: bool,
    /// How many attempts it took.
    pub guess_count: u32,
    /// The points it gave.
    pub points: i64,
    /// How many milliseconds it took.
    pub duration: u64,
}

/// What a player did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    guesses: u32,
    matches: u32,
    abandoned: u32,
    /// The guess counts at the matches, together.
    counts: u64,
}

impl Side {
    pub(super) fn new(team: TeamId) -> Side {
        Side {
            team,
            out: None,
            round: 0,
            round_began: 0,
            words: None,
            dealt: Vec::new(),
            guess_count: 1,
            pending: None,
            matched: None,
            score: 0,
            matches: 0,
            total_guesses: 0,
            rounds: Vec::new(),
            tallies: [Tally::default(); 2],
        }
    }

    /// The team.
    #[must_use]
    pub fn team(&self) -> TeamId {
        self.team
    }

    /// Why it is out of the game, if it is.
    #[must_use]
    pub fn out(&self) -> Option<EliminationReason> {
        self.out
    }

    /// Its round: in a race its own, else that of the game. 0 before the game has started.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// The two words it has now: dealt, or those that did not match.
    #[must_use]
    pub fn words(&self) -> Option<&WordPair> {
        self.words.as_ref()
    }

    /// Whether its two words were dealt, so that each player knows one of them, and not said by the two.
    #[must_use]
    pub fn are_words_dealt(&self) -> bool {
        // What was dealt in this round is forbidden in it, so nobody has said it.
        self.words.as_ref().is_some_and(|words| self.dealt.contains(&words.0.folded()))
    }

    /// Which attempt of the round is open, from 1.
    #[must_use]
    pub fn guess_count(&self) -> u32 {
        self.guess_count
    }

    /// The word that waits for the partner's.
    #[must_use]
    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// Whether it has matched in this round, and waits for the next.
    #[must_use]
    pub fn has_matched(&self) -> bool {
        self.matched.is_some()
    }

    /// Its points.
    #[must_use]
    pub fn score(&self) -> i64 {
        self.score
    }

    /// Its matches.
    #[must_use]
    pub fn matches(&self) -> u32 {
        self.matches
    }

    /// Its attempts that count: pairs that were compared, and pairs that were given up.
    #[must_use]
    pub fn total_guesses(&self) -> u32 {
        self.total_guesses
    }

    /// How its rounds went, those left out that were not played to an end.
    #[must_use]
    pub fn rounds(&self) -> &[RoundResult] {
        &self.rounds
    }

    /// Whether an attempt is open.
    pub(super) fn is_guessing(&self) -> bool {
        self.out.is_none() && self.matched.is_none() && self.words.is_some()
    }

    /// The attempts of this round: those until the match, or with the open one.
    pub(super) fn count(&self) -> u32 {
        self.matched.map_or(self.guess_count, |matched| matched.guess_count)
    }

    pub(super) fn begin(&mut self, round: u32, words: &WordPair, at: Played) {
        self.round = round;
        self.round_began = at;
        self.guess_count = 1;
        self.pending = None;
        self.matched = None;
        self.dealt.clear();
        self.deal(words);
    }

    pub(super) fn deal(&mut self, words: &WordPair) {
        self.dealt.extend([words.0.folded(), words.1.folded()]);
        self.words = Some(words.clone());
    }

    pub(super) fn missed(&mut self, words: WordPair) {
        self.compared();
        self.guess_count = self.guess_count.saturating_add(1);
        self.words = Some(words);
    }

    pub(super) fn matched(&mut self, points: i64, at: Played) {
        self.compared();
        let guess_count = self.guess_count;
        self.matched = Some(Match { guess_count, at });
        self.matches = self.matches.saturating_add(1);
        for tally in &mut self.tallies {
            tally.matches = tally.matches.saturating_add(1);
            tally.counts = tally.counts.saturating_add(guess_count.into());
        }
        self.end_round(true, points, at);
    }

    /// The open attempt is over: given up, it counts.
    pub(super) fn abandoned(&mut self, by: Option<PlayerId>, is_given_up: bool) {
        self.pending = None;
        if let Some(place) = self.team.players().iter().position(|player| Some(*player) == by) {
            self.tallies[place].abandoned = self.tallies[place].abandoned.saturating_add(1);
        }
        if is_given_up {
            self.total_guesses = self.total_guesses.saturating_add(1);
            self.guess_count = self.guess_count.saturating_add(1);
            self.words = None;
        }
    }

    pub(super) fn end_round(&mut self, is_match: bool, points: i64, at: Played) {
        self.score = self.score.saturating_add(points);
        self.pending = None;
        self.words = None;
        let guess_count = if is_match { self.guess_count } else { self.guess_count.saturating_sub(1) };
        let duration = at.saturating_sub(self.round_began);
        self.rounds.push(RoundResult { round_number: self.round, is_match, guess_count, points, duration });
    }

    fn compared(&mut self) {
        self.pending = None;
        self.total_guesses = self.total_guesses.saturating_add(1);
        for tally in &mut self.tallies {
            tally.guesses = tally.guesses.saturating_add(1);
        }
    }

    /// Where it stands, as events say it.
    #[must_use]
    pub fn standing(&self) -> TeamScore {
        TeamScore {
            score: self.score,
            matches: self.matches,
            total_guesses: self.total_guesses,
            average_guesses: average(self.total_guesses.into(), self.matches),
            player_stats: self.player_stats(),
        }
    }

    pub(super) fn player_stats(&self) -> BTreeMap<PlayerId, PlayerStats> {
        let stats = |tally: &Tally| PlayerStats {
            total_guesses: tally.guesses,
            successful_matches: tally.matches,
            abandoned_guesses: tally.abandoned,
            average_guess_count: average(tally.counts, tally.matches),
        };
        self.team.players().into_iter().zip(self.tallies.iter().map(stats)).collect()
    }

    /// Fewer guesses for each match come first; who has no match comes last.
    pub(super) fn fewest_for_each_match(&self, other: &Side) -> std::cmp::Ordering {
        let product = |side: &Side, by: &Side| u64::from(side.total_guesses) * u64::from(by.matches);
        match (self.matches, other.matches) {
            (0, 0) => std::cmp::Ordering::Equal,
            (0, _) => std::cmp::Ordering::Greater,
            (_, 0) => std::cmp::Ordering::Less,
            // Compared as fractions: an average that was rounded would make two teams equal that are not.
            _ => product(self, other).cmp(&product(other, self)),
        }
    }
}

/// The average, or 0 of nothing.
pub(super) fn average(sum: u64, count: u32) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / f64::from(count) }
}

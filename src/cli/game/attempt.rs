//! One pair of words in a game, and what became of it.

use scorebook::game::{AbandonReason, GuessAbandoned, GuessProcessed, GuessStarted, PlayerId, TeamId, Word, WordPair};
use std::cmp::Ordering;

/// An attempt of a team: what it had, what its players said, and what became of it.
pub(super) struct Attempt {
    /// Which of the round, from 1.
    pub(super) number: u32,
    /// The words that were dealt for it; after an ordinary miss none are.
    pub(super) dealt: Option<WordPair>,
    /// What the players of the team said, in the order of the team.
    pub(super) said: [Option<Said>; 2],
    pub(super) outcome: Outcome,
    /// When it was over, in milliseconds since the round began.
    pub(super) ended_ms: Option<u64>,
}

/// A word that was said.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) player: PlayerId,
    pub(super) word: Word,
    /// Milliseconds since the round began.
    pub(super) at_ms: u64,
    /// Milliseconds since the two had the words that they were to guess from.
    pub(super) took_ms: u64,
}

/// What became of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nobody has said a word yet.
    Open,
    /// One word waits for the other.
    Waiting,
    Match,
    Miss,
    Abandoned(AbandonReason, Option<PlayerId>),
}

impl Attempt {
    /// Words were dealt.
    pub(super) fn dealt(number: u32, words: &WordPair) -> Attempt {
        Attempt { dealt: Some(words.clone()), ..Attempt::open(number) }
    }

    /// An attempt with the words of the one before it.
    pub(super) fn open(number: u32) -> Attempt {
        Attempt { number, dealt: None, said: [None, None], outcome: Outcome::Open, ended_ms: None }
    }

    /// The first of two words was said; the words had been there since `since` milliseconds after the round began.
    pub(super) fn begin(&mut self, of: &GuessStarted, since: u64) {
        self.said = in_order(of.team_id, Said::new(of.player_id, &of.word, of.duration, since));
        self.outcome = Outcome::Waiting;
    }

    /// Both words were said.
    pub(super) fn compare(&mut self, of: &GuessProcessed, since: u64) {
        let said = |player, word, at_ms: Option<u64>| Some(Said::new(player, word, at_ms.unwrap_or(since), since));
        self.said = [
            said(of.player1_id, &of.player1_word, of.player1_duration),
            said(of.player2_id, &of.player2_word, of.player2_duration),
        ];
        self.outcome = if of.guess_successful { Outcome::Match } else { Outcome::Miss };
        self.ended_ms = Some(of.guess_duration);
    }

    /// It was over without a comparison.
    pub(super) fn abandon(&mut self, of: &GuessAbandoned, since: u64) {
        if let Some(last) = &of.last_guess {
            self.said = in_order(of.team_id, Said::new(last.player_id, &last.word, last.duration, since));
        }
        self.outcome = Outcome::Abandoned(of.reason, of.abandoning_player_id);
        self.ended_ms = of.guess_duration;
    }

    /// Whether this is the attempt that an event goes on with, which says its number and the words that were said before.
    pub(super) fn is_continued(&self, number: u32, words: &[(PlayerId, &Word)]) -> bool {
        let is_open = matches!(self.outcome, Outcome::Open | Outcome::Waiting);
        let waits = |said: &Said| words.contains(&(said.player, &said.word));
        is_open && self.number == number && self.said.iter().flatten().all(waits)
    }

    /// Who of the two was faster, and by how many milliseconds; nobody where they were equally fast.
    pub(super) fn faster(&self) -> Option<(Option<PlayerId>, u64)> {
        let [Some(first), Some(second)] = &self.said else { return None };
        Some(match first.at_ms.cmp(&second.at_ms) {
            Ordering::Less => (Some(first.player), second.at_ms - first.at_ms),
            Ordering::Greater => (Some(second.player), first.at_ms - second.at_ms),
            Ordering::Equal => (None, 0),
        })
    }
}

impl Said {
    fn new(player: PlayerId, word: &Word, at_ms: u64, since: u64) -> Said {
        Said { player, word: word.clone(), at_ms, took_ms: at_ms.saturating_sub(since) }
    }
}

/// What one player of a team said, in the place of that player.
fn in_order(team: TeamId, said: Said) -> [Option<Said>; 2] {
    if team.players()[0] == said.player { [Some(said), None] } else { [None, Some(said)] }
}

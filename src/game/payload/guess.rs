//! Words are dealt, said, compared and given up.

use super::of_a_game;
use crate::game::{ChannelId, PlayerId, TeamId, Word, WordPair};
use serde::{Deserialize, Serialize};

of_a_game! {
    /// A pair of words was dealt to a team within a round. The pair that begins a round is in `round_started`.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct WordsDealt {
        /// To whom.
        pub team_id: TeamId,
        /// In which round of theirs.
        pub round_number: u32,
        /// For which attempt.
        pub guess_count: u32,
        /// The words.
        pub words: WordPair,
    }
}

of_a_game! {
    /// The first of two words was said: it waits for the partner's.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GuessStarted {
        /// The team.
        pub team_id: TeamId,
        /// Who said it.
        pub player_id: PlayerId,
        /// Where.
        pub channel_id: ChannelId,
        /// The word.
        pub word: Word,
        /// The round.
        pub round_number: u32,
        /// The attempt.
        pub guess_count: u32,
        /// Milliseconds since the round began.
        pub duration: u64,
    }
}

of_a_game! {
    /// Both words were said and compared. The one event that games are made of.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GuessProcessed {
        /// The round.
        pub round_number: u32,
        /// The team.
        pub team_id: TeamId,
        /// Its first player.
        pub player1_id: PlayerId,
        /// Its second player.
        pub player2_id: PlayerId,
        /// What the first player said.
        pub player1_word: Word,
        /// What the second player said.
        pub player2_word: Word,
        /// Whether they match: what the judge said then, which nobody decides again.
        pub guess_successful: bool,
        /// 1 on a match.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub match_score: Option<u32>,
        /// Which attempt of the round this was, from 1.
        pub guess_count: u32,
        /// How many attempts the round has had, with this one.
        pub round_guess_count: u32,
        /// How many attempts of the team the game has had, with this one.
        pub total_guesses: u32,
        /// Milliseconds from the beginning of the round to the later word.
        pub guess_duration: u64,
        /// Milliseconds from the beginning of the round to the first player's word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub player1_duration: Option<u64>,
        /// Milliseconds from the beginning of the round to the second player's word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub player2_duration: Option<u64>,
    }
}

of_a_game! {
    /// An attempt ended without a comparison.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GuessAbandoned {
        /// The round.
        pub round_number: u32,
        /// The team.
        pub team_id: TeamId,
        /// Its first player.
        pub player1_id: PlayerId,
        /// Its second player.
        pub player2_id: PlayerId,
        /// Why.
        pub reason: AbandonReason,
        /// Who did it; nobody where the time was up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub abandoning_player_id: Option<PlayerId>,
        /// The word that waited for its partner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub last_guess: Option<LastGuess>,
        /// Which attempt of the round this was, from 1.
        pub guess_count: u32,
        /// How many attempts the round has had, with this one.
        pub round_guess_count: u32,
        /// How many attempts of the team count in the game. This one counts if it was given up.
        pub total_guesses: u32,
        /// Milliseconds from the beginning of the round until it was given up; absent where nobody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub guess_duration: Option<u64>,
    }
}

/// Why an attempt ended without a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbandonReason {
    /// A player said `give up`.
    GaveUp,
    /// The time was up, and a word had been said.
    Timeout,
    /// A player left the game.
    PlayerQuit,
    /// A player could not be reached.
    Disconnected,
}

/// A word that waited for its partner, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGuess {
    /// Who said it.
    pub player_id: PlayerId,
    /// The word.
    pub word: Word,
    /// Milliseconds since the round began.
    pub duration: u64,
}

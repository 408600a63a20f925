//! Who stands where: leaderboards, the records of players and teams, and the games of a guild. All of it is one projection,
//! [`Boards`], and what is asked of it is worked out from the results it holds.
//!
//! ```text
//! folding    what is kept of what happens: summary, a game in a few lines
//! period     day, week, month; ranking: who is ahead; record: a player, a team; history: the games, page by page
//! ```
//!
//! What counts, everywhere:
//!
//! * A game counts when it is completed, with everything in it, for all who began it, also who was out before its end. A
//!   cancelled one counts nothing.
//! * It counts at the moment it was finished, by the bot's clock.
//! * Of several winners each team has won, and both players of each; of a game without a winner nobody has.
//! * Boards are of one guild. Only the record of a player can be asked for over all guilds.

mod folding;
mod history;
mod period;
mod ranking;
mod record;
mod summary;

pub use folding::Boards;
pub use history::{Cursor, HistoryPage};
pub use period::Period;
pub use ranking::{Board, Contender, Ranked, Tally};
pub use record::{BestGame, PlayerRecord, TeamRecord};
pub use summary::{CameAs, GameStatus, GameSummary, MatchedRound, MatchedRounds, PlayerResult, TeamResult};

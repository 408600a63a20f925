//! A word game as people want to see it.
//!
//! ```text
//! home       which streams are those of the word game
//! story      what happened, in rounds and attempts; attempt: one pair of words, and what became of it
//! sentence   one event in words; words: times and reasons in words; names: who is who
//! head, round, standing: the parts of what is printed; told: all of it, for people and as data
//! leaderboard: who is ahead in a guild
//! grid       tables under names that nobody knew before, as wide as there is room
//! ```

mod attempt;
mod data;
mod grid;
mod head;
mod home;
pub(crate) mod leaderboard;
mod names;
mod round;
mod sentence;
mod standing;
mod story;
mod told;
mod words;

pub(crate) use home::{is_foreign, is_game, knows_nothing_else};
pub(crate) use names::Names;
pub(crate) use sentence::{moment_of, sentence};
pub(crate) use story::Story;
pub(crate) use told::{Told, now};
pub(crate) use words::lasting;

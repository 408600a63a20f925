//! The integration tests: one binary, a module for each subject.

mod aggregates;
mod append;
// The tool once more, as a stranger to the crate would build it: what it names is public, methods and fields too.
#[cfg(feature = "cli")]
#[path = "../../src/cli/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is built here, and run as a command")]
mod cli;
mod concurrency;
mod conditions;
mod crash;
mod damage;
mod derived;
mod directory;
mod doubted;
mod faults;
mod folds;
mod forged;
#[cfg(feature = "game")]
mod game;
#[cfg(feature = "game")]
mod game_commands;
#[cfg(feature = "game")]
mod game_events;
#[cfg(feature = "game")]
mod game_maker;
#[cfg(feature = "game")]
mod game_modes;
#[cfg(feature = "game")]
mod game_play;
#[cfg(feature = "game")]
mod game_rules;
#[cfg(feature = "game")]
mod game_teams;
#[cfg(feature = "game")]
mod game_words;
mod golden;
mod kit;
mod lies;
#[path = "../model/mod.rs"]
mod model;
mod modelling;
#[cfg(feature = "mutants")]
mod mutants;
mod once;
mod process;
mod query;
mod read;
mod reader;
mod regressions;
mod schemas;
mod streams;
mod support;
mod tidy;
#[cfg(feature = "cli")]
mod tool;
mod unreadable;
mod upcasting;

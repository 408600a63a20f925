//! The integration tests: one binary, a module for each subject.

mod aggregates;
mod append;
mod backup;
#[cfg(feature = "game")]
mod boards;
#[cfg(feature = "game")]
mod boards_asks;
#[cfg(feature = "game")]
mod boards_records;
#[cfg(feature = "game")]
mod boards_rules;
#[cfg(feature = "game")]
mod bot;
#[cfg(feature = "game")]
mod bot_asks;
#[cfg(feature = "game")]
mod bot_evenings;
#[cfg(feature = "game")]
mod bot_input;
#[cfg(feature = "game")]
mod bot_messages;
#[cfg(feature = "game")]
mod bot_races;
#[cfg(feature = "game")]
mod bot_recovery;
#[cfg(feature = "game")]
mod bot_repeats;
#[cfg(feature = "game")]
mod bot_replays;
#[cfg(feature = "game")]
mod bot_routing;
#[cfg(feature = "game")]
mod bot_tasks;
mod bus;
mod carrying;
mod carrying_anew;
// The tool once more, as a stranger to the crate would build it: what it names is public, methods and fields too.
#[cfg(feature = "cli")]
#[path = "../../src/cli/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is built here, and run as a command")]
mod cli;
mod compaction;
mod compaction_background;
mod compaction_beside;
mod compaction_crash;
mod compaction_keys;
mod concurrency;
mod conditions;
mod consumer_mishaps;
mod consumer_rules;
mod consumers;
mod counted;
mod crash;
mod damage;
mod deleting;
mod derived;
mod directory;
mod doubted;
#[cfg(feature = "cli")]
mod evening;
mod exporting;
mod exporting_refused;
mod faults;
#[cfg(feature = "game")]
mod feed;
mod folds;
mod forged;
#[cfg(feature = "game")]
mod game;
#[cfg(feature = "game")]
mod game_catalogue;
#[cfg(feature = "game")]
mod game_commands;
#[cfg(feature = "game")]
mod game_details;
#[cfg(feature = "game")]
mod game_events;
#[cfg(feature = "game")]
mod game_fair;
#[cfg(feature = "game")]
mod game_forged;
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
mod health;
mod keyed;
mod kit;
#[cfg(feature = "cli")]
mod leaderboard;
mod lies;
mod mixes;
#[path = "../model/mod.rs"]
mod model;
mod modelling;
#[cfg(feature = "mutants")]
mod mutants;
mod once;
mod other_reader;
mod other_reader_compacted;
mod process;
mod process_keeping;
mod projection_mishaps;
mod projections;
mod query;
mod quotas;
mod quotas_beside;
mod read;
mod reader;
mod regressions;
mod repaired;
mod repairing;
#[cfg(feature = "cli")]
mod replaying;
mod schemas;
mod snapshots;
mod streams;
mod subscriptions;
mod support;
mod tidy;
mod together;
#[cfg(feature = "cli")]
mod tool;
#[cfg(feature = "cli")]
mod tool_carrying;
#[cfg(feature = "cli")]
mod tool_compacting;
#[cfg(feature = "cli")]
mod tool_following;
#[cfg(feature = "cli")]
mod tool_keeping;
mod unreadable;
mod upcasting;
mod watching;
mod watching_panics;

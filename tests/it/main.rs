//! The integration tests: one binary, a module for each subject.

mod aggregates;
mod append;
mod concurrency;
mod conditions;
mod crash;
mod damage;
mod derived;
mod directory;
mod doubted;
mod faults;
mod forged;
mod golden;
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

//! Damage as a loop: every change of bytes and files, and what must come of each.
//!
//! The expected answer is computed without the store: [`layout`] is a second reader of the format, written from
//! `FORMAT.md`, and [`expected`] says from the undamaged files and the change alone what is right.

mod change;
mod expected;
mod layout;
mod look;
mod plan;
mod real;
mod subject;
mod table;

pub(crate) use change::{Change, Edit, Kind};
pub(crate) use expected::Expected;
pub(crate) use layout::Batch;
pub(crate) use plan::{Closeness, Plan, try_change};
pub(crate) use real::replace_files;
pub(crate) use subject::{Subject, unpack};
pub(crate) use table::Table;

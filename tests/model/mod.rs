//! What the tests, the proof and the fuzz targets share: a model of the store, what can be done to a store, the driver
//! that does it and compares, and the loops over crashes, errors and damage.

#![allow(dead_code, unused_imports, reason = "each of the targets that share this uses a part of it")]

pub(crate) mod chance;
mod consuming;
mod crashes;
pub(crate) mod damage;
mod errors;
mod expected;
mod following;
mod ledger;
mod mixing;
pub(crate) mod operation;
mod reading;
mod stories;
mod storm;
mod world;

pub(crate) use chance::{Chance, Choices, Script, seed};
pub(crate) use consuming::Consuming;
pub(crate) use crashes::{Thoroughness, look_only, operations_of, stop_and_look, survive};
pub(crate) use errors::{Failure, fail_and_look, failures_of};
pub(crate) use expected::{Model, check_named, stream};
pub(crate) use following::{Following, followings, operations_of_following, stop_and_follow};
pub(crate) use ledger::{Fate, Found, Ledger};
pub(crate) use mixing::{Mixing, Stopping};
pub(crate) use operation::{Expect, Operation, Part, part};
pub(crate) use stories::{Story, append, stories, write};
pub(crate) use storm::{Storm, Tell, check_event};
pub(crate) use world::{Stopped, World, forget_derived, is_derived, options};

//! Locks, waiting and atomics. Everything in the crate that threads share goes through here, so that a model
//! checker can take its place.

pub(crate) use crossbeam_channel::{Receiver, Sender, unbounded as channel};
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use std::sync::Arc;
#[cfg(feature = "mutants")]
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
pub(crate) use std::thread::{Builder as ThreadBuilder, JoinHandle};
pub(crate) use std::thread::{current as current_thread, sleep, yield_now as pause};

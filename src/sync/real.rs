//! What threads really share.

pub(crate) use crossbeam_channel::{Receiver, Sender, unbounded as channel};
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64};
pub(crate) use std::thread::{Builder as ThreadBuilder, JoinHandle, ThreadId};
pub(crate) use std::thread::{current as current_thread, sleep, yield_now as pause};
pub(crate) use std::thread_local;

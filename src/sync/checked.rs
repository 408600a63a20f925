//! What threads share when a model checker decides who runs: its own locks behind the interface of the real ones.
//!
//! Both checkers mimic the standard library and schedule on one thread of the system, so every lock, wait and atomic
//! here is a moment at which another thread of the model may go on. Two things differ from the real ones:
//!
//! * **Time.** There is none. A wait with a limit gives the lock free, lets the others run for as long as the checker
//!   likes, and says that the time is over: whatever a real wait may see happening before its limit has happened by
//!   then in some schedule, and its caller looks at the state before it believes the time. Waiting for the notification
//!   instead would report as a hang what in truth only takes its time.
//! * **Poison.** A panic leaves locks as usable as the real ones are.

#[cfg(scorebook_loom)]
use loom as checker;
#[cfg(scorebook_shuttle)]
use shuttle as checker;

pub(crate) use checker::sync::atomic::{AtomicU32, AtomicU64};
pub(crate) use checker::sync::mpsc::{Receiver, Sender, channel};
pub(crate) use checker::thread::{Builder as ThreadBuilder, JoinHandle, ThreadId};
pub(crate) use checker::thread::{current as current_thread, yield_now as pause};
// What a model for loom goes through keeps nothing by thread.
#[cfg(scorebook_shuttle)]
pub(crate) use shuttle::thread_local;
#[cfg(scorebook_loom)]
pub(crate) use std::thread_local;

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(checker::sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// INVARIANT: there whenever anybody can see it; a condition variable takes it out for a moment.
    held: Option<checker::sync::MutexGuard<'a, T>>,
}

const HELD: &str = "a guard that can be seen holds its lock";

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(checker::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    /// Whoever holds a lock holds it for moments, and any limit is longer. Where that is not so, because it is the
    /// caller who holds it, the checker finds out.
    pub(crate) fn try_lock_for(&self, _: Duration) -> Option<MutexGuard<'_, T>> {
        Some(self.lock())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(HELD)
    }
}

#[derive(Debug)]
pub(crate) struct Condvar(checker::sync::Condvar);

/// A wait with a limit came to its end.
pub(crate) struct TimeIsUp;

impl TimeIsUp {
    pub(crate) fn timed_out(&self) -> bool {
        true
    }
}

impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar(checker::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect(HELD);
        guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, limit: Duration) -> TimeIsUp {
        drop(guard.held.take());
        pass(limit);
        guard.held = guard.mutex.lock().held;
        TimeIsUp
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Lets a time pass. Loom looks at every moment at which it may be over, and taking a lock is one; saying that this
/// thread has nothing to do would have it look only at those where the others have nothing to do either. Shuttle is told,
/// since one of its schedulers runs the same thread for as long as that does not say so.
fn pass(_: Duration) {
    #[cfg(scorebook_shuttle)]
    pause();
}

/// Who sleeps in a loop waits for the others, and must let them run.
pub(crate) fn sleep(_: Duration) {
    pause();
}

#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(checker::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> RwLock<T> {
        RwLock(checker::sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> checker::sync::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> checker::sync::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

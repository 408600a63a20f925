//! What the examples of bots put in the place of an async runtime: enough to run handlers, on threads.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Handlers that are running. A real runtime has a tracker of tasks for this.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let running = thread::spawn(|| block_on(task));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(running);
    }

    /// Waits until all of them are done.
    pub(crate) fn finish(&self) {
        for task in std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            task.join().expect("a handler does not panic");
        }
    }
}

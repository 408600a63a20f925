//! The store's own threads: one commits what nobody waits for and looks after the ends, one makes room.

use super::EventStore;
use super::writer::{Job, Writer};
use crate::error::{Error, ErrorKind};
use crate::log::{Ends, Ring};
use crate::sync::{Arc, JoinHandle, Receiver, ThreadBuilder, current_thread};
use std::time::Duration;

/// `live` is written at most this often.
const TICK: Duration = Duration::from_millis(1);

/// When this much was written and not synced, it is synced although nobody asked: the sync that ends a segment would
/// otherwise hold up everybody for as long as the disk takes for all of it.
const UNSYNCED_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// The threads of an open store. Dropping this ends them and waits until they have.
pub(super) struct Threads {
    writer: Arc<Writer>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) fn start(writer: &Arc<Writer>, work: Receiver<Job>) -> Result<Threads, Error> {
        let mut threads = Threads { writer: writer.clone(), handles: Vec::new() };
        let keeper = writer.clone();
        threads.spawn("scorebook-keep", move || keep(&keeper))?;
        let maker = writer.clone();
        threads.spawn("scorebook-room", move || {
            while let Ok(Job::Room) = work.recv() {
                maker.make_room();
            }
        })?;
        Ok(threads)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let handle = ThreadBuilder::new().name(name.to_owned()).spawn(body);
        let handle =
            handle.map_err(|error| Error::with_source(ErrorKind::Io, "starting a thread of the store", error))?;
        self.handles.push(handle);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.writer.log.bell().stop();
        if let Some(jobs) = &self.writer.jobs {
            let _ = jobs.send(Job::Stop);
        }
        for handle in self.handles.drain(..) {
            // A waker may have dropped the last handle of the store on one of its own threads.
            if handle.thread().id() != current_thread().id() {
                let _ = handle.join();
            }
        }
    }
}

/// Commits what was polled or dropped; while the store is busy, writes `live` each tick, has room made ahead, syncs what
/// was only written, and writes down the end once it is still.
fn keep(writer: &Writer) {
    let log = &writer.log;
    let mut is_busy = false;
    let mut last_sync = log.storage().elapsed();
    loop {
        match log.bell().listen(is_busy.then_some(TICK)) {
            Ring::Stopped => return,
            Ring::Rung | Ring::TimeIsUp => {}
        }
        log.lead_if_free();
        log.update_live();
        if log.wants_room() {
            writer.ask_for_room();
        }
        // Failures are latched, and told to whoever appends next.
        let now = log.storage().elapsed();
        let ends = log.ends();
        let is_unsynced = ends.durable != ends.visible;
        if !is_unsynced {
            last_sync = now;
        } else if last_sync + log.options().sync_every <= now || UNSYNCED_BYTES_MAX < unsynced_bytes(&ends) {
            let _ = log.sync_behind();
            last_sync = now;
        }
        let is_restless = log.idle().unwrap_or(false);
        is_busy = is_unsynced && log.failure().is_none() || is_restless;
    }
}

/// How much was written to the last segment and not synced.
fn unsynced_bytes(ends: &Ends) -> u32 {
    match ends.durable.segment == ends.visible.segment {
        true => ends.visible.offset.saturating_sub(ends.durable.offset),
        false => ends.visible.offset,
    }
}

impl EventStore {
    /// Does once what the store's own thread does while the store is busy: commits what nobody waits for, writes `live`,
    /// has room made ahead, and writes down the end of the log if it has been still for long enough. For tests: a store on
    /// a simulated disk has no threads, and time passes there only when it is told to.
    #[doc(hidden)]
    pub fn keep_house(&self) {
        let Ok(writer) = self.writer() else { return };
        writer.log.lead_if_free();
        writer.log.update_live();
        if writer.log.wants_room() {
            writer.ask_for_room();
        }
        // A failure is latched, and told to whoever appends next.
        let _ = writer.log.idle();
    }
}

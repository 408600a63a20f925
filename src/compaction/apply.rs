//! Doing what was planned, one row of segments after the other.

use super::judge::{Judge, Verdict};
use super::pace::Pace;
use super::planned::CompactionPlan;
use crate::error::{AppendError, Error, ErrorKind};
use crate::format::{Kind, RecordView};
use crate::log::Keeper;
use crate::observe::spans;
use crate::options::Durability;
use crate::segment::Segment;
use crate::snapshot::SnapshotSource;
use crate::store::EventStore;
use crate::sync::Arc;
use std::ops::ControlFlow;

/// What a compaction came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    segments_before: u64,
    segments_after: u64,
    bytes_before: u64,
    bytes_after: u64,
    events_removed: u64,
    is_complete: bool,
}

/// How far a compaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionProgress {
    bytes_read: u64,
    bytes_to_read: u64,
    bytes_written: u64,
}

impl CompactionPlan {
    /// Does what is planned. `Ok` guarantees that the log is durable as it is now, and where it
    /// [is complete](Compacted::is_complete) that what was to go is gone.
    ///
    /// Interrupted anywhere it has happened to some of the rows of segments and not to the others, and the next plan goes on
    /// from there. While it runs others append and read; who reads keeps what it has. The disk needs room for one segment more.
    ///
    /// # Errors
    ///
    /// * [`Full`](crate::ErrorKind::Full): there is no room for the next segment. What was done before is done.
    /// * [`Damaged`](crate::ErrorKind::Damaged): a segment does not verify; it stays as it is.
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): rules or holds were changed since it was planned; nothing was done.
    /// * [`Poisoned`](crate::ErrorKind::Poisoned): a write or sync failed before.
    /// * [`Io`](crate::ErrorKind::Io), [`ReadOnly`](crate::ErrorKind::ReadOnly), [`Closed`](crate::ErrorKind::Closed).
    pub fn apply(&self) -> Result<Compacted, Error> {
        self.apply_while(|_| ControlFlow::Continue(()))
    }

    /// The same, telling now and then how far it has come: about every mebibyte that is written. Where it is told to break,
    /// the row at hand stays as it is; a `watch` that takes its time has the whole take its time.
    ///
    /// # Errors
    ///
    /// Those of [`apply`](Self::apply).
    pub fn apply_while(&self, watch: impl FnMut(CompactionProgress) -> ControlFlow<()>) -> Result<Compacted, Error> {
        let mut pace = Pace::by_hand(&self.link.store()?, self.bytes_per_second);
        self.apply_at(&mut pace, watch)
    }

    /// The same at a pace.
    pub(super) fn apply_at(
        &self,
        pace: &mut Pace<'_>,
        mut watch: impl FnMut(CompactionProgress) -> ControlFlow<()>,
    ) -> Result<Compacted, Error> {
        let store = self.link.store()?;
        // What was decided since may keep more.
        let Some(mut judge) = Judge::new(&store, self.forced, self.now, pace)? else { return Ok(Compacted::default()) };
        if !judge.has_the_same_rules(&self.judge.lock()) {
            let act = "compacting: rules or holds were changed since this was planned; plan it again";
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        self.truncate(&store, &judge)?;
        let end = |segment: &Arc<Segment>| u64::from(segment.end());
        let all_segments = self.rows.iter().flatten().count() as u64;
        let bytes_to_read = self.rows.iter().flatten().map(end).sum();
        let span = spans::compact(store.observer(), all_segments, bytes_to_read);
        let mut progress = CompactionProgress { bytes_read: 0, bytes_to_read, bytes_written: 0 };
        let mut compacted = Compacted { is_complete: true, ..Compacted::default() };
        for row in &self.rows {
            let mut thinning = Thinning {
                plan: self,
                store: &store,
                pace,
                judge: &mut judge,
                error: None,
                is_over: false,
                progress: &mut progress,
                watch: &mut watch,
            };
            let replaced = store.replace_segments(row, &mut thinning)?;
            if let Some(error) = thinning.error {
                return Err(error);
            }
            let is_over = thinning.is_over;
            let bytes: u64 = row.iter().map(end).sum();
            progress.bytes_read += bytes;
            compacted.is_complete &= replaced.is_some();
            if let Some(replaced) = replaced {
                compacted.segments_before += row.len() as u64;
                compacted.segments_after += 1;
                compacted.bytes_before += bytes;
                compacted.bytes_after += replaced.bytes;
                compacted.events_removed += replaced.events_removed;
            }
            if is_over || watch(progress).is_break() {
                compacted.is_complete &= compacted.segments_before == all_segments;
                break;
            }
        }
        span.record("bytes_after", compacted.bytes_after);
        span.record("events_removed", compacted.events_removed);
        if compacted.segments_before != 0 {
            let freed = compacted.bytes_before.saturating_sub(compacted.bytes_after);
            store.observer().compacted(freed, compacted.events_removed, store.clock());
        }
        forget(&store, &judge)?;
        store.keep_derived()?;
        Ok(compacted)
    }

    /// Has streams begin with what is kept of them.
    fn truncate(&self, store: &EventStore, judge: &Judge) -> Result<(), Error> {
        const AT_A_TIME: usize = 1_000;
        // What was finished since has no beginning any more.
        let all: Vec<_> = self.truncations.iter().filter(|(stream, _)| !judge.is_finished(stream.as_str())).collect();
        for some in all.chunks(AT_A_TIME) {
            let mut batch = store.batch().durability(Durability::Synced);
            for (stream, first) in some {
                batch = batch.truncate_before(stream, *first);
            }
            batch.commit().wait().map_err(AppendError::into_error)?;
        }
        Ok(())
    }
}

/// Removes the snapshots of streams that are finished: what was asked to be forgotten is not kept in another form.
fn forget(store: &EventStore, judge: &Judge) -> Result<(), Error> {
    if !judge.knows_finished() {
        return Ok(());
    }
    for snapshot in store.snapshots()? {
        if let Some(SnapshotSource::Aggregate { stream, .. }) = snapshot.source()
            && judge.is_finished(stream.as_str())
        {
            store.delete_snapshot(&snapshot)?;
        }
    }
    Ok(())
}

/// Leaves out what goes by the plan, and by what was decided since.
struct Thinning<'a, 'p> {
    plan: &'a CompactionPlan,
    store: &'a EventStore,
    pace: &'a mut Pace<'p>,
    judge: &'a mut Judge,
    error: Option<Error>,
    is_over: bool,
    progress: &'a mut CompactionProgress,
    watch: &'a mut dyn FnMut(CompactionProgress) -> ControlFlow<()>,
}

impl Keeper for Thinning<'_, '_> {
    fn keeps(&mut self, record: &RecordView<'_>) -> bool {
        if record.header.kind != Kind::Event {
            return self.judge.keeps_fact(record);
        }
        let mut planned = self.plan.judge.lock();
        let goes = |judge: &mut Judge| judge.event(record).map(|(_, verdict)| matches!(verdict, Verdict::Goes(_)));
        match goes(&mut planned).and_then(|is_planned| Ok(is_planned && goes(self.judge)?)) {
            Ok(goes) => !goes,
            Err(error) => {
                self.error.get_or_insert(error);
                true
            }
        }
    }

    fn wrote(&mut self, bytes: usize) -> bool {
        self.progress.bytes_written += bytes as u64;
        let goes_on = self.error.is_none() && self.pace.goes_on(self.store, bytes as u64);
        self.is_over = !goes_on || (self.watch)(*self.progress).is_break();
        !self.is_over
    }
}

impl Compacted {
    /// How many segments were written anew.
    #[must_use]
    pub fn segments_before(&self) -> u64 {
        self.segments_before
    }

    /// How many stand for them now.
    #[must_use]
    pub fn segments_after(&self) -> u64 {
        self.segments_after
    }

    /// How many bytes those had up to their ends.
    #[must_use]
    pub fn bytes_before(&self) -> u64 {
        self.bytes_before
    }

    /// How many these have.
    #[must_use]
    pub fn bytes_after(&self) -> u64 {
        self.bytes_after
    }

    /// Whether all was done that was planned: not where it was told to break off, nor where another compaction came first.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// How many events are no longer held.
    #[must_use]
    pub fn events_removed(&self) -> u64 {
        self.events_removed
    }
}

impl CompactionProgress {
    /// How many bytes of segments are done with.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// How many there are to be done with.
    #[must_use]
    pub fn bytes_to_read(&self) -> u64 {
        self.bytes_to_read
    }

    /// How many bytes were written.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }
}

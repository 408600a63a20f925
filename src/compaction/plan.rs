//! Finding out what a compaction comes to.

use super::judge::{Forced, Judge, Verdict};
use super::pace::Pace;
use super::planned::{CompactionPlan, LeftBecause, SegmentAct, SegmentPlan, StreamPlan};
use crate::error::{Error, ErrorKind};
use crate::format::Kind;
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::Version;
use crate::segment::{Batches, Segment};
use crate::store::EventStore;
use crate::sync::{Arc, Mutex};
use std::collections::BTreeMap;

/// A compaction that is being put together: made by [`EventStore::compaction`].
#[derive(Clone)]
#[must_use = "nothing is looked at before it is planned"]
pub struct Compaction {
    store: EventStore,
    forced: Forced,
    /// A segment is written anew where so many hundredths of it go.
    share: u8,
    bytes_per_second: Option<u64>,
}

/// So many hundredths of a segment go before it is written anew, where nothing else is said.
const SHARE: u8 = 10;

impl EventStore {
    /// A compaction: removes what may go from the segments that have ended, and makes small ones one.
    ///
    /// What may go is all of a finished stream, what is before the version a stream begins with, and what no
    /// [retention rule](crate::Retention) keeps. Positions, versions, ids, times and bytes of what stays do not change.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::options().segment_bytes_max(32 * 1024).open_in_memory()?;
    /// let game = StreamName::new("game-1")?;
    /// for _ in 0..100 {
    ///     let moved = NewEvent::bytes("moved", vec![0; 1_000]);
    ///     store.append(&game, ExpectedVersion::Any, [moved]).wait().map_err(|error| error.into_error())?;
    /// }
    /// store.tombstone(&game, ExpectedVersion::Any, "it is over").wait().map_err(|error| error.into_error())?;
    /// let plan = store.compaction().plan()?;
    /// let compacted = plan.apply()?;
    /// assert_eq!(compacted.events_removed(), plan.events_going());
    /// assert!(store.stats()?.events() < 50);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn compaction(&self) -> Compaction {
        Compaction { store: self.clone(), forced: Forced::default(), share: SHARE, bytes_per_second: None }
    }
}

impl Compaction {
    /// Removes also what consumers are not done with. Default: that stays.
    pub fn beyond_consumers(mut self) -> Compaction {
        self.forced.beyond_consumers = true;
        self
    }

    /// Removes also the last event of a stream that is not finished. Default: that stays. A stream that has no event left goes on
    /// from its version; until then a read of it fails with [`BelowFloor`](crate::ErrorKind::BelowFloor).
    pub fn with_last_events(mut self) -> Compaction {
        self.forced.last_events = true;
        self
    }

    /// Writes every segment anew of which anything goes. Default: those of which at least a tenth goes.
    pub fn thoroughly(self) -> Compaction {
        Compaction { share: 0, ..self }
    }

    /// Reads at most so many bytes a second while it is planned, and writes at most so many while that is done; 0 counts as 1.
    /// Default: as fast as it goes.
    pub fn bytes_per_second(self, bytes: u64) -> Compaction {
        Compaction { bytes_per_second: Some(bytes), ..self }
    }

    pub(super) fn forced(self, forced: Forced) -> Compaction {
        Compaction { forced, ..self }
    }

    /// Finds out what is to be done. Reads the whole log, and changes nothing: a store that is open for reading only can be asked,
    /// too.
    ///
    /// # Errors
    ///
    /// * [`Damaged`](crate::ErrorKind::Damaged): a segment does not verify; nothing of it is written anew.
    /// * [`Poisoned`](crate::ErrorKind::Poisoned): a write or sync failed before.
    /// * [`Io`](crate::ErrorKind::Io), [`Closed`](crate::ErrorKind::Closed).
    pub fn plan(&self) -> Result<CompactionPlan, Error> {
        let planned = self.plan_at(&mut Pace::by_hand(&self.store, self.bytes_per_second))?;
        planned.ok_or_else(|| Error::new(ErrorKind::Closed, "planning a compaction: the store was closed meanwhile"))
    }

    /// The same at a pace; none where it was told to end.
    pub(super) fn plan_at(&self, pace: &mut Pace<'_>) -> Result<Option<CompactionPlan>, Error> {
        let now = self.store.clock();
        let Some(mut judge) = Judge::new(&self.store, self.forced, now, pace)? else { return Ok(None) };
        let ended = self.store.ended_segments()?;
        let mut scan = Scan { store: &self.store, judge: &mut judge, pace, streams: Vec::new(), window: Vec::new() };
        let mut segments = Vec::new();
        for segment in &ended {
            let Some(planned) = scan.segment(segment)? else { return Ok(None) };
            segments.push(planned);
        }
        let Scan { streams: found, .. } = scan;
        let (mut streams, mut truncations) = (BTreeMap::new(), Vec::new());
        for (number, name, first, is_finished) in judge.streams() {
            let Some(of_stream) = found.get(number).filter(|of_stream| of_stream.plan.is_worth_telling()) else {
                continue;
            };
            let name = StreamName::trusted(name.into());
            let begins = of_stream.last_going.and_then(Version::next).filter(|begins| first < *begins && !is_finished);
            // Where the last event goes and others stay, a record says with which version the stream goes on.
            let loses_last = of_stream.highest_going == Some(judge.last_of(number));
            let says_last = (loses_last && !is_finished).then_some(first);
            truncations.extend(begins.or(says_last).map(|begins| (name.clone(), begins)));
            let drops_state = begins.is_some() && self.store.carried_spot(&name)?.is_some();
            streams.insert(name, StreamPlan { begins_with: begins, drops_state, ..of_stream.plan.clone() });
        }
        truncations.sort();
        let (rows, room) = self.rows(&ended, &mut segments);
        // What may go of these stays, so it is none of what becomes of the streams.
        let mut scan = Scan { store: &self.store, judge: &mut judge, pace, streams: Vec::new(), window: Vec::new() };
        for segment in self.store.unended_segments()? {
            let Some(planned) = scan.segment(&segment)? else { return Ok(None) };
            segments.push(SegmentPlan { act: SegmentAct::Leave(LeftBecause::Active), ..planned });
        }
        Ok(Some(CompactionPlan {
            link: self.store.link(),
            forced: self.forced,
            bytes_per_second: self.bytes_per_second,
            now,
            judge: Mutex::new(judge),
            segments,
            streams,
            rows,
            room,
            truncations,
        }))
    }

    /// Which segments are written anew, in rows that become one each; and how many bytes stay of the largest row.
    fn rows(&self, ended: &[Arc<Segment>], plans: &mut [SegmentPlan]) -> (Vec<Vec<Arc<Segment>>>, u64) {
        let limit = u64::from(self.store.segment_bytes_max());
        let is_due =
            |plan: &SegmentPlan| 0 < plan.bytes_going && plan.bytes * u64::from(self.share) <= plan.bytes_going * 100;
        let is_small = |plan: &SegmentPlan| plan.bytes_staying() < limit / SMALL_PART;
        let (mut rows, mut room) = (Vec::new(), 0);
        let mut begin = 0;
        while begin < plans.len() {
            let (mut end, mut bytes) = (begin, 0);
            while let Some(plan) = plans.get(end)
                && (is_due(plan) || is_small(plan))
                && (end == begin || bytes + plan.bytes_staying() <= limit)
            {
                bytes += plan.bytes_staying();
                end += 1;
            }
            let is_worth_it = end - begin > 1 || plans[begin..end].iter().any(is_due);
            if is_worth_it {
                let act = SegmentAct::Rewrite { row: end - begin };
                plans[begin..end].iter_mut().for_each(|plan| plan.act = act);
                rows.push(ended[begin..end].to_vec());
                room = room.max(bytes);
            }
            begin = end.max(begin + 1);
        }
        (rows, room)
    }
}

/// A segment of which less than this part of the largest stays is made one with its neighbours.
const SMALL_PART: u64 = 4;

/// So much is read at a time.
const PIECE: u64 = 1024 * 1024; // 1 MiB

/// What is found of the records of segments.
struct Scan<'a, 'p> {
    store: &'a EventStore,
    judge: &'a mut Judge,
    pace: &'a mut Pace<'p>,
    /// By number.
    streams: Vec<OfStream>,
    /// Room to read into.
    window: Vec<u8>,
}

#[derive(Clone, Default)]
struct OfStream {
    plan: StreamPlan,
    /// The last event of those that go before any that stays.
    last_going: Option<Version>,
    /// The last event of those that go.
    highest_going: Option<Version>,
    has_staying: bool,
}

impl Scan<'_, '_> {
    /// What becomes of a segment; none where it was told to end.
    fn segment(&mut self, segment: &Segment) -> Result<Option<SegmentPlan>, Error> {
        // That of an active one moves on.
        let end = segment.end();
        let mut plan = SegmentPlan::of_nothing(segment, end);
        let mut batches = Batches::of(segment, end, &mut self.window);
        let mut piece = 0;
        while let Some(batch) = batches.next()? {
            piece += u64::from(batch.header.length);
            if PIECE <= piece && !self.pace.goes_on(self.store, std::mem::take(&mut piece)) {
                return Ok(None);
            }
            for record in batch.records() {
                let len = record.bytes.len() as u64;
                if record.header.kind != Kind::Event {
                    // What was replaced since, by another state or a later checkpoint, and keys that are old.
                    let goes = !self.judge.keeps_fact(&record) && !Mutant::PlansForEventsOnly.is_on();
                    plan.bytes_going += if goes { len } else { 0 };
                    continue;
                }
                plan.events += 1;
                let (number, verdict) = self.judge.event(&record)?;
                if self.streams.len() <= number {
                    self.streams.resize(number + 1, OfStream::default());
                }
                let of_stream = &mut self.streams[number];
                match verdict {
                    Verdict::Goes(why) => {
                        plan.events_going += 1;
                        plan.bytes_going += len;
                        of_stream.plan.events_going += 1;
                        of_stream.plan.bytes_going += len;
                        of_stream.plan.why = of_stream.plan.why.max(Some(why));
                        of_stream.highest_going = Some(record.header.version);
                        if !of_stream.has_staying {
                            of_stream.last_going = Some(record.header.version);
                        }
                        continue;
                    }
                    Verdict::StaysAllTheSame(why) => {
                        *of_stream.plan.staying.entry(why.clone()).or_default() += 1;
                    }
                    Verdict::Stays => {}
                }
                of_stream.has_staying = true;
            }
        }
        plan.act = SegmentAct::Leave(match plan.bytes_going {
            0 => LeftBecause::NothingGoes,
            _ => LeftBecause::TooLittleGoes,
        });
        Ok(self.pace.goes_on(self.store, piece).then_some(plan))
    }
}

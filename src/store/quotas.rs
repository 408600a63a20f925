//! Quotas of tags: set, taken away, and how much of each is used.

use super::batch::BatchBuilder;
use super::pending::PendingReceipt;
use super::request::Request;
use super::view::SharedView;
use super::writer::Writer;
use super::{AllRead, Engine, EventStore, closed};
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::format::{Fact, QuotaFact, Range};
use crate::index::Quotas;
use crate::position::Position;
use crate::query::Query;
use crate::quota::{Charge, Quota, TagScope};
use crate::sync::Arc;
use std::collections::{BTreeSet, HashMap};

/// How much the events with a tag take, and how much they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagUsage {
    scope: TagScope,
    value: String,
    used: u64,
    quota: Quota,
}

impl TagUsage {
    /// What the quota is for.
    #[must_use]
    pub fn scope(&self) -> &TagScope {
        &self.scope
    }

    /// The key of the tag.
    #[must_use]
    pub fn key(&self) -> &str {
        self.scope.key()
    }

    /// The value of the tag.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// How many bytes the records of its events take in the log, but for ids that these were given.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How many they may take, and what is done where they take more.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Whether they take more than they may.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.quota.limit() < self.used
    }
}

impl BatchBuilder<'_> {
    /// Sets the quota of a tag, in place of the one before. An event that has tags with several counts for each.
    ///
    /// It is in force for appends that begin when this is visible. What was there before is counted by whoever asks first: an
    /// append where it refuses, or [`usage`](EventStore::usage). For a tag that reads its events, for each value of a key the
    /// whole log, once.
    pub fn set_quota(self, scope: &TagScope, quota: Quota) -> Self {
        self.quota(scope, Some(quota))
    }

    /// Takes a quota away. Where there is none, nothing changes.
    pub fn clear_quota(self, scope: &TagScope) -> Self {
        self.quota(scope, None)
    }

    fn quota(mut self, scope: &TagScope, quota: Option<Quota>) -> Self {
        let fact = QuotaFact { scope: scope.clone(), time: self.store.clock(), quota };
        let pushed = self.request.push_fact(Fact::Quota(fact));
        self.take(pushed);
        self
    }
}

impl EventStore {
    /// Sets the quota of a tag, as [`BatchBuilder::set_quota`] does.
    ///
    /// ```
    /// use scorebook::{Conflict, EventStore, ExpectedVersion, NewEvent, Quota, StreamName, TagScope};
    /// let store = EventStore::open_in_memory()?;
    /// let (game, guilds) = (StreamName::new("game-42")?, TagScope::each("guild")?);
    /// store.set_quota(&guilds, Quota::bytes(1_000).refusing()).wait().map_err(|error| error.into_error())?;
    ///
    /// let append = |bytes| store.append(&game, ExpectedVersion::Any, [NewEvent::bytes("said", vec![0; bytes]).tag("guild", 7)]).wait();
    /// assert!(append(500).is_ok());
    /// let used = store.usage()?[0].used();
    /// let refused = append(500).unwrap_err();
    /// assert!(matches!(refused.conflict(), Some(Conflict::Quota { tag, used: told, .. }) if tag == "guild:7" && *told == used));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of an append.
    pub fn set_quota(&self, scope: &TagScope, quota: Quota) -> PendingReceipt {
        self.batch().set_quota(scope, quota).commit()
    }

    /// All quotas, by what they are for.
    ///
    /// ```
    /// use scorebook::{EventStore, Quota, TagScope};
    /// let store = EventStore::open_in_memory()?;
    /// let (guild, quota) = (TagScope::tag("guild", 7)?, Quota::bytes(1 << 20).trimming());
    /// store.set_quota(&guild, quota).wait().map_err(|error| error.into_error())?;
    /// assert_eq!(store.quotas()?, [(guild, quota)]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`metadata`](Self::metadata).
    pub fn quotas(&self) -> Result<Vec<(TagScope, Quota)>, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        Ok(view.table.quotas().iter().map(|(scope, quota)| (scope.clone(), quota)).collect())
    }

    /// How much is used of every quota: for each value of a key one after the other. A tag of which there are no events is told
    /// only where the quota is for it alone.
    ///
    /// What counts is what stands in the log, whether it can be read by the name of its stream or not: a deletion gives nothing
    /// back, a compaction what it removes. Events that were lost do not count.
    ///
    /// # Errors
    ///
    /// * [`Damaged`](crate::ErrorKind::Damaged), [`Io`](crate::ErrorKind::Io): what was there before a quota was set cannot be
    ///   counted.
    /// * [`Closed`](crate::ErrorKind::Closed).
    pub fn usage(&self) -> Result<Vec<TagUsage>, Error> {
        self.usage_unless(&|| false)
    }

    /// The same, unless it is told to end meanwhile: then it fails as where the store was closed.
    pub(crate) fn usage_unless(&self, is_to_end: &dyn Fn() -> bool) -> Result<Vec<TagUsage>, Error> {
        loop {
            self.count_quotas(is_to_end)?;
            // Another may have been set since.
            if let (all, true) = self.usage_counted()? {
                return Ok(all);
            }
        }
    }

    /// The same of the quotas that were counted by now, and whether that is all of them.
    pub(crate) fn usage_counted(&self) -> Result<(Vec<TagUsage>, bool), Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let quotas = view.table.quotas();
        let mut all = Vec::new();
        for (scope, quota) in quotas.iter().filter(|(scope, _)| quotas.is_counted(scope)) {
            let usage = |value: &str, used| TagUsage { scope: scope.clone(), value: value.to_owned(), used, quota };
            match scope.value() {
                Some(value) => all.push(usage(value, quotas.used_by(scope, value))),
                None => all.extend(quotas.used(scope).iter().map(|(value, used)| usage(value, *used))),
            }
        }
        Ok((all, quotas.uncounted(view.head).is_empty()))
    }

    /// Counts what was there before quotas were set, where nobody has yet.
    fn count_quotas(&self, is_to_end: &dyn Fn() -> bool) -> Result<(), Error> {
        let engine = self.shared.engine.read().clone();
        match engine {
            Engine::Writing(writer) => writer.count_quotas(|_| true, is_to_end),
            Engine::Reading(_) | Engine::Closed(_) => {
                let view = self.view()?;
                count(&view, |_| true, is_to_end)
            }
        }
    }
}

impl Writer {
    /// Finds out what a batch adds to what tags take, and has counted what it may be refused for.
    pub(super) fn look_at_quotas(&self, request: &mut Request) -> Result<(), Error> {
        let view = self.view.0.read();
        let quotas = view.table.quotas();
        request.charge(quotas);
        let awaited = quotas.awaited(request.charges());
        drop(view);
        if awaited.is_empty() {
            return Ok(());
        }
        self.count_quotas(|number| awaited.contains(&number), &|| false)
    }

    /// Counts what was there before some quotas were set, where nobody has yet. Until that is done, nothing that is written anew
    /// takes its place.
    fn count_quotas(&self, which: impl Fn(u64) -> bool, is_to_end: &dyn Fn() -> bool) -> Result<(), Error> {
        let view = self.view.0.read();
        let is_done = view.table.quotas().uncounted(view.head).is_empty();
        drop(view);
        if is_done {
            return Ok(());
        }
        let _still = self.rewriting.keep_still();
        count(&self.view, which, &|| self.rewriting.has_ended() || is_to_end())
    }

    /// What quotas lose with events at removed positions, apart from those that `known` is aware of. Whoever asks has the rest
    /// keep still, so none becomes counted meanwhile.
    pub(super) fn freed_beside(&self, known: &Quotas, removed: &[Range]) -> Result<Vec<Charge>, Error> {
        let beside = self.view.0.read().table.quotas().counted_beside(known);
        let mut freed = Vec::new();
        let (Some(first), Some(last)) = (removed.first(), removed.last()) else { return Ok(freed) };
        for (number, scope) in beside {
            let is_removed = |position: Position| {
                let index = removed.partition_point(|range| range.last < position);
                removed.get(index).is_some_and(|range| range.first <= position)
            };
            let mut of_scope: HashMap<Box<str>, u64> = HashMap::new();
            for_each_charge(&self.view, &scope, (first.first, last.last), &|| false, |position, value, bytes| {
                if is_removed(position) {
                    *of_scope.entry(value.into()).or_default() += bytes;
                }
            })?;
            freed.extend(of_scope.into_iter().map(|(value, bytes)| Charge { number, value, bytes }));
        }
        Ok(freed)
    }
}

fn count(view: &Arc<SharedView>, which: impl Fn(u64) -> bool, is_to_end: &dyn Fn() -> bool) -> Result<(), Error> {
    let there = view.0.read();
    let uncounted = there.table.quotas().uncounted(there.head);
    drop(there);
    for (number, scope, since) in uncounted.into_iter().filter(|(number, _, _)| which(*number)) {
        let mut counted: HashMap<Box<str>, u64> = HashMap::new();
        for_each_charge(view, &scope, (Position::new(1), since), is_to_end, |_, value, bytes| {
            *counted.entry(value.into()).or_default() += bytes;
        })?;
        view.0.write().table.quotas_mut().note_counted(number, since, counted);
    }
    Ok(())
}

/// What the events with a tag take, from one position to another: each with its position and by its value. What was lost does
/// not count; what is damaged might, so nobody knows.
fn for_each_charge(
    view: &Arc<SharedView>,
    scope: &TagScope,
    (first, last): (Position, Position),
    is_to_end: &dyn Fn() -> bool,
    mut each: impl FnMut(Position, &str, u64),
) -> Result<(), Error> {
    if last < first {
        return Ok(());
    }
    let (after, before) = (Position::new(first.get() - 1), Position::new(last.get().saturating_add(1)));
    if let Some(hole) = view.0.read().table.holes().damaged_between(after, before) {
        let (first, last) = (hole.range.first, hole.range.last);
        let act = format!("counting for the quota of {scope}: the bytes of positions {first} to {last} do not verify");
        return Err(Error::new(ErrorKind::Damaged, act));
    }
    let read = AllRead::new(Ok(view.clone())).from(first).to(last).passing_accepted();
    let read = match scope.value() {
        Some(value) => read.matching(Query::all().tag(scope.key(), value)),
        None => read,
    };
    for event in read {
        let event: RecordedEvent = event?;
        if is_to_end() {
            return Err(closed());
        }
        let tags: BTreeSet<&str> =
            event.tags().filter(|(key, value)| scope.is_for(key, value)).map(|tag| tag.1).collect();
        for value in tags {
            each(event.position(), value, event.quota_bytes());
        }
    }
    Ok(())
}

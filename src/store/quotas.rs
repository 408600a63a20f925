//! Quotas of tags: set, taken away, and how much of each is used.

use super::batch::BatchBuilder;
use super::pending::PendingReceipt;
use super::view::SharedView;
use super::writer::Writer;
use super::{AllRead, Engine, EventStore};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::format::{Fact, QuotaFact};
use crate::position::Position;
use crate::query::Query;
use crate::quota::{Quota, TagScope};
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
        self.count_quotas()?;
        let shared = self.view()?;
        let view = shared.0.read();
        let quotas = view.table.quotas();
        let mut all = Vec::new();
        for (scope, quota) in quotas.iter() {
            let usage = |value: &str, used| TagUsage { scope: scope.clone(), value: value.to_owned(), used, quota };
            match scope.value() {
                Some(value) => all.push(usage(value, quotas.used_by(scope, value))),
                None => all.extend(quotas.used(scope).iter().map(|(value, used)| usage(value, *used))),
            }
        }
        Ok(all)
    }

    /// Counts what was there before quotas were set, where nobody has yet.
    pub(crate) fn count_quotas(&self) -> Result<(), Error> {
        let engine = self.shared.engine.read().clone();
        match engine {
            Engine::Writing(writer) => writer.count_quotas(),
            Engine::Reading(_) | Engine::Closed(_) => {
                let view = self.view()?;
                count(&view)
            }
        }
    }
}

impl Writer {
    /// Counts what was there before quotas were set, where nobody has yet. Not beside a compaction, which would remove what is
    /// being counted: from inside of one nothing is counted.
    pub(super) fn count_quotas(&self) -> Result<(), Error> {
        if self.view.0.read().table.quotas().uncounted().is_empty() {
            return Ok(());
        }
        let Ok(_turn) = self.rewriting.begin() else { return Ok(()) };
        count(&self.view)
    }
}

fn count(view: &Arc<SharedView>) -> Result<(), Error> {
    let uncounted = view.0.read().table.quotas().uncounted();
    for (scope, since) in uncounted {
        let counted = count_up_to(view, &scope, since)?;
        view.0.write().table.quotas_mut().note_counted(&scope, since, counted);
    }
    Ok(())
}

/// What the events with a tag take up to a position, by its value.
fn count_up_to(view: &Arc<SharedView>, scope: &TagScope, last: Position) -> Result<HashMap<Box<str>, u64>, Error> {
    let mut counted: HashMap<Box<str>, u64> = HashMap::new();
    if last == Position::BEGINNING {
        return Ok(counted);
    }
    let read = AllRead::new(Ok(view.clone())).to(last).skipping_lost();
    let read = match scope.value() {
        Some(value) => read.matching(Query::all().tag(scope.key(), value)),
        None => read,
    };
    for event in read {
        let event: RecordedEvent = event?;
        let tags: BTreeSet<&str> =
            event.tags().filter(|(key, value)| scope.is_for(key, value)).map(|tag| tag.1).collect();
        for value in tags {
            *counted.entry(value.into()).or_default() += event.quota_bytes();
        }
    }
    Ok(counted)
}

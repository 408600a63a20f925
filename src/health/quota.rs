//! Tags that take more than their quota.

use super::{Concern, Thresholds};
use crate::error::{Error, ErrorKind};
use crate::store::EventStore;

impl Thresholds {
    /// The tag that is furthest above its quota, if any is.
    pub(super) fn of_quotas(&self, store: &EventStore) -> Result<Option<Concern>, Error> {
        let usage = match store.usage() {
            // That there is damage is told by itself.
            Err(error) if error.kind() == ErrorKind::Damaged => store.usage_counted()?.0,
            usage => usage?,
        };
        let share = |used: u64, limit: u64| u128::from(used) * 100 / u128::from(limit.max(1));
        let is_much =
            |used: u64, limit: u64| u128::from(limit) * u128::from(self.quota_percent) < u128::from(used) * 100;
        let over: Vec<_> = usage.iter().filter(|of| is_much(of.used(), of.quota().limit())).collect();
        let furthest = over.iter().max_by_key(|of| share(of.used(), of.quota().limit()));
        Ok(furthest.map(|of| Concern::Quota {
            tag: format!("{}:{}", of.key(), of.value()),
            used: of.used(),
            limit: of.quota().limit(),
            tags: over.len() as u64,
        }))
    }
}

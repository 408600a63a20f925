//! What was decided, as it is written down with the stream table.

use super::fates::{Deletion, Ended, Fate, Keeping, Said, Truncation};
use super::quotas::SavedQuota;
use crate::name::StreamName;
use crate::position::{Place, Position, Version};
use crate::quota::{OverQuota, Quota, TagScope};
use crate::retention::{Retention, Scope};
use crate::time::Timestamp;
use std::time::Duration;

/// The holds, the rules.
pub(super) type WrittenKeeping = (Vec<(WrittenScope, String, i64)>, Vec<WrittenRule>);

/// Those of several streams.
pub(super) type WrittenFates = Vec<WrittenFate>;

/// How many streams are written together, each with no more than a few times the most that can be said about one.
pub(super) const FATES_AT_ONCE: usize = 256;

/// Name, version; the end's reason and time; the deletion's last version, reason and time; the truncation's first version,
/// place and version of what is carried, and time; what is said, with its revision and time.
pub(super) type WrittenFate = (
    (String, u64),
    Option<(String, i64)>,
    Option<(u64, String, i64)>,
    Option<(u64, Option<(u32, u32, u64)>, i64)>,
    Option<(u64, String, i64)>,
);

/// What kind of scope it is, and its name.
type WrittenScope = (u8, String);

/// Scope; the newest that are kept, the nanoseconds they are kept for; since when.
type WrittenRule = (WrittenScope, Option<u64>, Option<u64>, i64);

pub(super) fn written_keeping(keeping: Keeping) -> WrittenKeeping {
    let of_hold = |((scope, label), since): ((Scope, String), Timestamp)| (written_scope(&scope), label, since.nanos());
    let of_rule = |(scope, (rule, since)): (Scope, (Retention, Timestamp))| {
        let age = rule.age().map(|age| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
        (written_scope(&scope), rule.events(), age, since.nanos())
    };
    (keeping.holds.into_iter().map(of_hold).collect(), keeping.rules.into_iter().map(of_rule).collect())
}

/// None where it makes no sense.
pub(super) fn read_keeping((holds, rules): WrittenKeeping) -> Option<Keeping> {
    let of_hold = |(scope, label, since)| Some(((read_scope(scope)?, label), Timestamp::from_nanos(since)));
    let of_rule = |(scope, newest, age, since): WrittenRule| {
        let rule = newest.map_or(Retention::forever(), |newest| Retention::forever().newest(newest));
        let rule = age.map_or(rule, |age| rule.newer_than(Duration::from_nanos(age)));
        Some((read_scope(scope)?, (rule, Timestamp::from_nanos(since))))
    };
    let holds = holds.into_iter().map(of_hold).collect::<Option<_>>()?;
    Some(Keeping { holds, rules: rules.into_iter().map(of_rule).collect::<Option<_>>()? })
}

pub(super) fn written_fate((name, fate): (String, Fate)) -> WrittenFate {
    let of_truncation = |truncated: Truncation| {
        let carried = truncated.carried.map(|(place, first)| (place.segment, place.offset, first.get()));
        (truncated.first.get(), carried, truncated.time.nanos())
    };
    (
        (name, fate.version.get()),
        fate.ended.map(|ended| (ended.reason, ended.time.nanos())),
        fate.deleted.map(|deleted| (deleted.last.get(), deleted.reason, deleted.time.nanos())),
        fate.truncated.map(of_truncation),
        fate.metadata.map(|said| (said.revision, said.json, said.time.nanos())),
    )
}

pub(super) fn read_fate(written: WrittenFate) -> (String, Fate) {
    let ((name, version), ended, deleted, truncated, metadata) = written;
    let time = Timestamp::from_nanos;
    let of_truncation = |(first, carried, since): (u64, Option<(u32, u32, u64)>, i64)| {
        let carried = carried.map(|(segment, offset, first)| (Place { segment, offset }, Version::new(first)));
        Truncation { first: Version::new(first), carried, time: time(since) }
    };
    let of_deletion = |(last, reason, since)| Deletion { last: Version::new(last), reason, time: time(since) };
    let fate = Fate {
        ended: ended.map(|(reason, since)| Ended { reason, time: time(since) }),
        deleted: deleted.map(of_deletion),
        truncated: truncated.map(of_truncation),
        metadata: metadata.map(|(revision, json, since)| Said { revision, json, time: time(since) }),
        version: Version::new(version),
    };
    (name, fate)
}

/// Key, value; bytes, action; since, and what is used by each value where that is known.
pub(super) type WrittenQuota = ((String, Option<String>), (u64, u8), u64, Option<Vec<(String, u64)>>);

pub(super) fn written_quota(saved: SavedQuota) -> WrittenQuota {
    let SavedQuota { scope, quota, since, used } = saved;
    let action = match quota.action() {
        OverQuota::Report => 0,
        OverQuota::Refuse => 1,
        OverQuota::Trim => 2,
    };
    let used = used.map(|used| used.into_iter().map(|(value, bytes)| (value.into(), bytes)).collect());
    ((scope.key().to_owned(), scope.value().map(str::to_owned)), (quota.limit(), action), since.get(), used)
}

/// None where it makes no sense.
pub(super) fn read_quota(written: WrittenQuota) -> Option<SavedQuota> {
    let ((key, value), (bytes, action), since, used) = written;
    let scope = value.map_or_else(|| TagScope::each(&key), |value| TagScope::tag(&key, value)).ok()?;
    let quota = match action {
        0 => Quota::bytes(bytes),
        1 => Quota::bytes(bytes).refusing(),
        2 => Quota::bytes(bytes).trimming(),
        _ => return None,
    };
    let used = used.map(|used| used.into_iter().map(|(value, bytes)| (value.into(), bytes)).collect());
    Some(SavedQuota { scope, quota, since: Position::new(since), used })
}

fn written_scope(scope: &Scope) -> WrittenScope {
    let number = match scope {
        Scope::Everything => 0,
        Scope::Category(_) => 1,
        Scope::EventType(_) => 2,
        Scope::Stream(_) => 3,
        Scope::OnceKeys => 4,
    };
    (number, scope.name().to_owned())
}

fn read_scope((number, name): WrittenScope) -> Option<Scope> {
    match number {
        0 => Some(Scope::Everything),
        1 => Scope::category(name).ok(),
        2 => Scope::event_type(name).ok(),
        3 => StreamName::new(name).ok().map(Scope::Stream),
        4 => Some(Scope::OnceKeys),
        _ => None,
    }
}

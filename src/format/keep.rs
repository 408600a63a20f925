//! The records about what is kept: rules by which events may go, and holds that no rule goes against.

use super::Fault;
use super::body::{take_i64, take_text, take_u32, take_u64};
use super::record::{self, Kind, METADATA_LEN, NAME_LEN, RecordHeader, RecordView};
use crate::limits::REASON_BYTES_MAX;
use crate::name::StreamName;
use crate::retention::{Retention, Scope};
use crate::time::Timestamp;
use std::time::Duration;

/// What a record says about what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeepFact {
    pub(crate) scope: Scope,
    /// By the clock.
    pub(crate) time: Timestamp,
    pub(crate) deed: KeepDeed,
}

/// What was decided about what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeepDeed {
    /// All of it is kept whatever the rules say, until the hold of this label is released.
    Hold(String),
    /// That hold is no more.
    Release(String),
    /// This rule is for it.
    Retain(Retention),
    /// No rule of its own is for it.
    Forget,
}

/// Where the fields stand behind the texts. They are taken and put one after the other.
#[cfg(test)]
pub(super) mod layout {
    use crate::format::field::Field;

    const TIME: Field = Field::first(8, "time");
    const SCOPE: Field = TIME.then(4, "scope");
    const STATE: Field = SCOPE.then(4, "state");
    const NEWEST: Field = STATE.then(8, "newest");
    const AGE: Field = NEWEST.then(8, "age");
    pub(in crate::format) const HOLD: &[Field] = &[TIME, SCOPE, STATE];
    pub(in crate::format) const RETENTION: &[Field] = &[TIME, SCOPE, STATE, NEWEST, AGE];
}

/// The hold or the rule is there from now on.
const SET: u32 = 1;
/// It is not any more.
const ENDED: u32 = 2;

/// Appends the record to a batch.
pub(super) fn push(out: &mut Vec<u8>, fact: &KeepFact) {
    let (kind, label, state) = match &fact.deed {
        KeepDeed::Hold(label) => (Kind::Hold, &**label, SET),
        KeepDeed::Release(label) => (Kind::Hold, &**label, ENDED),
        KeepDeed::Retain(_) => (Kind::Retention, "", SET),
        KeepDeed::Forget => (Kind::Retention, "", ENDED),
    };
    let start = record::begin(out, kind);
    let name = fact.scope.name();
    NAME_LEN.put_u8(&mut out[start..], name.len() as u8);
    METADATA_LEN.put_u32(&mut out[start..], label.len() as u32);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(label.as_bytes());
    out.extend_from_slice(&fact.time.nanos().to_le_bytes());
    out.extend_from_slice(&number_of(&fact.scope).to_le_bytes());
    out.extend_from_slice(&state.to_le_bytes());
    let limits = match &fact.deed {
        KeepDeed::Hold(_) | KeepDeed::Release(_) => None,
        KeepDeed::Retain(rule) => Some((rule.events().unwrap_or(u64::MAX), rule.age().map_or(u64::MAX, nanos))),
        KeepDeed::Forget => Some((0, 0)),
    };
    if let Some((newest, age)) = limits {
        out.extend_from_slice(&newest.to_le_bytes());
        out.extend_from_slice(&age.to_le_bytes());
    }
    record::finish(out, start);
}

impl KeepFact {
    pub(crate) fn decode(record: &RecordView<'_>) -> Result<KeepFact, Fault> {
        let header = record.header;
        RecordHeader { name_len: 0, metadata_len: 0, ..header }.check_no_event()?;
        let mut rest = record.body();
        let name = take_text(&mut rest, usize::from(header.name_len))?;
        let label = take_text(&mut rest, header.metadata_len as usize)?;
        let time = Timestamp::from_nanos(take_i64(&mut rest)?);
        let scope = scope_of(take_u32(&mut rest)?, name)?;
        let deed = match (header.kind, take_u32(&mut rest)?) {
            (Kind::Hold, SET | ENDED) if label.is_empty() || REASON_BYTES_MAX < label.len() => {
                return Err(Fault::Senseless);
            }
            (Kind::Hold, SET) => KeepDeed::Hold(label),
            (Kind::Hold, ENDED) => KeepDeed::Release(label),
            (Kind::Retention, state) if label.is_empty() => take_rule(&mut rest, state)?,
            _ => return Err(Fault::Newer),
        };
        let names_so_many = matches!(&deed, KeepDeed::Retain(rule) if rule.events().is_some());
        match rest.is_empty() {
            true if scope == Scope::OnceKeys && names_so_many => Err(Fault::Senseless),
            true => Ok(KeepFact { scope, time, deed }),
            false => Err(Fault::Newer),
        }
    }
}

fn take_rule(rest: &mut &[u8], state: u32) -> Result<KeepDeed, Fault> {
    let (newest, age) = (take_u64(rest)?, take_u64(rest)?);
    match (state, newest, age) {
        (SET, 0, _) => Err(Fault::Senseless),
        (SET, newest, age) => {
            let rule = if newest == u64::MAX { Retention::forever() } else { Retention::forever().newest(newest) };
            let is_limited = age != u64::MAX;
            Ok(KeepDeed::Retain(if is_limited { rule.newer_than(Duration::from_nanos(age)) } else { rule }))
        }
        (ENDED, 0, 0) => Ok(KeepDeed::Forget),
        (ENDED, ..) => Err(Fault::Senseless),
        _ => Err(Fault::Newer),
    }
}

fn nanos(age: Duration) -> u64 {
    u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)
}

fn number_of(scope: &Scope) -> u32 {
    match scope {
        Scope::Stream(_) => 1,
        Scope::Category(_) => 2,
        Scope::EventType(_) => 3,
        Scope::Everything => 4,
        Scope::OnceKeys => 5,
    }
}

fn scope_of(number: u32, name: String) -> Result<Scope, Fault> {
    let scope = match number {
        1 => StreamName::new(name).map(Scope::Stream),
        2 => Scope::category(name),
        3 => Scope::event_type(name),
        4 if name.is_empty() => Ok(Scope::Everything),
        5 if name.is_empty() => Ok(Scope::OnceKeys),
        _ => return Err(Fault::Newer),
    };
    scope.map_err(|_| Fault::Senseless)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes() -> [Scope; 5] {
        let stream = StreamName::new("game-42").expect("a name");
        let (category, of_type) = (Scope::category("game").expect("a name"), Scope::event_type("won").expect("a name"));
        [Scope::Stream(stream), category, of_type, Scope::Everything, Scope::OnceKeys]
    }

    fn deeds() -> Vec<KeepDeed> {
        let rule = Retention::forever();
        let hour = Duration::from_secs(3_600);
        let rules = [rule, rule.newest(1), rule.newer_than(hour), rule.newest(7).newer_than(hour)];
        let holds = [KeepDeed::Hold("case 12 ✓".into()), KeepDeed::Release("case 12 ✓".into()), KeepDeed::Forget];
        holds.into_iter().chain(rules.map(KeepDeed::Retain)).collect()
    }

    /// What is read of a record after a change.
    fn changed(fact: &KeepFact, change: impl FnOnce(&mut Vec<u8>)) -> Result<KeepFact, Fault> {
        let mut bytes = Vec::new();
        push(&mut bytes, fact);
        change(&mut bytes);
        record::finish(&mut bytes, 0);
        let header = RecordHeader::decode(&bytes)?;
        KeepFact::decode(&RecordView::verify_body(header, &bytes)?)
    }

    #[test]
    fn a_record_about_what_is_kept_comes_back_as_it_was() {
        for scope in scopes() {
            for deed in deeds() {
                if scope == Scope::OnceKeys && matches!(&deed, KeepDeed::Retain(rule) if rule.events().is_some()) {
                    continue;
                }
                let fact = KeepFact { scope: scope.clone(), time: Timestamp::from_nanos(-5), deed };
                assert_eq!(changed(&fact, |_| {}), Ok(fact));
            }
        }
    }

    #[test]
    fn what_nobody_can_decide_is_senseless_or_newer() {
        const NAME: usize = record::RECORD_HEADER_LEN;
        let fact = |deed| KeepFact { scope: scopes()[1].clone(), time: Timestamp::EPOCH, deed };
        let hold = fact(KeepDeed::Hold("why".into()));
        let rule = fact(KeepDeed::Retain(Retention::forever().newest(7)));
        let keys = KeepFact { scope: Scope::OnceKeys, ..fact(KeepDeed::Retain(Retention::forever())) };
        type Change = fn(&mut Vec<u8>);
        let cases: [(&str, &KeepFact, Change, Fault); 11] = [
            ("a name that none may have", &hold, |bytes| bytes[NAME] = b'-', Fault::Senseless),
            ("a scope that is not known", &hold, |bytes| bytes[NAME + 15] = 6, Fault::Newer),
            ("everything with a name", &hold, |bytes| bytes[NAME + 15] = 4, Fault::Newer),
            ("keys with a name", &hold, |bytes| bytes[NAME + 15] = 5, Fault::Newer),
            ("so many keys", &keys, |bytes| bytes[NAME + 16] = 7, Fault::Senseless),
            ("a state that is not known", &hold, |bytes| bytes[NAME + 19] = 3, Fault::Newer),
            ("a hold with a rule", &hold, |bytes| bytes.push(0), Fault::Newer),
            ("a rule that keeps nothing", &rule, |bytes| bytes[NAME + 20] = 0, Fault::Senseless),
            ("a rule that is none and says something", &rule, |bytes| bytes[NAME + 16] = 2, Fault::Senseless),
            ("another state of a rule", &rule, |bytes| bytes[NAME + 16] = 3, Fault::Newer),
            ("something of an event", &rule, |bytes| record::CODEC.put_u8(bytes, 1), Fault::Newer),
        ];
        for (what, fact, change, fault) in cases {
            assert_eq!(changed(fact, change), Err(fault), "{what}");
        }
        let unnamed = fact(KeepDeed::Hold(String::new()));
        assert_eq!(changed(&unnamed, |_| {}), Err(Fault::Senseless), "a hold has a label");
    }
}

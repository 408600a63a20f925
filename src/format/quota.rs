//! The record of a quota: how many bytes the events with a tag may take.

use super::Fault;
use super::body::{take_i64, take_text, take_u32, take_u64};
use super::record::{self, Kind, METADATA_LEN, NAME_LEN, RecordHeader, RecordView};
use crate::quota::{OverQuota, Quota, TagScope};
use crate::time::Timestamp;

/// What a record says about a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuotaFact {
    pub(crate) scope: TagScope,
    /// By the clock.
    pub(crate) time: Timestamp,
    /// The quota from now on; none where there is none any more.
    pub(crate) quota: Option<Quota>,
}

/// Where the fields stand behind the texts. They are taken and put one after the other.
#[cfg(test)]
pub(super) mod layout {
    use crate::format::field::Field;

    const TIME: Field = Field::first(8, "time");
    const SCOPE: Field = TIME.then(4, "scope");
    const STATE: Field = SCOPE.then(4, "state");
    const BYTES: Field = STATE.then(8, "bytes");
    const ACTION: Field = BYTES.then(4, "action");
    const RESERVED: Field = ACTION.then(4, "reserved");
    pub(in crate::format) const QUOTA: &[Field] = &[TIME, SCOPE, STATE, BYTES, ACTION, RESERVED];
}

/// The scope is one tag.
const ONE: u32 = 1;
/// The scope is each value of a key.
const EACH: u32 = 2;
/// The quota is there from now on.
const SET: u32 = 1;
/// It is not any more.
const ENDED: u32 = 2;

/// Appends the record to a batch.
pub(super) fn push(out: &mut Vec<u8>, fact: &QuotaFact) {
    let start = record::begin(out, Kind::Quota);
    let (key, value) = (fact.scope.key(), fact.scope.value().unwrap_or_default());
    NAME_LEN.put_u8(&mut out[start..], key.len() as u8);
    METADATA_LEN.put_u32(&mut out[start..], value.len() as u32);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(&fact.time.nanos().to_le_bytes());
    let scope = if fact.scope.value().is_some() { ONE } else { EACH };
    let state = if fact.quota.is_some() { SET } else { ENDED };
    out.extend_from_slice(&scope.to_le_bytes());
    out.extend_from_slice(&state.to_le_bytes());
    out.extend_from_slice(&fact.quota.map_or(0, Quota::limit).to_le_bytes());
    out.extend_from_slice(&fact.quota.map_or(0, |quota| number_of(quota.action())).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    record::finish(out, start);
}

impl QuotaFact {
    pub(crate) fn decode(record: &RecordView<'_>) -> Result<QuotaFact, Fault> {
        let header = record.header;
        RecordHeader { name_len: 0, metadata_len: 0, ..header }.check_no_event()?;
        let mut rest = record.body();
        let key = take_text(&mut rest, usize::from(header.name_len))?;
        let value = take_text(&mut rest, header.metadata_len as usize)?;
        let time = Timestamp::from_nanos(take_i64(&mut rest)?);
        let scope = match take_u32(&mut rest)? {
            ONE => TagScope::tag(&key, value),
            EACH if value.is_empty() => TagScope::each(&key),
            _ => return Err(Fault::Newer),
        };
        let (state, bytes, action) = (take_u32(&mut rest)?, take_u64(&mut rest)?, take_u32(&mut rest)?);
        let reserved = take_u32(&mut rest)?;
        let quota = match (state, action) {
            (SET, 1) => Some(Quota::bytes(bytes)),
            (SET, 2) => Some(Quota::bytes(bytes).refusing()),
            (SET, 3) => Some(Quota::bytes(bytes).trimming()),
            (ENDED, 0) if bytes == 0 => None,
            (ENDED, _) => return Err(Fault::Senseless),
            _ => return Err(Fault::Newer),
        };
        if reserved != 0 || !rest.is_empty() {
            return Err(Fault::Newer);
        }
        Ok(QuotaFact { scope: scope.map_err(|_| Fault::Senseless)?, time, quota })
    }
}

fn number_of(action: OverQuota) -> u32 {
    match action {
        OverQuota::Report => 1,
        OverQuota::Refuse => 2,
        OverQuota::Trim => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Vec<QuotaFact> {
        let scopes = [TagScope::tag("guild", "a:b"), TagScope::tag("guild", ""), TagScope::each("guild")];
        let bytes = Quota::bytes(7);
        let quotas = [None, Some(bytes), Some(bytes.refusing()), Some(Quota::bytes(u64::MAX).trimming())];
        let fact = |scope: &TagScope, quota| QuotaFact { scope: scope.clone(), time: Timestamp::from_nanos(-5), quota };
        let scopes: Vec<TagScope> = scopes.into_iter().map(|scope| scope.expect("a scope")).collect();
        scopes.iter().flat_map(|scope| quotas.map(|quota| fact(scope, quota))).collect()
    }

    /// What is read of a record after a change.
    fn changed(fact: &QuotaFact, change: impl FnOnce(&mut Vec<u8>)) -> Result<QuotaFact, Fault> {
        let mut bytes = Vec::new();
        push(&mut bytes, fact);
        change(&mut bytes);
        record::finish(&mut bytes, 0);
        let header = RecordHeader::decode(&bytes)?;
        QuotaFact::decode(&RecordView::verify_body(header, &bytes)?)
    }

    #[test]
    fn a_record_of_a_quota_comes_back_as_it_was() {
        for fact in facts() {
            assert_eq!(changed(&fact, |_| {}), Ok(fact));
        }
    }

    #[test]
    fn what_no_quota_can_be_is_senseless_or_newer() {
        const KEY: usize = record::RECORD_HEADER_LEN;
        let all = facts();
        // `each guild`, removed and set.
        let (ended, set) = (&all[8], &all[9]);
        const BODY: usize = KEY + "guild".len();
        type Change = fn(&mut Vec<u8>);
        let cases: [(&str, &QuotaFact, Change, Fault); 9] = [
            ("a key that no tag has", set, |bytes| bytes[KEY] = b':', Fault::Senseless),
            ("a key that is no text", set, |bytes| bytes[KEY] = 0xFF, Fault::Senseless),
            ("a scope that is not known", set, |bytes| bytes[BODY + 8] = 3, Fault::Newer),
            ("a state that is not known", set, |bytes| bytes[BODY + 12] = 3, Fault::Newer),
            ("an action that is not known", set, |bytes| bytes[BODY + 24] = 4, Fault::Newer),
            ("something reserved", set, |bytes| bytes[BODY + 28] = 1, Fault::Newer),
            ("more behind it", set, |bytes| bytes.push(0), Fault::Newer),
            ("none with a limit", ended, |bytes| bytes[BODY + 16] = 1, Fault::Senseless),
            ("something of an event", set, |bytes| record::CODEC.put_u8(bytes, 1), Fault::Newer),
        ];
        for (what, fact, change, fault) in cases {
            assert_eq!(changed(fact, change), Err(fault), "{what}");
        }
    }
}

//! Terms: what events are found by, each known by 128 bits.
//!
//! The hash is seeded with the store's id, so that names can be chosen to meet only by somebody who knows it. Two terms
//! that meet by chance would take 2^64 of them. Whatever is given to a caller is compared with what was asked all the same.

use super::event::decode_event_terms;
use super::key::KeyFact;
use super::record::{Kind, RecordView};
use crate::event::EventId;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// Something events are found by: their type, stream, category, id, or one of their tags. The lowest bit tells streams from
/// everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Term(u128);

impl Term {
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Term {
        Term(u128::from_le_bytes(bytes))
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// About where the term stands among so many others in rising order.
    pub(crate) fn guess(self, others: usize) -> usize {
        (((self.0 >> 64) * others as u128) >> 64) as usize
    }

    /// Whether it is that of a stream.
    pub(crate) fn is_stream(self) -> bool {
        self.0 & 1 == 1
    }

    /// Bits that are as good as any hash of the term.
    pub(crate) fn hash(self) -> u64 {
        (self.0 >> 1) as u64
    }
}

/// Makes the terms of one store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TermHasher {
    event_type: u64,
    stream: u64,
    category: u64,
    id: u64,
    tag: u64,
    key: u64,
}

impl TermHasher {
    pub(crate) fn new(store: [u8; 16]) -> TermHasher {
        // A seed for each kind of term, so that a type and a category of one name are two.
        let seed = |kind| xxh3_64_with_seed(&store, kind);
        TermHasher { event_type: seed(1), stream: seed(2), category: seed(3), id: seed(4), tag: seed(5), key: seed(6) }
    }

    pub(crate) fn event_type(&self, name: &str) -> Term {
        Term(xxh3_128_with_seed(name.as_bytes(), self.event_type) & !1)
    }

    pub(crate) fn stream(&self, name: &str) -> Term {
        Term(xxh3_128_with_seed(name.as_bytes(), self.stream) | 1)
    }

    pub(crate) fn category(&self, name: &str) -> Term {
        Term(xxh3_128_with_seed(name.as_bytes(), self.category) & !1)
    }

    pub(crate) fn id(&self, id: EventId) -> Term {
        Term(xxh3_128_with_seed(&id.to_bytes(), self.id) & !1)
    }

    /// A `once` key.
    pub(crate) fn key(&self, key: &str) -> Term {
        Term(xxh3_128_with_seed(key.as_bytes(), self.key) & !1)
    }

    pub(crate) fn tag(&self, key: &str, value: &str) -> Term {
        let mut encoded = Vec::with_capacity(2 + key.len() + value.len());
        encoded.extend([key.len() as u8, value.len() as u8]);
        encoded.extend_from_slice(key.as_bytes());
        encoded.extend_from_slice(value.as_bytes());
        self.encoded_tag(&encoded)
    }

    /// A tag as it stands in a record.
    pub(super) fn encoded_tag(&self, encoded: &[u8]) -> Term {
        Term(xxh3_128_with_seed(encoded, self.tag) & !1)
    }
}

/// The terms of the events of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchTerms {
    terms: Vec<Term>,
    /// For each event the number of terms up to its last one.
    ends: Vec<u32>,
    /// That of the batch's `once` key, if it has one.
    key: Option<Term>,
}

impl BatchTerms {
    /// The terms of the events among records whose bytes make sense.
    pub(super) fn of<'a>(records: impl Iterator<Item = RecordView<'a>>, hasher: &TermHasher) -> BatchTerms {
        let mut terms = BatchTerms::default();
        for record in records {
            match record.header.kind {
                Kind::Event => {
                    decode_event_terms(&record, hasher, &mut terms.terms);
                    terms.ends.push(terms.terms.len() as u32);
                }
                Kind::Key => terms.key = KeyFact::decode_key(&record).map(|key| hasher.key(key)),
                _ => {}
            }
        }
        terms
    }

    /// All terms of all events, and that of the key.
    pub(crate) fn all(&self) -> impl Iterator<Item = Term> {
        self.terms.iter().copied().chain(self.key)
    }

    /// The term of the batch's `once` key, if it has one.
    pub(crate) fn key(&self) -> Option<Term> {
        self.key
    }

    /// The terms of each event, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = &[Term]> {
        let mut from = 0;
        self.ends.iter().map(move |end| {
            let of_event = &self.terms[from..*end as usize];
            from = *end as usize;
            of_event
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::NewEvent;
    use crate::format::BatchBuffer;
    use crate::name::StreamName;

    #[test]
    fn the_terms_of_a_record_are_those_its_names_make() {
        let hasher = TermHasher::new([7; 16]);
        let id = EventId::from_bytes([9; 16]);
        let mut batch = BatchBuffer::new();
        let stream = StreamName::new("game-42").expect("a name");
        let first = NewEvent::bytes("guessed", [1; 40]).tag("guild", 7).tag("a", "bc").id(id);
        for event in [first, NewEvent::bytes("ended", [])] {
            batch.push_event(&stream, &event).expect("an event");
        }
        let common = [hasher.stream("game-42"), hasher.category("game")];
        let own = [hasher.event_type("guessed"), hasher.id(id), hasher.tag("guild", "7"), hasher.tag("a", "bc")];
        let first = [&common[..], &own].concat();
        let second = [&common[..], &[hasher.event_type("ended")]].concat();
        assert_eq!(batch.terms(&hasher).events().collect::<Vec<_>>(), [first, second]);
    }

    #[test]
    fn terms_differ_by_kind_by_store_and_by_where_a_key_ends() {
        let hasher = TermHasher::new([7; 16]);
        let kinds = [hasher.event_type("a"), hasher.stream("a"), hasher.category("a"), hasher.tag("a", "")];
        let others = [hasher.tag("", "a"), hasher.tag("ab", "c"), hasher.tag("a", "bc")];
        let foreign = TermHasher::new([8; 16]).event_type("a");
        let mut all: Vec<Term> = kinds.into_iter().chain(others).chain([foreign]).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8);
        assert_eq!(kinds.map(Term::is_stream), [false, true, false, false]);
        let unique = [hasher.key("a"), hasher.id(EventId::from_bytes([1; 16]))];
        assert_eq!(unique.map(Term::is_stream), [false; 2]);
    }
}

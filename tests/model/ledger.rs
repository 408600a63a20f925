//! The books that are kept of a [storm](super::storm), outside the process that makes it: what was acknowledged to whom
//! and how durable, and what was refused. After the process has come to its end the survivors are checked against them.

use super::storm::{WRITERS, check_event, ends_a_batch, name, own_event, pair};
use scorebook::ExpectedVersion::Any;
use scorebook::{AppendError, Error, EventStore, Version};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What came over a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The process ended: what it had handed to the system is there.
    Killed,
    /// The power was cut, or the disk failed: what was acknowledged as synced is there, and all before it.
    PowerCut,
}

/// What was told.
#[derive(Default)]
pub(crate) struct Ledger {
    /// What was acknowledged, by the position of its last event.
    told: BTreeMap<u64, Told>,
    /// Up to here everything was said to survive a loss of power.
    durable: u64,
    /// Attempts that were refused.
    lost: HashSet<String>,
    /// The last process had appended something and had not begun to close.
    is_dirty: bool,
    /// Lines of each kind, over all lives.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// An event that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    stream: String,
    version: u64,
    attempt: Option<String>,
}

/// What a store was found to hold: two that hold the same give the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) head: u64,
    digest: u64,
}

impl Ledger {
    /// Takes down a line of the process that writes. Lines that a kill has cut off are not lines.
    pub(crate) fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        *self.counts.entry(words[0].to_owned()).or_default() += 1;
        let number = |word: &str| word.parse::<u64>().unwrap_or_else(|_| panic!("`{word}` in `{line}`"));
        match words[..] {
            ["ack", how, position, stream, version, ref attempt @ ..] => {
                let position = number(position);
                let attempt = attempt.first().map(|attempt| (*attempt).to_owned());
                let told = Told { stream: stream.to_owned(), version: number(version), attempt };
                let before = self.told.insert(position, told);
                assert!(before.is_none(), "position {position} was acknowledged twice: {before:?}, then `{line}`");
                if how == "synced" {
                    self.durable = self.durable.max(position);
                }
                self.is_dirty = true;
            }
            ["lost", attempt] => {
                assert!(self.lost.insert(attempt.to_owned()), "`{line}` twice");
            }
            ["durable", position] => self.durable = self.durable.max(number(position)),
            ["closing"] => self.is_dirty = false,
            ["opening" | "opened" | "ended" | "full" | "busy"] => {}
            _ => panic!("what is `{line}`?"),
        }
    }

    /// How often a line of this kind was heard.
    pub(crate) fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }

    /// Whether whoever opens the store now must find that it was not closed.
    pub(crate) fn is_left_open(&self) -> bool {
        self.is_dirty
    }

    /// Appends something of its own, in between; whoever opened the store for that closes it.
    pub(crate) fn add(&mut self, store: &EventStore) {
        self.try_add(store).expect("it is accepted");
    }

    /// The same where it may be refused.
    pub(crate) fn try_add(&mut self, store: &EventStore) -> Result<(), AppendError> {
        let stream = name("between");
        let next = store.version(&stream).expect("a version").get() + 1;
        let receipt = store.append(&stream, Any, [own_event(&stream, next, next)]).wait()?;
        assert_eq!(receipt.last_version().get(), next);
        self.hear(&format!("ack written {} between {next}", receipt.last_position()));
        self.is_dirty = false;
        Ok(())
    }

    /// The store was closed, or was opened for writing and what is there was proven durable.
    pub(crate) fn settle(&mut self, found: Found) {
        self.durable = found.head;
        self.is_dirty = false;
    }

    /// There is no store: then nothing was ever said to survive.
    pub(crate) fn check_nothing(&mut self, context: &str) {
        assert_eq!(self.durable, 0, "there is no store, {context}");
        self.told.clear();
    }

    /// Everything acknowledged is there exactly, and what else is there is there whole. What the power cut took away and
    /// may take away is forgotten.
    pub(crate) fn check(&mut self, store: &EventStore, fate: Fate, context: &str) -> Found {
        self.try_check(store, fate, context).unwrap_or_else(|error| panic!("{error}, {context}"))
    }

    /// The same where reading may fail: then nothing is said of what could not be read.
    pub(crate) fn try_check(&mut self, store: &EventStore, fate: Fate, context: &str) -> Result<Found, Error> {
        let mut versions: HashMap<String, u64> = HashMap::new();
        let mut digest = DefaultHasher::new();
        let mut head = 0;
        for event in store.read_all() {
            let event = event?;
            assert_eq!(event.position().get(), head + 1, "positions have no holes, {context}");
            head += 1;
            let version = versions.entry(event.stream().to_owned()).or_default();
            *version += 1;
            let attempt = check_event(&event, Some(*version));
            if let Some(attempt) = &attempt {
                assert!(!self.lost.contains(attempt), "attempt {attempt} was refused and is at {head}, {context}");
            }
            if let Some(told) = self.told.get(&head) {
                let found = Told { stream: event.stream().to_owned(), version: *version, attempt };
                assert_eq!(*told, found, "at position {head}, {context}");
            }
            (event.stream(), event.id().to_string(), event.time(), event.data()).hash(&mut digest);
        }
        let told = self.told.keys().next_back().copied().unwrap_or(0);
        let least = if fate == Fate::Killed { told.max(self.durable) } else { self.durable };
        assert!(least <= head, "acknowledged up to position {least}, and there are {head}, {context}");
        self.told.split_off(&(head + 1));
        check_answers(store, head, &versions, context)?;
        Ok(Found { head, digest: digest.finish() })
    }
}

/// Whatever way is asked, the answers agree with the whole log.
fn check_answers(store: &EventStore, head: u64, versions: &HashMap<String, u64>, context: &str) -> Result<(), Error> {
    assert_eq!(store.head()?.get(), head, "{context}");
    let stats = store.stats()?;
    assert_eq!((stats.events(), stats.streams()), (head, versions.len() as u64), "{context}");
    for (stream, version) in versions {
        let stream = name(stream);
        assert_eq!(store.version(&stream)?.get(), *version, "{stream}, {context}");
        let mut next = *version;
        for event in store.read(&stream).backwards() {
            let event = event?;
            check_event(&event, Some(next));
            assert!(next < *version || ends_a_batch(&event), "{stream} ends within a batch, at {version}, {context}");
            next -= 1;
        }
        assert_eq!(next, 0, "{stream}, {context}");
    }
    for writer in 0..WRITERS {
        let [a, b] = pair(writer).map(|stream| store.version(&stream).unwrap_or(Version::NONE));
        assert_eq!(a, b, "of a batch all or nothing is there, writer {writer}, {context}");
    }
    Ok(())
}

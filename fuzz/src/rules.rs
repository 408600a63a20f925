//! What `FORMAT.md` says of a log of one segment: which events it holds, or that it must be refused. Worked out from the
//! page alone, to be compared with what the store says.

use crate::layout::{
    ALIGNMENT, POSITION_MAX, SECTOR, SEGMENT_BYTES_MIN, Salt, batch, batches, footer, i64_at, is_zero, kind, plain,
    preamble, put, record, u16_at, u32_at, u64_at,
};
use scorebook::{NewEvent, StreamName};
use std::collections::HashMap;
use std::ops::Range;

/// What a log says, by the rules.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It holds these events, and the highest epoch in it is this.
    Holds(Vec<Fact>, u32),
    /// It says something that no log can say, or nobody can read: there must be an error with a name. This is why.
    Refused(&'static str),
    /// The file is not one of which the rules for one segment say anything.
    NotAsked,
}

/// An event, as far as the rules speak of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) position: u64,
    pub(crate) version: u64,
    pub(crate) time: i64,
    pub(crate) epoch: u32,
    pub(crate) stream: String,
    pub(crate) event_type: String,
    pub(crate) data: Vec<u8>,
}

/// What stands at some offset.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Batch(Batch<'a>),
    /// Nothing but zeros, from here on.
    Blank,
    /// Checksums hold, and something is not known.
    Newer,
    Bad,
}

/// A batch of which every checksum holds.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    bytes: &'a [u8],
    pub(crate) range: Range<usize>,
    pub(crate) records: Vec<&'a [u8]>,
}

/// The batch header at `offset`, if it is valid by itself.
fn header_at(segment: &[u8], salt: Salt, offset: usize, end: usize) -> Option<&[u8]> {
    let header = segment.get(offset..offset + batch::HEADER).filter(|_| offset + batch::HEADER <= end)?;
    let is_sealed = u32_at(header, batch::CHECKSUM) == salt.seeded(offset, &header[batch::CHECKSUM + 4..]);
    (header.starts_with(batch::MAGIC) && is_sealed).then_some(header)
}

/// Whether a header that is valid by itself says something possible.
fn is_possible(header: &[u8]) -> bool {
    let length = u32_at(header, batch::LENGTH) as usize;
    (batch::HEADER + record::HEADER..=batch::BYTES_MAX).contains(&length)
        && length.is_multiple_of(ALIGNMENT)
        && u16_at(header, batch::RECORDS) != 0
}

/// What stands at `offset` of a segment whose batches end before `end`.
pub(crate) fn at(segment: &[u8], salt: Salt, offset: usize, end: usize) -> Found<'_> {
    if is_zero(&segment[offset.min(end)..end]) {
        return Found::Blank;
    }
    let Some(header) = header_at(segment, salt, offset, end) else { return Found::Bad };
    if u16_at(header, batch::FLAGS) != 0 {
        return Found::Newer;
    }
    let range = offset..offset + u32_at(header, batch::LENGTH) as usize;
    let Some(bytes) = segment.get(range.clone()).filter(|_| is_possible(header) && range.end <= end) else {
        return Found::Bad;
    };
    let mut records = Vec::new();
    let mut at = batch::HEADER;
    for _ in 0..u16_at(header, batch::RECORDS) {
        let Some(head) = bytes.get(at..at + record::HEADER) else { return Found::Bad };
        if u32_at(head, record::HEADER_CHECKSUM) != salt.seeded(offset + at, &head[record::BODY_CHECKSUM..]) {
            return Found::Bad;
        }
        if !kind::is_known(head[record::KIND]) || head[record::RESERVED] != 0 {
            return Found::Newer;
        }
        let length = record::HEADER + u32_at(head, record::BODY_LENGTH) as usize;
        let Some(record) = bytes.get(at..at + length).filter(|_| length <= record::BYTES_MAX) else {
            return Found::Bad;
        };
        if u32_at(head, record::BODY_CHECKSUM) != plain(&record[record::KIND..]) {
            return Found::Bad;
        }
        records.push(record);
        at += length;
    }
    let padding = &bytes[at..];
    if ALIGNMENT <= padding.len() || !is_zero(padding) {
        Found::Bad
    } else {
        Found::Batch(Batch { bytes, range, records })
    }
}

impl Batch<'_> {
    fn durable(&self) -> (u32, usize) {
        durable(self.bytes)
    }
}

fn durable(header: &[u8]) -> (u32, usize) {
    (u32_at(header, batch::DURABLE_SEGMENT), u32_at(header, batch::DURABLE_OFFSET) as usize)
}

/// What the log holds whose only file is segment 1, with no `live` beside it.
pub(crate) fn of_one_segment(segment: &[u8]) -> Answer {
    if !is_made(segment) {
        return Answer::NotAsked;
    }
    let salt = Salt::of(segment);
    let end = batches(segment.len()).end;
    let here = |(number, offset): (u32, usize)| (number == 1 && SECTOR < offset).then_some(offset);
    let first = match at(segment, salt, SECTOR, end) {
        Found::Batch(first) if is_start(&first) => first,
        // What is not known here may be a start record of another version, or may be none.
        Found::Newer => return Answer::NotAsked,
        Found::Batch(first) if first.records[0][record::KIND] == kind::START => return Answer::NotAsked,
        _ => return of_unstarted(segment, salt, end),
    };
    if !is_zero(&first.records[0][record::HEADER + 8..record::HEADER + 16]) || has_footer(segment, salt, end) {
        return Answer::Refused("the segment before it, or behind it, is not there");
    }
    let mut proven = None;
    let mut offset = SECTOR;
    while let Found::Batch(batch) = at(segment, salt, offset, end) {
        proven = proven.max(here(batch.durable()));
        offset = batch.range.end;
    }
    let behind = headers_behind(segment, salt, offset, end);
    let proven = proven.max(behind.filter_map(|header| here(durable(header))).max());
    let mut log = Log::default();
    let mut offset = SECTOR;
    loop {
        let is_proven = proven.is_some_and(|proven| offset < proven);
        match at(segment, salt, offset, end) {
            Found::Batch(batch) => {
                let straddles = is_proven && proven.is_some_and(|proven| proven < batch.range.end);
                if straddles {
                    return Answer::Refused("a durable end lies within a batch");
                }
                if let Err(why) = log.take(&batch, segment, offset == SECTOR) {
                    return Answer::Refused(why);
                }
                offset = batch.range.end;
            }
            Found::Newer => return Answer::Refused("a kind or a flag is not known"),
            Found::Blank | Found::Bad if is_proven => return Answer::Refused("what was durable does not verify"),
            Found::Blank | Found::Bad => return Answer::Holds(log.facts, log.epoch),
        }
    }
}

/// A preamble that this version makes for segment 1, over a file of the size it says.
fn is_made(segment: &[u8]) -> bool {
    let mut plainest = vec![0; SECTOR];
    if segment.len() < SEGMENT_BYTES_MIN || !segment.len().is_multiple_of(SECTOR) {
        return false;
    }
    put(&mut plainest, 0, preamble::MAGIC);
    put(&mut plainest, preamble::FORMAT, &[1, 0, 1, 0]);
    put(&mut plainest, preamble::STORE, &segment[preamble::STORE..preamble::SEQUENCE]);
    put(&mut plainest, preamble::SEQUENCE, &1_u32.to_le_bytes());
    put(&mut plainest, preamble::SIZE, &(segment.len() as u32).to_le_bytes());
    let sum = plain(&plainest[preamble::CHECKSUM + 4..]);
    put(&mut plainest, preamble::CHECKSUM, &sum.to_le_bytes());
    segment.starts_with(&plainest)
}

/// Nothing counts in a file without a start record. If anything in it speaks of a durable end, as a footer does, that is
/// damage.
fn of_unstarted(segment: &[u8], salt: Salt, end: usize) -> Answer {
    let mut named = headers_behind(segment, salt, SECTOR, end).map(durable).filter(|(number, _)| *number != 0);
    if named.next().is_some() || has_footer(segment, salt, end) {
        return Answer::Refused("something was durable that is not there");
    }
    Answer::Holds(Vec::new(), 0)
}

/// All valid batch headers from an offset on, wherever batches may begin.
fn headers_behind(segment: &[u8], salt: Salt, offset: usize, end: usize) -> impl Iterator<Item = &[u8]> {
    let places = (offset..end).step_by(ALIGNMENT);
    let headers = places.filter_map(move |offset| header_at(segment, salt, offset, end));
    headers.filter(|header| u16_at(header, batch::FLAGS) == 0 && is_possible(header))
}

fn has_footer(segment: &[u8], salt: Salt, end: usize) -> bool {
    let sector = &segment[end..end + SECTOR];
    sector.starts_with(footer::MAGIC)
        && u32_at(sector, footer::CHECKSUM) == salt.seeded(0, &sector[footer::CHECKSUM + 4..])
}

/// One start record of the known layout.
fn is_start(batch: &Batch<'_>) -> bool {
    let [record] = batch.records[..] else { return false };
    record[record::KIND] == kind::START
        && record.len() == record::HEADER + 24
        && is_zero(&record[record::HEADER + 20..])
}

/// The log as far as it was read.
struct Log {
    next: u64,
    time: i64,
    epoch: u32,
    facts_epoch: u32,
    streams: HashMap<String, Last>,
    /// The first and last of each run of positions that were removed or lost.
    holes: Vec<(u64, u64)>,
    facts: Vec<Fact>,
}

/// The last event of a stream.
#[derive(Clone, Copy, Default)]
struct Last {
    version: u64,
    position: u64,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            next: 1,
            time: i64::MIN,
            epoch: 0,
            facts_epoch: 0,
            streams: HashMap::new(),
            holes: Vec::new(),
            facts: Vec::new(),
        }
    }
}

/// Whether something goes on from what came before; if not, why.
type Judged = Result<(), &'static str>;

impl Log {
    /// Takes in a batch. Where it does not go on from what came before, the log is then good for nothing.
    fn take(&mut self, batch: &Batch<'_>, segment: &[u8], is_first: bool) -> Judged {
        let header = batch.bytes;
        let epoch = u32_at(header, batch::EPOCH);
        let time = i64_at(header, batch::TIME);
        expect(u64_at(header, batch::FIRST_POSITION) == self.next, "the first position of a batch")?;
        expect(self.time <= time, "the time of a batch")?;
        let has_epoch = |record: &&[u8]| u32_at(record, record::EPOCH) == epoch;
        expect(batch.records.iter().all(has_epoch), "the epoch of a record")?;
        let first = batch.records[0];
        let kinds: Vec<u8> = batch.records.iter().map(|record| record[record::KIND]).collect();
        let is_marker = |kind: &u8| [kind::START, kind::SESSION, kind::WATERMARK, kind::CLOSE].contains(kind);
        expect(kinds.len() == 1 || !kinds.iter().any(is_marker), "a marker in company")?;
        expect((kinds[0] == kind::START) == is_first, "a start record elsewhere")?;
        match kinds[0] {
            kind::START => {
                expect(u64_at(first, record::HEADER) == self.next, "the first position of a segment")?;
                expect(self.epoch <= epoch && epoch != 0, "the epoch of a start record")?;
                self.epoch = epoch;
            }
            kind::SESSION => {
                expect(self.epoch < epoch, "the epoch of a session record")?;
                expect(first.len() == record::HEADER + 8, "the length of a session record")?;
                let end = (u32_at(first, record::HEADER), u32_at(first, record::HEADER + 4) as usize);
                let sequence = u32_at(segment, preamble::SEQUENCE);
                expect(end == (sequence, batch.range.start), "the place a session record names")?;
                self.epoch = epoch;
            }
            kind::WATERMARK | kind::CLOSE => {
                expect(first.len() == record::HEADER, "the length of a marker")?;
                expect(epoch <= self.epoch, "the epoch of a marker")?;
            }
            _ => {
                expect(self.facts_epoch <= epoch && epoch <= self.epoch, "the epoch of facts")?;
                self.facts_epoch = epoch;
            }
        }
        for (index, record) in batch.records.iter().enumerate() {
            match record[record::KIND] {
                kind::EVENT => self.take_event(record, time)?,
                kind::KEY => {
                    expect(index + 1 == batch.records.len(), "something behind a key")?;
                    self.check_key(record)?;
                }
                kind::CHECKPOINT | kind::PARKED => self.check_consumer(record)?,
                // They speak of what is behind the whole batch.
                kind::TOMBSTONE..=kind::METADATA => {}
                kind::HOLD | kind::RETENTION => check_keeping(record)?,
                kind::QUOTA => check_quota(record)?,
                kind => {
                    // All that the header has for events is nothing in other records.
                    expect(is_zero(&record[record::POSITION..record::TIME]), "a position without an event")?;
                    expect(record[record::FLAGS] == 0, "a flag without an event")?;
                    expect(is_zero(&record[record::NAME_LENGTH..record::BODY_LENGTH]), "a name without an event")?;
                    expect(is_zero(&record[record::METADATA_LENGTH..record::HEADER]), "a part without an event")?;
                    self.take_range(kind, &record[record::HEADER..])?;
                }
            }
        }
        let is_of_stream = |record: &&&[u8]| (kind::TOMBSTONE..=kind::METADATA).contains(&record[record::KIND]);
        batch.records.iter().filter(is_of_stream).try_for_each(|record| self.check_stream(record))?;
        self.time = time;
        Ok(())
    }

    fn take_event(&mut self, record: &[u8], batch_time: i64) -> Judged {
        let [position, version] = [record::POSITION, record::VERSION].map(|at| u64_at(record, at));
        let time = i64_at(record, record::TIME);
        expect(position == self.next && position <= POSITION_MAX, "the position of an event")?;
        expect((1..=position).contains(&version), "a version beyond its position")?;
        expect(self.time <= time && time <= batch_time, "the time of an event")?;
        let Some((stream, event_type, data)) = parts(record) else { return Err("the body of an event") };
        expect(StreamName::new(stream).is_ok(), "the name of a stream")?;
        expect(NewEvent::bytes(event_type, []).fault().is_none(), "the type of an event")?;
        let last = self.streams.entry(stream.to_owned()).or_default();
        let has_hole = self.holes.iter().any(|(first, end)| last.position < *end && *first < position);
        expect(version == last.version + 1 || (last.version < version && has_hole), "the version of an event")?;
        *last = Last { version, position };
        let epoch = u32_at(record, record::EPOCH);
        let (stream, event_type, data) = (stream.to_owned(), event_type.to_owned(), data.to_vec());
        self.facts.push(Fact { position, version, time, epoch, stream, event_type, data });
        self.time = time;
        self.next += 1;
        Ok(())
    }

    /// A key says which events before it came with it.
    fn check_key(&self, record: &[u8]) -> Judged {
        expect(is_zero(&record[record::POSITION..record::TIME]), "a position without an event")?;
        expect(record[record::FLAGS] == 0, "a flag without an event")?;
        expect(is_zero(&record[record::NAME_LENGTH..record::BODY_LENGTH]), "a name without an event")?;
        expect(is_zero(&record[record::SCHEMA..record::HEADER]), "a part without an event")?;
        let key = u32_at(record, record::METADATA_LENGTH) as usize;
        expect((1..=128).contains(&key), "the length of a key")?;
        let body = record.get(record::HEADER..record::HEADER + key);
        expect(body.is_some_and(|key| std::str::from_utf8(key).is_ok()), "a key that is no text")?;
        let Some((fixed, mut rest)) = record[record::HEADER + key..].split_at_checked(36) else {
            return Err("the length of a key record");
        };
        let [first, last] = [u64_at(fixed, 16), u64_at(fixed, 24)];
        expect(1 <= first && first <= last && last < self.next, "the positions a key speaks of")?;
        let mut streams = 0;
        while let Some((len, behind)) = rest.split_first() {
            let Some((name, behind)) = behind.split_at_checked((*len).into()) else { return Err("a name of a key") };
            let Some((versions, behind)) = behind.split_at_checked(16) else { return Err("a version of a key") };
            let is_name = std::str::from_utf8(name).is_ok_and(|name| StreamName::new(name).is_ok());
            let [first, last] = [u64_at(versions, 0), u64_at(versions, 8)];
            expect(is_name && 1 <= first && first <= last, "a stream of a key")?;
            rest = behind;
            streams += 1;
        }
        expect(streams != 0 && streams == u32_at(fixed, 32), "the number of streams of a key")
    }

    /// What a consumer says speaks of what comes before it.
    fn check_consumer(&self, record: &[u8]) -> Judged {
        expect(is_zero(&record[record::POSITION..record::TIME]), "a position without an event")?;
        expect(record[record::FLAGS] == 0 && record[record::TYPE_LENGTH] == 0, "a type without an event")?;
        expect(is_zero(&record[record::SCHEMA..record::HEADER]), "a part without an event")?;
        let body = &record[record::HEADER..];
        let Some((name, body)) = body.split_at_checked(record[record::NAME_LENGTH].into()) else {
            return Err("the name of a consumer");
        };
        let Some((text, body)) = body.split_at_checked(u32_at(record, record::METADATA_LENGTH) as usize) else {
            return Err("the text of a consumer");
        };
        let is_name = std::str::from_utf8(name).is_ok_and(|name| StreamName::new(name).is_ok());
        expect(is_name && std::str::from_utf8(text).is_ok(), "the name or the text of a consumer")?;
        let is_checkpoint = record[record::KIND] == kind::CHECKPOINT;
        let fixed = if is_checkpoint { 40 } else { 48 };
        let Some((body, left)) = body.split_at_checked(fixed) else { return Err("the length of a consumer's record") };
        expect(u64_at(body, 0) != 0, "the number of a consumer's record")?;
        if !is_checkpoint {
            expect(left.is_empty() && [1, 2, 3].contains(&u32_at(body, 44)), "the state of what is parked")?;
            return expect((1..self.next).contains(&u64_at(body, 16)), "the position of what is parked");
        }
        let (position, scanned, act) = (u64_at(body, 16), u64_at(body, 24), u32_at(body, 32));
        let has_text = match act {
            1 => !text.is_empty(),
            3 => true,
            2 | 4 | 5 => text.is_empty(),
            _ => false,
        };
        expect(has_text, "the act of a checkpoint")?;
        expect(left.len() == u32_at(body, 36) as usize * 8, "how many positions a checkpoint leaves")?;
        let left: Vec<u64> = left.chunks_exact(8).map(|bytes| u64_at(bytes, 0)).collect();
        expect(left.windows(2).all(|pair| pair[0] < pair[1]), "the order of what a checkpoint leaves")?;
        expect(left.first() != Some(&0) && left.iter().all(|left| *left <= scanned), "what a checkpoint leaves")?;
        expect(scanned < self.next && position == left.first().map_or(scanned, |first| first - 1), "a checkpoint")
    }

    /// What is said of a stream is said of a version it can have had.
    fn check_stream(&self, record: &[u8]) -> Judged {
        let kind = record[record::KIND];
        expect(is_zero(&record[record::POSITION..record::VERSION]), "a position without an event")?;
        expect(record[record::FLAGS] == 0 && record[record::TYPE_LENGTH] == 0, "a type without an event")?;
        expect(is_zero(&record[record::TAGS_LENGTH..record::CODEC]), "tags without an event")?;
        let (name, text, body) = texts(record)?;
        expect(StreamName::new(name).is_ok(), "the name of a stream")?;
        let version = u64_at(record, record::VERSION);
        expect(version < self.next, "a version beyond all positions")?;
        let schema = u32_at(record, record::SCHEMA);
        let carries = kind == kind::TRUNCATE && schema != 0;
        expect(carries || (schema == 0 && record[record::CODEC] == 0), "a schema without an event")?;
        expect(8 <= body.len(), "the length of a record about a stream")?;
        match kind {
            kind::TOMBSTONE => expect(text.len() <= 1_024 && body.len() == 8, "a tombstone"),
            kind::DELETE => expect(text.len() <= 1_024 && body.len() == 8 && version != 0, "a deletion"),
            kind::UNDELETE => expect(text.is_empty() && body.len() == 8, "what is undeleted"),
            kind::METADATA => {
                let is_possible = (1..=16_384).contains(&text.len()) && body.len() == 16;
                expect(is_possible && u64_at(body, 8) != 0, "what is said about a stream")
            }
            _ => {
                expect(16 <= body.len() && (1..=version + 1).contains(&u64_at(body, 8)), "where a stream begins")?;
                if !carries {
                    return expect(text.is_empty() && body.len() == 16, "a truncation");
                }
                expect(32 <= body.len() && record[record::CODEC] != 0, "a state")?;
                let [first, position] = [u64_at(body, 8), u64_at(body, 16)];
                expect(2 <= first && first - 1 <= position && position < self.next, "the last event in a state")?;
                expect(NewEvent::bytes(text, []).fault().is_none(), "the name of a fold")
            }
        }
    }

    /// Takes in positions that are removed or lost.
    fn take_range(&mut self, kind: u8, body: &[u8]) -> Judged {
        if kind != kind::REMOVED && kind != kind::LOST {
            return Ok(());
        }
        expect(body.len() == if kind == kind::LOST { 24 } else { 16 }, "the length of a range")?;
        let [first, last] = [u64_at(body, 0), u64_at(body, 8)];
        expect(1 <= first && first <= last && last <= POSITION_MAX, "a range of positions")?;
        if kind == kind::LOST {
            let state = u64_at(body, 16);
            expect([1, 2].contains(&state), "the state of a loss")?;
            if state == 2 {
                return expect(first == last && last < self.next, "the losses that are accepted");
            }
        }
        expect(first == self.next, "the first position of a range")?;
        self.next = last + 1;
        self.holes.push((first, last));
        Ok(())
    }
}

/// The name and the text that a body begins with, and what is left.
fn texts(record: &[u8]) -> Result<(&str, &str, &[u8]), &'static str> {
    let body = &record[record::HEADER..];
    let of = |bytes| std::str::from_utf8(bytes).map_err(|_| "what is no text");
    let (name, body) = body.split_at_checked(record[record::NAME_LENGTH].into()).ok_or("the length of a name")?;
    let len = u32_at(record, record::METADATA_LENGTH) as usize;
    let (text, body) = body.split_at_checked(len).ok_or("the length of a text")?;
    Ok((of(name)?, of(text)?, body))
}

/// What is kept is decided for something that there can be.
fn check_keeping(record: &[u8]) -> Judged {
    expect(is_zero(&record[record::POSITION..record::TIME]), "a position without an event")?;
    expect(record[record::FLAGS] == 0 && record[record::TYPE_LENGTH] == 0, "a type without an event")?;
    expect(is_zero(&record[record::SCHEMA..record::HEADER]), "a part without an event")?;
    let (name, text, body) = texts(record)?;
    let is_hold = record[record::KIND] == kind::HOLD;
    expect(body.len() == if is_hold { 16 } else { 32 }, "the length of what is decided")?;
    let is_named = match u32_at(body, 8) {
        1 => StreamName::new(name).is_ok(),
        2 => StreamName::new(name).is_ok() && !name.contains('-'),
        3 => NewEvent::bytes(name, []).fault().is_none(),
        4 | 5 => name.is_empty(),
        _ => false,
    };
    expect(is_named, "what is decided about")?;
    let state = u32_at(body, 12);
    expect([1, 2].contains(&state), "the state of what is decided")?;
    if is_hold {
        return expect((1..=1_024).contains(&text.len()), "the label of a hold");
    }
    let (newest, age) = (u64_at(body, 16), u64_at(body, 24));
    let is_rule = if state == 1 { newest != 0 } else { newest == 0 && age == 0 };
    let is_of_keys = u32_at(body, 8) == 5;
    expect(!is_of_keys || state == 2 || newest == u64::MAX, "so many keys")?;
    expect(text.is_empty() && is_rule, "a rule")
}

/// How much the events with a tag may take is decided for a tag that there can be.
fn check_quota(record: &[u8]) -> Judged {
    expect(is_zero(&record[record::POSITION..record::TIME]), "a position without an event")?;
    expect(record[record::FLAGS] == 0 && record[record::TYPE_LENGTH] == 0, "a type without an event")?;
    expect(is_zero(&record[record::SCHEMA..record::HEADER]), "a part without an event")?;
    let (key, value, body) = texts(record)?;
    expect(body.len() == 32, "the length of a quota")?;
    let (scope, state, bytes) = (u32_at(body, 8), u32_at(body, 12), u64_at(body, 16));
    expect(scope == 1 || (scope == 2 && value.is_empty()), "what a quota is for")?;
    expect(NewEvent::bytes("any", []).tag(key, value).fault().is_none(), "a tag that there cannot be")?;
    let is_quota = match (state, u32_at(body, 24)) {
        (1, action) => (1..=3).contains(&action),
        (2, action) => action == 0 && bytes == 0,
        _ => false,
    };
    expect(is_quota && u32_at(body, 28) == 0, "a quota")
}

/// The stream, the type and the payload of an event whose body is what it must be.
fn parts(record: &[u8]) -> Option<(&str, &str, &[u8])> {
    let flags = record[record::FLAGS];
    let is_known = flags < 4 && record[record::CODEC] != 0 && u32_at(record, record::SCHEMA) != 0;
    let mut at = record::HEADER + if flags & 1 == 0 { 0 } else { 16 } + if flags & 2 == 0 { 0 } else { 8 };
    let mut part = |len: usize| {
        let part = record.get(at..at.checked_add(len)?);
        at += len;
        part
    };
    let stream = std::str::from_utf8(part(record[record::NAME_LENGTH].into())?).ok()?;
    let event_type = std::str::from_utf8(part(record[record::TYPE_LENGTH].into())?).ok()?;
    let mut tags = part(u16_at(record, record::TAGS_LENGTH).into())?;
    std::str::from_utf8(part(u32_at(record, record::METADATA_LENGTH) as usize)?).ok()?;
    while let Some((lens, rest)) = tags.split_first_chunk::<2>() {
        let (key, rest) = rest.split_at_checked(lens[0].into())?;
        let (value, rest) = rest.split_at_checked(lens[1].into())?;
        std::str::from_utf8(key).ok().and(std::str::from_utf8(value).ok())?;
        tags = rest;
    }
    (is_known && tags.is_empty()).then_some((stream, event_type, &record[at..]))
}

fn expect(holds: bool, why: &'static str) -> Judged {
    if holds { Ok(()) } else { Err(why) }
}

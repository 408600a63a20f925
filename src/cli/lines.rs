//! Input taken line by line: numbered, as text, blank ones passed over.

use crate::cli::carried;
use crate::cli::failure::{Exit, Failure};
use crate::cli::ndjson::Line;
use scorebook::{ExactFact, ExactSnapshot};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};

/// The longest line: 128 MiB, more than the largest event there can be takes as JSON, escapes included.
const LINE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes a line that says a UTF-8 text begins may start with; nothing here needs them.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Lines of NDJSON, with their numbers.
pub(crate) struct Lines {
    reader: Box<dyn BufRead>,
    /// What is read, for messages.
    name: PathBuf,
    /// The number of the line in `buffer`; lines are numbered from 1.
    number: u64,
    /// The line that was read last; the next one takes its room.
    buffer: Vec<u8>,
    /// How many bytes were taken, ends of lines included.
    bytes: u64,
    /// How many bytes there are in all, where that is known.
    bytes_total: Option<u64>,
    passes_over_others: bool,
    passed_over: u64,
}

/// What a line of an export says.
pub(crate) enum Record {
    Event(Box<Line>),
    Fact(ExactFact),
    Snapshot(Box<ExactSnapshot>),
}

impl Record {
    /// The first key tells what it is.
    fn parse(text: &str) -> Result<Record, String> {
        let first = text.trim_ascii_start().strip_prefix('{').map_or("", str::trim_ascii_start);
        if first.starts_with("\"fact\"") {
            return ExactFact::from_json(text).map(Record::Fact).map_err(|error| error.to_string());
        }
        if first.starts_with("\"snapshot\"") {
            return carried::parse(text).map(|snapshot| Record::Snapshot(Box::new(snapshot)));
        }
        Line::parse(text).map(|line| Record::Event(Box::new(line)))
    }
}

impl Lines {
    /// Lines of a file, or of standard input where there is none or it is `-`.
    pub(crate) fn open(file: Option<&Path>) -> Result<Lines, Failure> {
        match file {
            Some(path) if path != Path::new("-") => {
                let file = File::open(path).map_err(|error| Failure::file("opening", path, &error))?;
                let bytes_total = file.metadata().ok().filter(|of| of.is_file()).map(|of| of.len());
                Ok(Lines::new(Box::new(BufReader::with_capacity(1 << 16, file)), path, bytes_total))
            }
            _ => Ok(Lines::new(Box::new(stdin().lock()), Path::new("standard input"), None)),
        }
    }

    /// Lines of whatever can be read.
    pub(crate) fn new(reader: Box<dyn BufRead>, name: &Path, bytes_total: Option<u64>) -> Lines {
        Lines {
            reader,
            name: name.to_owned(),
            number: 0,
            buffer: Vec::new(),
            bytes: 0,
            bytes_total,
            passes_over_others: false,
            passed_over: 0,
        }
    }

    /// Passes over everything before line `number`, without looking at it.
    pub(crate) fn skip_to(&mut self, number: u64) -> Result<(), Failure> {
        while self.number + 1 < number && self.fill()? {}
        Ok(())
    }

    /// The event of the next line that is not blank. What an export holds besides events is refused, unless it is to be passed
    /// over.
    pub(crate) fn next_event(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            let what = match self.next_record()? {
                None => return Ok(None),
                Some(Record::Event(line)) => return Ok(Some(*line)),
                Some(_) if self.passes_over_others => {
                    self.passed_over += 1;
                    continue;
                }
                Some(Record::Fact(fact)) => format!("`{}`", fact.kind()),
                Some(Record::Snapshot(_)) => "a snapshot".to_owned(),
            };
            let advice = "`import --exact` takes it in, and `import --events-only` passes over it";
            return Err(self.fault(&format!("{what} is no event: {advice}")));
        }
    }

    /// What the next line says that is not blank.
    pub(crate) fn next_record(&mut self) -> Result<Option<Record>, Failure> {
        while self.fill()? {
            let text = self.text()?;
            if !text.trim_ascii().is_empty() {
                return Record::parse(text).map(Some).map_err(|fault| self.fault(&fault));
            }
        }
        Ok(None)
    }

    /// Passes over whatever is no event.
    pub(crate) fn passing_over_others(mut self) -> Lines {
        self.passes_over_others = true;
        self
    }

    /// How many lines were passed over that were no events.
    pub(crate) fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// The last line that was read, for messages: `line 7`.
    pub(crate) fn place(&self) -> String {
        format!("line {}", self.number)
    }

    /// The number of the last line that was read.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// How long the last line that was read is.
    pub(crate) fn line_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// How many bytes were taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes there are in all, where that is known.
    pub(crate) fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    /// Something is wrong with the last line that was read.
    pub(crate) fn fault(&self, reason: &str) -> Failure {
        Failure::new(Exit::Other, reason).at(&self.place())
    }

    /// Reads the next line; `false` at the end.
    fn fill(&mut self) -> Result<bool, Failure> {
        self.buffer.clear();
        let mut limited = (&mut self.reader).take(LINE_BYTES_MAX as u64 + 1);
        let bytes = match limited.read_until(b'\n', &mut self.buffer) {
            Ok(bytes) => bytes,
            Err(error) => return Err(Failure::file("reading", &self.name, &error)),
        };
        self.bytes += bytes as u64;
        self.number += u64::from(bytes != 0);
        if LINE_BYTES_MAX < bytes {
            return Err(self.fault(&format!("more than {LINE_BYTES_MAX} bytes in one line")));
        }
        Ok(bytes != 0)
    }

    /// The line as text, without its end; a carriage return before the line feed is part of the end.
    fn text(&self) -> Result<&str, Failure> {
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(BYTE_ORDER_MARK) {
            return Err(self.fault("begins with a byte-order mark"));
        }
        std::str::from_utf8(line).map_err(|error| self.fault(&format!("not UTF-8 at byte {}", error.valid_up_to() + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &'static [u8]) -> Lines {
        Lines::new(Box::new(bytes), Path::new("test"), None)
    }

    #[test]
    fn blank_lines_and_carriage_returns_are_taken_and_counted() {
        let mut lines = lines(b"\n \t\r\n{\"type\":\"a\",\"data\":1}\r\n\r\n{\"type\":\"b\",\"data\":1}");
        let mut seen = Vec::new();
        while let Some(line) = lines.next_event().expect("good lines") {
            seen.push((lines.number(), line.event.event_type().to_owned()));
        }
        assert_eq!(seen, [(3, "a".to_owned()), (5, "b".to_owned())]);
        assert_eq!(lines.bytes(), 51);
    }

    #[test]
    fn a_byte_order_mark_and_bad_utf_8_are_refused_with_the_line() {
        for (bytes, text) in [
            (b"\xEF\xBB\xBF{\"type\":\"a\",\"data\":1}".as_slice(), "line 1: begins with a byte-order mark"),
            (b"\n{\"type\":\"\xFF\"}", "line 2: not UTF-8 at byte 10"),
            (b"\xFF\xFE{\0}\0", "line 1: not UTF-8 at byte 1"),
        ] {
            let failure = lines(bytes).next_event().expect_err("a bad line");
            assert!(format!("{failure:?}").contains(text), "{failure:?}");
        }
    }

    #[test]
    fn what_is_skipped_is_not_looked_at() {
        let mut lines = lines(b"\xFF\nrubbish\n{\"type\":\"a\",\"data\":1}\n");
        lines.skip_to(3).expect("lines");
        assert!(lines.next_event().expect("a good line").is_some());
        assert_eq!(lines.number(), 3);
        assert!(lines.next_event().expect("the end").is_none());
    }
}

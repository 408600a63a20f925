//! What is printed, and in which form.
//!
//! Data goes to standard output as a table, as JSON or as NDJSON; everything else goes to standard error through
//! [`say`]. Payloads and names come from anywhere, so no control character of theirs reaches a terminal as it is:
//! tables show them escaped always, JSON escapes by nature what is below a space and here, on a terminal, the rest.

use crate::cli::compact::indented;
use crate::cli::failure::Failure;
use crate::cli::ndjson::quoted;
use crate::cli::table::Table;
use crate::cli::terminal;
use serde_json::Value;
use std::borrow::Cow;
use std::io::{BufWriter, IsTerminal, StdoutLock, Write, stdout};

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON array or object.
    Json,
    /// A JSON object in each line.
    Ndjson,
}

/// Standard output.
pub(crate) struct Output {
    sink: BufWriter<StdoutLock<'static>>,
    format: Format,
    is_terminal: bool,
}

impl Output {
    /// Standard output in this format; where none is asked for, a table for a terminal and NDJSON for a pipe.
    pub(crate) fn new(format: Option<Format>) -> Output {
        let stdout = stdout();
        let is_terminal = stdout.is_terminal();
        let usual = if is_terminal { Format::Table } else { Format::Ndjson };
        Output { sink: BufWriter::with_capacity(1 << 16, stdout.lock()), format: format.unwrap_or(usual), is_terminal }
    }

    /// Prints one thing: a table of names and values, or a JSON object.
    pub(crate) fn facts(&mut self, facts: &Facts) -> Result<(), Failure> {
        match self.format {
            Format::Table => {
                let mut table = Table::new(&[], self.is_terminal);
                for (name, shown) in facts.shown() {
                    table.row(&[name.to_owned(), shown]);
                }
                self.text(&table.take())?;
            }
            Format::Json | Format::Ndjson => {
                self.json(&facts.json())?;
                self.text("\n")?;
            }
        }
        self.flush()
    }

    /// Prints a value that is JSON already: over lines for people, on one line otherwise.
    pub(crate) fn value(&mut self, json: &str) -> Result<(), Failure> {
        match self.format {
            Format::Table => {
                let lines: Vec<String> = indented(json).lines().map(str::to_owned).collect();
                self.shown(&lines)?;
            }
            Format::Json | Format::Ndjson => {
                self.json(json)?;
                self.text("\n")?;
            }
        }
        self.flush()
    }

    /// Begins a list of things of one kind.
    pub(crate) fn list(&mut self, columns: &'static [&'static str]) -> List<'_> {
        let table = Table::new(columns, self.is_terminal);
        List { output: self, table: Some(table), rows: 0 }
    }

    /// Begins a list of things that are told to people in lines of their own: what the cells of a row would be.
    pub(crate) fn lines(&mut self) -> List<'_> {
        List { output: self, table: None, rows: 0 }
    }

    /// How many characters fit a line, where lines are for a terminal that says so.
    pub(crate) fn width(&self) -> Option<usize> {
        if self.is_terminal { terminal::width() } else { None }
    }

    /// Whether what is printed is for people.
    pub(crate) fn is_for_people(&self) -> bool {
        self.format == Format::Table
    }

    /// Prints lines with what could harm a terminal escaped.
    fn shown(&mut self, lines: &[String]) -> Result<(), Failure> {
        lines.iter().try_for_each(|line| self.text(&format!("{}\n", escape(line))))
    }

    /// Prints text of our own making as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.sink.write_all(text.as_bytes())?)
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.sink.flush()?)
    }

    fn json(&mut self, json: &str) -> Result<(), Failure> {
        let json = if self.is_terminal { escape_json(json) } else { Cow::Borrowed(json) };
        self.text(&json)
    }
}

/// A list that is being printed, row by row.
pub(crate) struct List<'a> {
    output: &'a mut Output,
    /// `None` where rows are lines.
    table: Option<Table>,
    rows: u64,
}

/// Something that can be a row of a list.
pub(crate) trait Row {
    /// The cells of a table, or lines, as they come: they are escaped behind this.
    fn cells(&self) -> Vec<String>;

    /// Writes the row as one line of JSON to `line`, which is empty.
    fn write_json(&self, line: &mut String) -> Result<(), Failure>;
}

/// So many rows of a table are laid out together.
const PAGE_ROWS: u64 = 500;

impl List<'_> {
    /// Prints one row; a row that cannot be printed leaves nothing of itself behind.
    pub(crate) fn push(&mut self, row: &impl Row) -> Result<(), Failure> {
        if self.output.format == Format::Table {
            match &mut self.table {
                Some(table) => table.row(&row.cells()),
                None => self.output.shown(&row.cells())?,
            }
            self.rows += 1;
            return if self.rows.is_multiple_of(PAGE_ROWS) { self.flush() } else { Ok(()) };
        }
        let mut line = String::new();
        row.write_json(&mut line)?;
        if self.output.format == Format::Json {
            self.output.text(if self.rows == 0 { "[\n" } else { ",\n" })?;
        }
        self.rows += 1;
        self.output.json(&line)?;
        if self.output.format == Format::Ndjson {
            self.output.text("\n")?;
        }
        Ok(())
    }

    /// From here on rows are those of another table; as data, the list goes on.
    pub(crate) fn under(&mut self, columns: &'static [&'static str]) -> Result<(), Failure> {
        self.flush()?;
        self.table = Some(Table::new(columns, self.output.is_terminal));
        Ok(())
    }

    /// From here on rows are lines of their own.
    pub(crate) fn as_lines(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.table = None;
        Ok(())
    }

    /// A line between the rows, for people only.
    pub(crate) fn heading(&mut self, line: &str) -> Result<(), Failure> {
        if self.output.format == Format::Table { self.output.shown(&[line.to_owned()]) } else { Ok(()) }
    }

    /// Whether what is printed is for people.
    pub(crate) fn is_for_people(&self) -> bool {
        self.output.is_for_people()
    }

    /// How many characters fit a line, where lines are for a terminal that says so.
    pub(crate) fn width(&self) -> Option<usize> {
        self.output.width()
    }

    /// Everything pushed so far reaches the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let page = self.table.as_mut().map(Table::take).unwrap_or_default();
        self.output.text(&page)?;
        self.output.flush()
    }

    /// Ends the list.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if self.output.format == Format::Json {
            self.output.text(if self.rows == 0 { "[]\n" } else { "\n]\n" })?;
        }
        self.flush()
    }
}

/// Names and values of one thing, in the order in which they are told.
#[derive(Clone, Default)]
pub(crate) struct Facts(Vec<Fact>);

#[derive(Clone)]
struct Fact {
    name: String,
    json: String,
    /// How a table shows the value, a line for each; where it is empty, there is nothing.
    shown: Vec<String>,
}

impl Facts {
    /// A value that a table shows as JSON does, without the quotes.
    pub(crate) fn with(self, name: &str, value: impl Into<Value>) -> Facts {
        let value = value.into();
        let shown = match &value {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            other => other.to_string(),
        };
        self.with_shown(name, &value, vec![shown])
    }

    /// These, and then others.
    pub(crate) fn and(mut self, others: Facts) -> Facts {
        self.0.extend(others.0);
        self
    }

    /// A value that a table shows in its own way, a line for each.
    pub(crate) fn with_shown(self, name: &str, value: &Value, shown: Vec<String>) -> Facts {
        self.with_json(name, &value.to_string(), shown)
    }

    /// The same for a value that is JSON already, and keeps its bytes.
    pub(crate) fn with_json(mut self, name: &str, json: &str, shown: Vec<String>) -> Facts {
        self.0.push(Fact { name: name.to_owned(), json: json.to_owned(), shown });
        self
    }

    fn shown(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().flat_map(|fact| {
            let name = fact.name.as_str();
            let none = fact.shown.is_empty().then(|| (name, "none".to_owned()));
            let names = std::iter::once(name).chain(std::iter::repeat(""));
            none.into_iter().chain(names.zip(fact.shown.iter().cloned()))
        })
    }

    fn json(&self) -> String {
        let members: Vec<String> = self.0.iter().map(|fact| format!("{}:{}", quoted(&fact.name), fact.json)).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// A number of things: `1 batch`, `2 batches`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Says something on standard error, in lines that begin with the name of the tool.
pub(crate) fn say(text: &str) {
    let shown: Vec<_> = text.lines().map(|line| escape(line).into_owned()).collect();
    // Where standard error is closed, there is nobody left to tell.
    let _ = writeln!(anstream::stderr().lock(), "\x1b[1mscorebook:\x1b[0m {}", shown.join("\n"));
}

/// A text with everything escaped that could move a terminal's cursor, change its colours or reorder its letters.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

/// The same for JSON, in JSON's own words. Such characters stand inside strings only.
fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_harmful) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmful(c) { escaped.push_str(&format!("\\u{:04x}", u32::from(c))) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

/// Control characters, ends of lines that are not ours, and marks that turn the direction of writing.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_terminal_gets_through() {
        for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let text = c.to_string();
            assert!(!escape(&text).contains(|c: char| c.is_control()), "{}", c.escape_unicode());
        }
        assert_eq!(escape("a\u{1b}[31mb\u{9b}c\n\u{202e}"), r"a\u{1b}[31mb\u{9b}c\n\u{202e}");
        assert_eq!(escape("ゲーム 🎲"), "ゲーム 🎲");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let json = "[\"\u{9b}31m\u{7f}\u{2028}\"]";
        let escaped = escape_json(json);
        assert_eq!(escaped, r#"["\u009b31m\u007f\u2028"]"#);
        let same: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(serde_json::from_str::<Value>(&escaped).expect("JSON"), same);
    }

    #[test]
    fn facts_keep_their_order() {
        let facts = Facts::default().with("b", 1).with("a", "x").with_shown("none", &Value::Array(vec![]), vec![]);
        assert_eq!(facts.json(), r#"{"b":1,"a":"x","none":[]}"#);
        let shown: Vec<_> = facts.shown().collect();
        assert_eq!(shown, [("b", "1".to_owned()), ("a", "x".to_owned()), ("none", "none".to_owned())]);
    }
}

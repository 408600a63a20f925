//! How far something has come that takes a while, on a terminal.

use crate::cli::lines::Lines;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use scorebook::{CompactionProgress, Position, RebuildProgress};
use std::borrow::Cow;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

/// A bar on standard error that goes away when it is dropped; nothing at all where that is no terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for these lines; a count alone where nobody knows how many there are.
    pub(crate) fn of(lines: &Lines) -> Progress {
        if !stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden() };
        }
        let template = match lines.bytes_total() {
            Some(_) => "{wide_bar} {bytes} of {total_bytes}, {msg}, {eta} left",
            None => "{spinner} {bytes}, {msg}",
        };
        let bar = ProgressBar::with_draw_target(lines.bytes_total(), ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(ProgressStyle::with_template(template).expect("the templates above are well formed"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar }
    }

    /// A bar for so many games.
    pub(crate) fn of_games(games: u64) -> Progress {
        if !stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(Some(games), ProgressDrawTarget::stderr_with_hz(10));
        let template = "{wide_bar} {pos} of {len} games, {msg}, {elapsed}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template above is well formed"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar }
    }

    /// A bar for positions up to this one.
    pub(crate) fn of_positions(head: Position) -> Progress {
        if !stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(Some(head.get()), ProgressDrawTarget::stderr_with_hz(10));
        let template = "{wide_bar} {pos} of {len} positions, {msg}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template above is well formed"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar }
    }

    /// A sign that something is done, of which nobody knows how long it takes.
    pub(crate) fn of_nobody_knows(what: &'static str) -> Progress {
        if !stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let template = "{spinner} {msg}, {elapsed}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template above is well formed"));
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar }
    }

    /// A bar for bytes of segments that are written anew.
    pub(crate) fn of_segments() -> Progress {
        if !stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        let template = "{wide_bar} {bytes} of {total_bytes} done, {msg}, {elapsed}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template above is well formed"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar }
    }

    /// Segments are written anew so far.
    pub(crate) fn rewritten(&self, progress: CompactionProgress) {
        self.bar.set_length(progress.bytes_to_read());
        self.bar.set_position(progress.bytes_read());
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{} written", HumanBytes(progress.bytes_written())));
        }
    }

    /// A projection is folded so far.
    pub(crate) fn folded(&self, progress: &RebuildProgress) {
        self.bar.set_length(progress.head().get());
        self.bar.set_position(progress.position().get());
        if !self.bar.is_hidden() {
            let left = progress.time_left().map(|left| format!(", {} s left", left.as_secs()));
            self.bar.set_message(format!("{} events a second{}", progress.rate(), left.unwrap_or_default()));
        }
    }

    /// So many games are over; `text` says what else there is to say.
    pub(crate) fn played(&self, games: u64, text: impl Into<Cow<'static, str>>) {
        self.bar.set_position(games);
        if !self.bar.is_hidden() {
            self.bar.set_message(text);
        }
    }

    /// So many bytes were taken, and so many events are in.
    pub(crate) fn reached(&self, bytes: u64, events: u64) {
        self.bar.set_position(bytes);
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{events} events"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

//! How far an import has come, on a terminal.

use crate::cli::lines::Lines;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
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

//! Talking to whoever sits at the terminal, or to the other end of a pipe.

use crate::cli::failure::Failure;
use std::io::{BufRead, IsTerminal, Write, stdin, stdout};

/// Clears the screen and what can be scrolled back to, and goes to its beginning.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Standard input and output, a line at a time.
pub(super) struct Talk {
    is_terminal: bool,
}

impl Talk {
    pub(super) fn new() -> Talk {
        Talk { is_terminal: stdout().is_terminal() && stdin().is_terminal() }
    }

    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        let mut stdout = stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Waits until somebody says that nobody else looks, and takes away what stood there. Whether somebody did; at the other
    /// end of a pipe nobody looks.
    pub(super) fn is_alone(&mut self, question: &str) -> Result<bool, Failure> {
        if !self.is_terminal {
            return Ok(true);
        }
        self.say(question)?;
        let is_there = stdin().lock().read_line(&mut String::new())? != 0;
        self.clear()?;
        Ok(is_there)
    }

    /// Takes away what the partner is not to see.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        if self.is_terminal { self.say(CLEAR) } else { Ok(()) }
    }

    /// Asks until something is said. `None` at the end of the input.
    pub(super) fn ask(&mut self, question: &str) -> Result<Option<String>, Failure> {
        loop {
            self.say(question)?;
            let mut line = String::new();
            if stdin().lock().read_line(&mut line)? == 0 {
                return Ok(None);
            }
            if !line.trim().is_empty() {
                return Ok(Some(line.trim().to_owned()));
            }
        }
    }
}

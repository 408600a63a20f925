//! Why a command did not succeed: a text for standard error, and the exit code.

use crate::cli::output::say;
use scorebook::{AppendError, Error, ErrorKind};
use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// What the tool ends with. The numbers are part of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Fine = 0,
    Other = 1,
    Usage = 2,
    NotFound = 3,
    Damage = 4,
    Locked = 5,
    Conflict = 6,
    TooNew = 7,
    NoRoom = 8,
    Refusing = 9,
    Undecoded = 10,
}

/// Why a command stopped. An empty text is a quiet end.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    text: String,
    /// What to do about it, on a line of its own.
    advice: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure { exit, text: text.into(), advice: None }
    }

    /// Trouble with a file that is not the store's.
    pub(crate) fn file(act: &str, path: &Path, error: &io::Error) -> Failure {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            kind => exit_of_io(kind),
        };
        Failure::new(exit, format!("{act} {}: {error}", path.display()))
    }

    /// What is told of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The same failure, with where it happened in front.
    pub(crate) fn at(mut self, place: &str) -> Failure {
        self.text = format!("{place}: {}", self.text);
        self
    }

    /// The same failure, with what to do about it.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Failure {
        self.advice = Some(advice.into());
        self
    }

    /// Tells the failure on standard error and hands over the exit code.
    pub(crate) fn tell(self) -> ExitCode {
        if !self.text.is_empty() {
            say(&self.text);
        }
        if let Some(advice) = &self.advice {
            say(advice);
        }
        ExitCode::from(self.exit as u8)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::new(exit_of(error.kind()), chain(&error))
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Failure {
        match error {
            AppendError::Conflict(conflict) => Failure::new(Exit::Conflict, format!("conflict: {conflict}")),
            AppendError::Store(error) => error.into(),
        }
    }
}

/// Trouble with standard output. A reader who has seen enough is none.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Exit::Fine, ""),
            kind => Failure::new(exit_of_io(kind), format!("writing output: {error}")),
        }
    }
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::StoreNotFound
        | ErrorKind::StreamNotFound
        | ErrorKind::EventNotFound
        | ErrorKind::Deleted
        | ErrorKind::BelowFloor => Exit::NotFound,
        ErrorKind::Damaged | ErrorKind::Lost => Exit::Damage,
        ErrorKind::Locked => Exit::Locked,
        ErrorKind::TooNew => Exit::TooNew,
        ErrorKind::Full => Exit::NoRoom,
        ErrorKind::Poisoned | ErrorKind::ReadOnly | ErrorKind::OutcomeUnknown => Exit::Refusing,
        ErrorKind::Decode | ErrorKind::UnknownType => Exit::Undecoded,
        _ => Exit::Other,
    }
}

fn exit_of_io(kind: io::ErrorKind) -> Exit {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Exit::NoRoom,
        _ => Exit::Other,
    }
}

/// An error and its sources, each behind a colon.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_of_trouble_has_its_exit_code() {
        for (kind, exit) in [
            (ErrorKind::StoreNotFound, 3),
            (ErrorKind::StreamNotFound, 3),
            (ErrorKind::EventNotFound, 3),
            (ErrorKind::Deleted, 3),
            (ErrorKind::Damaged, 4),
            (ErrorKind::Lost, 4),
            (ErrorKind::Locked, 5),
            (ErrorKind::TooNew, 7),
            (ErrorKind::Full, 8),
            (ErrorKind::Poisoned, 9),
            (ErrorKind::ReadOnly, 9),
            (ErrorKind::OutcomeUnknown, 9),
            (ErrorKind::Decode, 10),
            (ErrorKind::UnknownType, 10),
            (ErrorKind::Io, 1),
            (ErrorKind::InvalidArgument, 1),
        ] {
            assert_eq!(exit_of(kind) as u8, exit, "{kind:?}");
        }
    }

    #[test]
    fn a_closed_pipe_is_quiet_and_fine() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit, failure.text.as_str()), (Exit::Fine, ""));
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).exit, Exit::NoRoom);
    }

    #[test]
    fn the_text_says_the_act_and_then_the_cause() {
        let error = "x".parse::<scorebook::EventId>().expect_err("not an id");
        let failure = Failure::from(error).at("line 3");
        assert!(failure.text.starts_with("line 3: event id `x` is not a UUID: "), "{}", failure.text);
    }
}

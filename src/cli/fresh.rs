//! A new directory for a store that a command makes for itself.

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::escape;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The directory as given, if there is nothing in it; where none is given, a new one for what is called so.
pub(crate) fn directory(dir: Option<PathBuf>, what: &str) -> Result<PathBuf, Failure> {
    match dir {
        Some(dir) => absent_or_empty(&dir, what),
        None => fresh_temporary(what),
    }
}

fn absent_or_empty(dir: &Path, what: &str) -> Result<PathBuf, Failure> {
    let trouble = |error| Failure::file("reading", dir, &error);
    match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(trouble(error)),
        Ok(entries) => {
            if entries.count() != 0 {
                let text = format!("{} is not empty: `{what}` wants a new directory", dir.display());
                return Err(Failure::new(Exit::Other, text));
            }
        }
    }
    std::path::absolute(dir).map_err(trouble)
}

/// A new directory among the temporary ones; it stays when the command is over.
fn fresh_temporary(what: &str) -> Result<PathBuf, Failure> {
    let parent = std::env::temp_dir();
    for number in u64::from(std::process::id()).. {
        let dir = parent.join(format!("scorebook-{what}-{number}"));
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::file("creating", &dir, &error)),
        }
    }
    unreachable!("there are more numbers than directories")
}

/// A path as a shell takes it.
pub(crate) fn shown(dir: &Path) -> String {
    let text = dir.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", escape(&text).replace('\'', r"'\''")),
    }
}

/// How this tool is called here. Cargo says to what it runs that it does: then the tool may not be installed.
pub(crate) fn tool() -> &'static str {
    if std::env::var_os("CARGO").is_some() { "cargo scorebook" } else { "scorebook" }
}

//! What others wrote is run and must not end whoever goes through a whole log: a panic of theirs is an error here.

use crate::error::{Error, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a step or a fold; `at` says, for the error, what it was run for.
pub(crate) fn caught<T>(at: impl FnOnce() -> String, run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let told = panic.downcast_ref::<String>().map(String::as_str);
        let told = told.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
        Err(Error::with_source(ErrorKind::Decode, format!("a step or a fold panicked {}", at()), told))
    })
}

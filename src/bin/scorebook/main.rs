//! The `scorebook` command: the tool without anybody's aggregates.

use scorebook::Registry;
use std::process::ExitCode;

fn main() -> ExitCode {
    scorebook::cli::run(Registry::default())
}

//! The `scorebook` command: the tool with what the word game knows, and nobody else.

use scorebook::Registry;
use scorebook::cli::Linked;
use scorebook::game::{Boards, Game, Replay, Team, User};
use std::error::Error;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let registry = Registry::builder().aggregate::<Game>("game").aggregate::<Replay>("replay");
    let registry = registry.aggregate::<Team>("team").aggregate::<User>("user");
    Ok(scorebook::cli::run(Linked::new(registry.build()?).projection::<Boards>()))
}

//! One life of the bot: the process, from its beginning to its end, whoever brings that about.

use crate::cli::demo::wire::{FromBot, ToBot};
use crate::cli::failure::{Exit, Failure, chain};
use scorebook::game::Moment;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// The variable that tells the demo to be the bot of another one, with the store in this directory.
pub(super) const BOT_VARIABLE: &str = "SCOREBOOK_DEMO_BOT";

/// An answer that does not come in this time never will.
const PATIENCE: Duration = Duration::from_secs(40);

/// A process that is the bot.
pub(super) struct Life {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<FromBot>,
}

impl Life {
    /// Begins a process, and waits until it has taken up its games: what it said until then comes with it. Where it is not ready
    /// within some time, and such a time is given, it is killed, and nothing comes of it.
    pub(super) fn begin(
        dir: &Path,
        at: Moment,
        seed: u64,
        patience: Option<Duration>,
    ) -> Result<Option<(Life, Vec<FromBot>)>, Failure> {
        let mut life = Life::spawn(dir)?;
        life.write(&ToBot::Hello { at, seed })?;
        let until = Instant::now() + patience.unwrap_or(PATIENCE);
        let mut lines = Vec::new();
        while !matches!(lines.last(), Some(FromBot::Ready { .. })) {
            match life.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout) if patience.is_some() => {
                    life.kill()?;
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => return Err(late()),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            }
        }
        Ok(Some((life, lines)))
    }

    /// The same program with the same arguments: whatever of them brought this process here, brings that one here as well.
    fn spawn(dir: &Path) -> Result<Life, Failure> {
        let trouble = |error: std::io::Error| Failure::new(Exit::Other, format!("beginning the bot: {error}"));
        let program = std::env::current_exe().map_err(trouble)?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).env(BOT_VARIABLE, dir);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(trouble)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return Err(gone()) };
        let (heard, lines) = mpsc::channel();
        thread::spawn(move || listen(stdout, &heard));
        Ok(Life { child, stdin, lines })
    }

    /// Says something to it. A bot that is gone is noticed by what it does not answer.
    pub(super) fn write(&mut self, line: &ToBot) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(line).map_err(|error| Failure::new(Exit::Other, chain(&error)))?;
        text.push(b'\n');
        match self.stdin.write_all(&text) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(gone()),
            written => Ok(written?),
        }
    }

    /// Waits for the next thing it says.
    pub(super) fn next(&self) -> Result<FromBot, Failure> {
        self.lines.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => late(),
            RecvTimeoutError::Disconnected => gone(),
        })
    }

    /// Kills it, which it cannot know of, and hands over what it had said.
    pub(super) fn kill(mut self) -> Result<Vec<FromBot>, Failure> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map_err(|error| Failure::new(Exit::Other, format!("killing the bot: {error}")))?;
        Ok(self.lines.iter().collect())
    }

    /// Lets it end by itself: nobody says anything any more.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        drop(self.stdin);
        let status = self.child.wait().map_err(|error| Failure::new(Exit::Other, format!("the bot: {error}")))?;
        if status.success() { Ok(()) } else { Err(Failure::new(Exit::Other, format!("the bot ended with {status}"))) }
    }
}

/// Hands on line by line what the bot says. Half a line is what a kill leaves, and nothing was said with it.
fn listen(stdout: ChildStdout, heard: &Sender<FromBot>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let Ok(line) = serde_json::from_str(&line) else { return };
        if heard.send(line).is_err() {
            return;
        }
    }
}

pub(super) fn gone() -> Failure {
    Failure::new(Exit::Other, "the bot has gone, and nobody had killed it")
}

fn late() -> Failure {
    Failure::new(Exit::Other, format!("the bot has not answered for {} s", PATIENCE.as_secs()))
}

//! The other process: this program again, which makes a [storm](crate::model::Storm) in a directory and tells of it.

use crate::model::Storm;
use scorebook::Error;
use std::error::Error as _;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Nothing takes this long; whoever waits longer has found a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the other process is asked to do, as it stands on its command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Order {
    directory: PathBuf,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    life: u64,
    #[arg(long)]
    gusts: u64,
    #[arg(long)]
    steps: u64,
    #[arg(long)]
    writers: u64,
    #[arg(long)]
    positioned: bool,
}

/// Does what was asked, and tells of it on the standard output: one write a line, so that a kill cuts off at most the last.
/// A failure is told too, in one line, and is no failure of this process.
pub(crate) fn obey(order: &Order) -> bool {
    let storm = Storm {
        seed: order.seed,
        life: order.life,
        gusts: order.gusts,
        steps: order.steps,
        writers: order.writers,
        is_positioned: order.positioned,
    };
    match storm.rage(&order.directory, &tell) {
        Ok(()) => tell("ended"),
        Err(error) => tell(&format!("failed {}", describe(&error))),
    }
    true
}

fn tell(line: &str) {
    let mut out = io::stdout().lock();
    let told = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
    // Nobody listens any more: whoever started this has come to an end, and so does this.
    if told.is_err() {
        std::process::exit(3);
    }
}

/// An error in one line: its kind, its text and all that lies behind it.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = format!("{:?}: {error}", error.kind());
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text.replace('\n', " ")
}

/// Another process that makes a storm. Killed when it is dropped.
pub(crate) struct Other {
    child: Child,
    lines: Receiver<String>,
    /// What it says when it panics.
    complaints: Option<JoinHandle<String>>,
}

/// How the other process came to its end, and what it had told by then that was not heard yet.
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) lines: Vec<String>,
    pub(crate) complaints: String,
}

impl Other {
    pub(crate) fn start(directory: &Path, storm: &Storm) -> Other {
        let program = std::env::current_exe().expect("this program has a path");
        Other::start_under(&[], &program, directory, storm)
    }

    /// The same, where other programs stand before it on the command line, which set limits and the like.
    pub(crate) fn start_under(before: &[&str], program: &Path, directory: &Path, storm: &Storm) -> Other {
        let mut words: Vec<OsString> = before.iter().map(OsString::from).collect();
        words.extend([program.into(), "other".into(), directory.into()]);
        let numbers = [
            ("--seed", storm.seed),
            ("--life", storm.life),
            ("--gusts", storm.gusts),
            ("--steps", storm.steps),
            ("--writers", storm.writers),
        ];
        words.extend(numbers.map(|(option, number)| format!("{option}={number}").into()));
        words.extend(storm.is_positioned.then(|| "--positioned".into()));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the other process starts");
        let out = BufReader::new(child.stdout.take().expect("it answers"));
        let mut errors = child.stderr.take().expect("it complains");
        let (sender, lines) = channel();
        thread::spawn(move || listen(out, |line| sender.send(line).is_ok()));
        let complaints = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Other { child, lines, complaints: Some(complaints) }
    }

    /// The next line, or `None` where it has come to its end.
    pub(crate) fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the other process says nothing any more"),
        }
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(mut self) -> End {
        self.child.kill().expect("it can be killed");
        self.end()
    }

    /// Lets it come to its end.
    pub(crate) fn wait(mut self) -> End {
        let begun = Instant::now();
        while self.child.try_wait().expect("it can be waited for").is_none() {
            assert!(begun.elapsed() < PATIENCE, "the other process does not end");
            thread::sleep(Duration::from_millis(1));
        }
        self.end()
    }

    fn end(&mut self) -> End {
        let status = self.child.wait().expect("it ends");
        // Its side of the pipes is closed, so both come to an end.
        let lines = self.lines.iter().collect();
        let complaints = self.complaints.take().map(|thread| thread.join().unwrap_or_default());
        End { status, lines, complaints: complaints.unwrap_or_default() }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hands on whole lines.
fn listen(mut out: impl BufRead, mut hand_on: impl FnMut(String) -> bool) {
    let mut line = String::new();
    loop {
        line.clear();
        let read = out.read_line(&mut line);
        match line.strip_suffix('\n') {
            Some(whole) if read.is_ok() && hand_on(whole.to_owned()) => {}
            _ => return,
        }
    }
}

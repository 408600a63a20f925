//! Two processes on one directory: one writes, the other looks, and either may be killed at any moment.
//!
//! The other process is this test binary again: [`the_other_process`] does nothing unless it is told a directory, and
//! then does what it reads on its standard input, one line each, and answers on its standard output.

use super::aggregates;
use super::process_keeping;
use super::support::{Home, add, event, kilobyte, name, number, positions, read, small_segments};
use crate::model::{Chance, Choices, Fate, Ledger, Storm};
use scorebook::ExpectedVersion::Any;
use scorebook::{CloseState, ErrorKind, EventStore, Position};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Names the directory to the other process, and by being there makes it one.
const VARIABLE: &str = "SCOREBOOK_OTHER_PROCESS";

/// Stands before every line of the other process that is meant for this one.
const MARK: &str = "~ ";

/// Another process that does as it is told. Killed when it is dropped.
pub(crate) struct OtherProcess {
    child: Child,
    /// `None` once it was told that nothing more comes.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl OtherProcess {
    pub(crate) fn start(directory: &Path) -> OtherProcess {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args(["process::the_other_process", "--exact", "--nocapture", "--test-threads=1"]);
        // Where it panics, that is seen: it says so on the same standard error as this process.
        command.env(VARIABLE, directory).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the other process starts");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("it answers"));
        OtherProcess { child, orders, answers }
    }

    /// The same with the store opened for writing there.
    pub(crate) fn writing(directory: &Path) -> OtherProcess {
        let mut other = OtherProcess::start(directory);
        assert_eq!(other.ask("open"), "opened");
        other
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn tell(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("it was not told to end");
        writeln!(orders, "{order}").and_then(|()| orders.flush()).expect("it listens");
    }

    /// The next answer, or `None` where the process has ended. What was cut off by its end is no answer.
    pub(crate) fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            self.answers.read_line(&mut line).expect("the pipe can be read");
            let whole = line.strip_suffix('\n')?;
            // The test harness may have written on the same line before.
            if let Some((_, answer)) = whole.split_once(MARK) {
                return Some(answer.to_owned());
            }
        }
    }

    pub(crate) fn ask(&mut self, order: &str) -> String {
        self.tell(order);
        self.answer().expect("it answers")
    }

    /// Lets it come to its end; whether that was a good one.
    fn end(mut self) -> bool {
        self.orders = None;
        self.child.wait().expect("it ends").success()
    }

    /// Ends it with SIGKILL; what it had answered by then and was not read yet.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        std::iter::from_fn(|| self.answer()).collect()
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the other process does.
#[test]
fn the_other_process() {
    let Some(directory) = std::env::var_os(VARIABLE) else { return };
    let directory = Path::new(&directory);
    let mut store = None;
    let mut reader: Option<EventStore> = None;
    for order in io::stdin().lines().map_while(Result::ok) {
        let mut words = order.split(' ');
        let verb = words.next().unwrap_or_default();
        let count: u64 = words.next().map_or(0, |word| word.parse().expect("a number"));
        let writer = || store.as_ref().expect("it is open");
        match verb {
            "open" => match small_segments().open(directory) {
                Ok(opened) => {
                    store = Some(opened);
                    tell("opened");
                }
                Err(error) => tell(&format!("refused as {:?}: {error}", error.kind())),
            },
            "append" => {
                for _ in 0..count {
                    let next = writer().head().expect("a head").get();
                    add(writer(), &name("game-1"), [kilobyte(next)]);
                }
                tell(&writer().head().expect("a head").to_string());
            }
            "close" => {
                store.take().expect("it is open").close().expect("it closes");
                tell("closed");
            }
            "look" => {
                let reader = reader.get_or_insert_with(|| EventStore::open_read_only(directory).expect("it opens"));
                let seen = positions(reader.read_all());
                assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
                tell(&seen.len().to_string());
            }
            "storm" => {
                let life = words.next().and_then(|word| word.parse().ok()).expect("the number of the life");
                Storm::new(count, life).rage(directory, &tell).expect("nothing fails");
            }
            "execute" => aggregates::work(directory, count, &tell),
            "keep" => process_keeping::work(directory, count, &tell),
            other => panic!("what is `{other}`?"),
        }
    }
}

/// Says something to the process that started this one. One write for each line, so a kill cuts at most the last.
fn tell(answer: &str) {
    let line = format!("{MARK}{answer}\n");
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("somebody listens");
}

const SEED: u64 = 0x0051_6C11;
const ROUNDS: u64 = 25;

#[test]
fn killed_at_random_moments_everything_acknowledged_is_there() {
    let home = Home::disk();
    let mut chance = Chance(SEED);
    let mut ledger = Ledger::default();
    for life in 0..ROUNDS {
        let context = format!("round {life} of seed {SEED:#x}");
        let mut other = OtherProcess::start(&home.path());
        other.tell(&format!("storm {} {life}", chance.next()));
        let mut answers: Vec<String> = Vec::new();
        if chance.below(5) == 0 {
            // Somewhere in starting or opening, most likely.
            thread::sleep(Duration::from_micros(chance.below(30_000) as u64));
        } else {
            for _ in 0..1 + chance.below(120) {
                answers.push(other.answer().unwrap_or_else(|| panic!("it ended by itself in {context}")));
            }
        }
        answers.extend(other.kill());
        answers.iter().for_each(|answer| ledger.hear(answer));
        if ledger.count("opened") == 0 {
            continue;
        }
        let seen = ledger.check(&home.read_only().expect("it opens"), Fate::Killed, &context);
        // Else the next process finds the directory as the kill has left it.
        if chance.below(3) != 0 {
            let store = home.open_with(&small_segments());
            let close_state = store.recovery_report().close_state();
            assert!(!ledger.is_left_open() || close_state == CloseState::Unclean, "{close_state}, {context}");
            assert_eq!(ledger.check(&store, Fate::Killed, &context), seen, "{context}");
            ledger.settle(seen);
            if chance.below(2) == 0 {
                ledger.add(&store);
            }
        }
    }
    ledger.check(&home.open(), Fate::Killed, "the end");
    assert!(ledger.count("ack") > ROUNDS, "hardly anything was acknowledged: {:?}", ledger.counts);
}

#[test]
fn a_second_writer_in_another_process_is_refused_and_told_the_owner() {
    let home = Home::disk();
    let store = home.open();
    add(&store, &name("a"), [event(0)]);
    let mut other = OtherProcess::start(&home.path());
    let refusal = other.ask("open");
    assert!(refusal.starts_with("refused as Locked"), "{refusal}");
    assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
    add(&store, &name("a"), [event(1)]);
    store.close().expect("it closes");
    assert_eq!(other.ask("open"), "opened");

    let error = home.try_open(&EventStore::options()).expect_err("it is open there");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&format!("process {}", other.pid())), "{error}");
    assert_eq!(store.reopen().expect_err("it is open there").kind(), ErrorKind::Locked);
    assert_eq!(other.ask("append 3"), "5");
    assert_eq!(other.ask("close"), "closed");
    assert_eq!(home.open().head().expect("a head"), Position::new(5));
}

#[test]
fn a_killed_owner_leaves_nothing_to_clean_up() {
    let home = Home::disk();
    for round in 1..=5 {
        let mut other = OtherProcess::writing(&home.path());
        let head = other.ask("append 40");
        other.kill();
        let store = home.open_with(&small_segments());
        assert_eq!(store.head().expect("a head").to_string(), head);
        assert_eq!(store.recovery_report().close_state(), CloseState::Unclean);
        assert!(store.recovery_report().damage().is_empty(), "{}", store.recovery_report());
        add(&store, &name("between"), [event(round)]);
        let events = read(store.read(&name("game-1")));
        assert_eq!(events.len() as u64, round * 40);
        store.close().expect("it closes");
        // The files of the log, all of them counted or ready, what is derived from them, and nothing else.
        let contents = home.contents();
        let is_derived = |path: &str| {
            path.strip_suffix(".idx").is_some_and(|segment| contents.contains_key(&format!("{segment}.log")))
        };
        let is_ours = |path: &&String| {
            ["LOCK", "live", "index/streams.0", "index/streams.1"].contains(&path.as_str())
                || path.ends_with(".log")
                || is_derived(path)
        };
        assert_eq!(contents.keys().filter(is_ours).count(), contents.len(), "{:?}", contents.keys());
        let segments = home.open().stats().expect("numbers").segments();
        let files = contents.keys().filter(|path| path.ends_with(".log")).count() as u64;
        assert!(files <= segments + 1, "{files} files for {segments} segments");
    }
    assert_eq!(number(&home.open().event_at(Position::new(1)).expect("it is there")), 0);
}

#[test]
fn a_process_that_ends_without_closing_loses_nothing_it_was_told() {
    let home = Home::disk();
    let mut other = OtherProcess::writing(&home.path());
    assert_eq!(other.ask("append 3"), "3");
    // With its input over the test in it returns, which drops the store.
    assert!(other.end());
    let store = home.open();
    assert_eq!(store.recovery_report().close_state(), CloseState::Clean);
    assert_eq!(put_one(&store), 4);
}

fn put_one(store: &EventStore) -> u64 {
    store.append(&name("game-1"), Any, [event(0)]).wait().expect("accepted").last_version().get()
}

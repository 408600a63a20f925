//! A directory in which processes write one after the other, with limits and hindrances, and what is left is checked.

use super::PATIENCE;
use super::rig::{Kind, Mount, workshop};
use crate::model::{Chance, Fate, Ledger, Storm};
use crate::other::{Other, describe};
use scorebook::{ErrorKind, EventStore, ReadMode, verify};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) struct Site {
    pub(super) chance: Chance,
    pub(super) ledger: Ledger,
    /// Goes before the directory that it is mounted in.
    pub(super) mount: Option<Mount>,
    life: u64,
    directory: TempDir,
}

impl Site {
    /// A directory on whatever the machine has.
    pub(super) fn new(seed: u64) -> Site {
        let directory = workshop();
        Site { chance: Chance(seed), ledger: Ledger::default(), mount: None, life: 0, directory }
    }

    /// On a file system of its own.
    pub(super) fn mounted(kind: Kind, bytes: u64, seed: u64) -> Site {
        let mut site = Site::new(seed);
        kind.make(&site.image(), bytes);
        site.mount(kind);
        site
    }

    /// On a file system in memory.
    pub(super) fn in_memory(options: &str, seed: u64) -> Site {
        let mut site = Site::new(seed);
        let point = site.directory.path().join("mounted");
        site.mount = Some(Mount::make("tmpfs", Path::new("none"), &point, options).expect("it is mounted"));
        site
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    pub(super) fn mount(&mut self, kind: Kind) {
        self.mount = None;
        let mounted = Mount::image(kind, &self.image(), &self.directory.path().join("mounted"));
        self.mount = Some(mounted.expect("it is mounted"));
    }

    pub(super) fn place(&self) -> &Path {
        self.mount.as_ref().map_or(self.directory.path(), Mount::point)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.place().join("bot.scorebook")
    }

    /// A process that writes, to its end: with other programs before it on the command line. The failure it told of.
    pub(super) fn write(&mut self, before: &[&str], gusts: u64, context: &str) -> Result<(), String> {
        let program = std::env::current_exe().expect("this program has a path");
        self.write_with(before, &program, gusts, context)
    }

    /// The same with a copy of this program.
    pub(super) fn write_with(
        &mut self,
        before: &[&str],
        program: &Path,
        gusts: u64,
        context: &str,
    ) -> Result<(), String> {
        let storm = self.storm(gusts);
        let end = Other::start_under(before, program, &self.path(), &storm).wait();
        self.hear(end.lines, &format!("{context}: {}: {}", end.status, end.complaints))
    }

    pub(super) fn storm(&mut self, gusts: u64) -> Storm {
        self.life += 1;
        Storm { gusts, is_positioned: true, ..Storm::new(self.chance.next(), self.life) }
    }

    /// Takes down what a process has told, to the end or to the failure with which it came to its end.
    pub(super) fn hear(&mut self, mut lines: Vec<String>, context: &str) -> Result<(), String> {
        let last = lines.iter().position(|line| line == "ended" || line.starts_with("failed "));
        let last = last.map(|last| lines.split_off(last).remove(0));
        lines.iter().for_each(|line| self.ledger.hear(line));
        match last {
            Some(line) if line == "ended" => Ok(()),
            Some(line) => Err(line),
            None => panic!("it says neither that it ended nor that it failed, {context}"),
        }
    }

    /// A process that writes until it has said so many lines, and is killed.
    pub(super) fn kill(&mut self, lines: usize, context: &str) {
        let storm = self.storm(u64::MAX);
        let mut other = Other::start(&self.path(), &storm);
        let mut told: Vec<String> = (0..lines).map_while(|_| other.line()).collect();
        let end = other.kill();
        assert!(end.complaints.is_empty(), "{}, {context}", end.complaints);
        told.extend(end.lines);
        told.iter().filter(|line| !line.starts_with("failed ")).for_each(|line| self.ledger.hear(line));
    }

    /// Looks at what is there without changing anything, and then as the next writer.
    pub(super) fn look(&mut self, fate: Fate, context: &str) {
        self.look_only(fate, context);
        self.open(fate, context);
    }

    /// Reads all of it, and verifies.
    pub(super) fn look_only(&mut self, fate: Fate, context: &str) {
        let options = EventStore::options().read_mode(ReadMode::Positioned);
        match options.open_read_only(self.path()) {
            Ok(store) => {
                let report = verify(self.path()).unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
                assert!(report.is_sound(), "{report}, {context}");
                self.ledger.check(&store, fate, context);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StoreNotFound, "{}, {context}", describe(&error));
                self.ledger.check_nothing(context);
            }
        }
    }

    /// The same beside a writer, of which a reader sees a moment later what it has acknowledged.
    pub(super) fn look_beside(&mut self, writer: &EventStore, context: &str) {
        let head = writer.head().expect("a head");
        let reader = EventStore::open_read_only(self.path());
        let reader = reader.unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
        let begun = Instant::now();
        while reader.head().unwrap_or_else(|error| panic!("{}, {context}", describe(&error))) < head {
            assert!(begun.elapsed() < PATIENCE, "a reader sees nothing of position {head}, {context}");
            thread::sleep(Duration::from_millis(1));
        }
        self.look_only(Fate::Killed, context);
    }

    /// Opens it for writing, which must succeed, and gives it to whoever goes on with it.
    pub(super) fn open(&mut self, fate: Fate, context: &str) -> EventStore {
        let options = EventStore::options().segment_bytes_max(64 * 1024).read_mode(ReadMode::Positioned);
        let store = options.open(self.path()).unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
        let found = self.ledger.check(&store, fate, context);
        if store.recovery_report().unproven_events() == 0 {
            self.ledger.settle(found);
        }
        store
    }
}

/// Fills a file system with one file, to the last byte that can be had. Given back when dropped.
pub(super) struct Balloon(PathBuf);

impl Balloon {
    pub(super) fn blow_up(place: &Path) -> Balloon {
        let path = place.join("balloon");
        let mut file = std::fs::File::options().create(true).append(true).open(&path).expect("the balloon is made");
        for piece in [1024 * 1024, 64 * 1024, 4096, 512] {
            let bytes = vec![0xB4; piece];
            while file.write_all(&bytes).is_ok() {}
        }
        // Some file systems find out only now.
        let _ = file.sync_all();
        Balloon(path)
    }
}

impl Drop for Balloon {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        if let Some(place) = self.0.parent().and_then(|place| std::fs::File::open(place).ok()) {
            // What was removed is room only once that is written.
            let _ = place.sync_all();
        }
    }
}

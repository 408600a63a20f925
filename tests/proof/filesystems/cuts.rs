//! Power cuts under a real file system: it is shut down, or its disk is, while a process writes to a store on it. It is
//! mounted again, which replays its journal, and the store is opened there. The same file system is used on and on.

use super::fuse::Disk;
use super::rig::{IMAGE_BYTES, Kind, Mount, find, run, workshop};
use super::site::Balloon;
use crate::model::{Chance, Choices, Fate, Ledger, Storm};
use crate::other::{Other, describe};
use crate::run::{Extent, Run};
use scorebook::{ErrorKind, EventStore, ReadMode, verify};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// One file system is used for so many cuts; then another one is made.
const CUTS_OF_A_FILE_SYSTEM: u64 = 250;
/// And one directory on it for so many; then everything in it is verified, and it is removed.
const CUTS_OF_A_DIRECTORY: u64 = 50;

/// What is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    /// The file system, with its own ioctl for that: what it had handed to the disk is there.
    FileSystem,
    /// The disk: what it had not flushed is there or not.
    Disk,
    /// Nothing can be cut: the disk is a file in a small file system, which may be full.
    Pool,
}

/// Cuts the power under processes that write.
pub(crate) fn cuts(extent: Extent, below: Below) -> bool {
    match below {
        Below::FileSystem => over_and_over("shutdowns", &[Kind::Ext4, Kind::Xfs], extent, below, Ground::cycle),
        Below::Disk | Below::Pool => over_and_over("powercuts", &Kind::ALL, extent, below, Ground::cycle),
    }
}

/// Does something over and over on file systems of these kinds. A piece of work is all that is done to one of them.
pub(crate) fn over_and_over(
    lane: &'static str,
    kinds: &[Kind],
    extent: Extent,
    below: Below,
    cycle: fn(&mut Ground),
) -> bool {
    let kinds = Kind::available(kinds);
    if let Some(reason) = why_not(below, &kinds) {
        println!("{lane}: skipped, {reason}");
        return true;
    }
    let run = Run::new(lane, "cycles", extent);
    let share = extent.count.div_ceil(kinds.len() as u64).min(CUTS_OF_A_FILE_SYSTEM);
    run.spread(|number| {
        if extent.count.div_ceil(share) <= number {
            return None;
        }
        let kind = kinds[number as usize % kinds.len()];
        let mut ground = Ground::new(kind, below, extent.seed.wrapping_mul(1_000_003).wrapping_add(number));
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..share {
                if run.is_over() {
                    break;
                }
                cycle(&mut ground);
                run.add(1);
            }
            ground.settle();
        }));
        println!("{}, cycle {}: {:?}", kind.name(), ground.life, ground.heard());
        if let Err(panic) = outcome {
            ground.keep();
            resume_unwind(panic);
        }
        Some(0)
    });
    run.end()
}

fn why_not(below: Below, kinds: &[Kind]) -> Option<String> {
    if kinds.is_empty() {
        return Some("no file system can be made".to_owned());
    }
    match below {
        Below::FileSystem => find("perl").is_none().then(|| "perl is missing".to_owned()),
        Below::Disk => {
            let workshop = workshop();
            let image = workshop.path().join("image");
            kinds[0].make(&image, IMAGE_BYTES);
            Disk::serve(&image, &workshop.path().join("disk")).err()
        }
        Below::Pool => None,
    }
}

/// Shuts a file system down. 0: everything is written first; 1: its journal is; 2: nothing is.
fn shut_down(point: &Path, flag: u32) {
    const PROGRAM: &str = r#"open(my $place, "<", $ARGV[0]) or die $!; my $flag = pack("L", $ARGV[1]);
        ioctl($place, 0x8004587D, $flag) or die $!"#;
    let flag = flag.to_string();
    let arguments = [OsStr::new("-e"), PROGRAM.as_ref(), point.as_os_str(), flag.as_ref()];
    run("perl", arguments).expect("the file system is shut down");
}

/// A file system on which one process after the other loses its power.
pub(crate) struct Ground {
    kind: Kind,
    below: Below,
    pub(crate) seed: u64,
    pub(crate) chance: Chance,
    pub(crate) ledger: Ledger,
    pub(crate) life: u64,
    /// How often each kind of failure was told.
    failures: BTreeMap<String, u64>,
    heard: BTreeMap<String, u64>,
    mount: Option<Mount>,
    pub(crate) disk: Option<Disk>,
    balloon: Option<Balloon>,
    image: PathBuf,
    /// The small file system that the image lies in.
    pool: Option<Mount>,
    workshop: TempDir,
}

impl Ground {
    pub(crate) fn new(kind: Kind, below: Below, seed: u64) -> Ground {
        let workshop = workshop();
        let pool = (below == Below::Pool).then(|| {
            let pool = Mount::make("tmpfs", Path::new("none"), &workshop.path().join("pool"), "size=400m");
            pool.expect("a file system in memory is mounted")
        });
        let image = pool.as_ref().map_or(workshop.path(), Mount::point).join("image");
        kind.make(&image, IMAGE_BYTES);
        let disk = (below == Below::Disk).then(|| {
            let served = Disk::serve(&image, &workshop.path().join("disk"));
            served.expect("it was tried before")
        });
        let mut ground = Ground {
            kind,
            below,
            seed,
            chance: Chance(seed),
            ledger: Ledger::default(),
            life: 0,
            failures: BTreeMap::new(),
            heard: BTreeMap::new(),
            mount: None,
            disk,
            balloon: None,
            image,
            pool,
            workshop,
        };
        ground.mount();
        ground
    }

    fn mount(&mut self) {
        let file = self.disk.as_ref().map_or(&*self.image, Disk::file);
        let mounted = Mount::image(self.kind, file, &self.workshop.path().join("mounted"));
        let context = format!("{} after {} cycles of seed {}", self.kind.name(), self.life, self.seed);
        self.mount = Some(mounted.unwrap_or_else(|error| panic!("{context}: {error}")));
    }

    fn point(&self) -> &Path {
        self.mount.as_ref().expect("it is mounted").point()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.point().join(format!("bot-{}.scorebook", self.life / CUTS_OF_A_DIRECTORY))
    }

    /// What was heard of all processes.
    pub(crate) fn heard(&self) -> BTreeMap<String, u64> {
        let mut heard = self.heard.clone();
        for (line, count) in self.ledger.counts.iter().chain(&self.failures) {
            *heard.entry(line.clone()).or_default() += count;
        }
        heard
    }

    /// Leaves the image for whoever looks for the reason.
    fn keep(mut self) {
        self.mount = None;
        self.disk = None;
        let kept = std::env::temp_dir().join(format!("{}-{}.image", self.kind.name(), self.seed));
        let copied = run("cp", [OsStr::new("--sparse=always"), self.image.as_os_str(), kept.as_ref()]);
        println!("the file system is in {}: {copied:?}", kept.display());
    }

    /// Counts the lives; now and then one begins in another directory.
    pub(crate) fn begin(&mut self) {
        let before = self.path();
        self.life += 1;
        if before != self.path() {
            self.finish(&before);
        }
    }

    /// One process: started, its power cut, and what it leaves checked.
    fn cycle(&mut self) {
        self.begin();
        let storm = Storm { is_positioned: true, ..Storm::new(self.chance.next(), self.life) };
        let mut other = Other::start(&self.path(), &storm);
        let mut lines = Vec::new();
        let moment = match self.chance.below(4) {
            0 => ("opening", 1 + self.chance.below(3)),
            1 => ("closing", 1 + self.chance.below(3)),
            _ => ("ack", 1 + self.chance.below(200)),
        };
        let mut left = moment.1;
        while left != 0 {
            let Some(line) = other.line() else {
                let end = other.wait();
                panic!("it ended by itself, {}, {:?}: {}", end.status, lines.last(), end.complaints);
            };
            left -= usize::from(line.split(' ').next() == Some(moment.0));
            lines.push(line);
        }
        thread::sleep(Duration::from_micros(self.chance.below(3_000) as u64));
        let told = self.cut();
        let context =
            format!("cycle {} of seed {} on {}, {told} at {moment:?}", self.life, self.seed, self.kind.name());
        lines.extend(self.bury(other, &context));
        lines.iter().for_each(|line| self.ledger.hear(line));
        self.restore();
        self.look(&context);
    }

    /// Cuts the power, in one of the ways there are.
    pub(crate) fn cut(&mut self) -> String {
        match self.below {
            Below::FileSystem => {
                let flag = *self.chance.pick(&[2, 2, 2, 2, 1, 0]);
                shut_down(self.point(), flag);
                format!("shut down with flag {flag}")
            }
            Below::Disk => {
                // A file system may rely on its own blocks being written whole, and one of them does.
                let unit = if self.kind == Kind::Btrfs { 4096 } else { 512 };
                let seed = self.chance.next();
                let disk = self.disk.as_mut().expect("there is a disk below");
                format!("cut with {} pieces in doubt", disk.cut(seed, unit))
            }
            Below::Pool => "not cut".to_owned(),
        }
    }

    /// The power is back: the file system is mounted again.
    pub(crate) fn restore(&mut self) {
        self.mount = None;
        if let Some(disk) = &mut self.disk {
            disk.turn_on();
        }
        self.mount();
    }

    pub(crate) fn is_thin(&self) -> bool {
        self.pool.is_some()
    }

    /// Takes the room that the disk would want.
    pub(crate) fn fill_pool(&mut self) {
        self.balloon = self.pool.as_ref().map(|pool| Balloon::blow_up(pool.point()));
    }

    /// Nothing fails any more. How often something had failed, as far as that is known.
    pub(crate) fn heal(&mut self) -> u64 {
        self.balloon = None;
        self.disk.as_mut().map_or(u64::MAX, Disk::heal)
    }

    /// The process whose power was cut meets errors and says so, or is ended before that. What it had told.
    fn bury(&mut self, other: Other, context: &str) -> Vec<String> {
        let end = if self.chance.one_in(4) { other.kill() } else { other.wait() };
        assert!(end.complaints.is_empty(), "{}, {context}", end.complaints);
        let mut lines = end.lines;
        let Some(failed) = lines.iter().position(|line| line.starts_with("failed ")) else {
            assert!(!end.status.success(), "it ended without having failed, {context}");
            return lines;
        };
        let failure = lines.split_off(failed).remove(0);
        let kind = failure.split([' ', ':']).nth(1).unwrap_or_default().to_owned();
        assert!(["OutcomeUnknown", "Poisoned", "Io"].contains(&kind.as_str()), "{failure}, {context}");
        self.note(kind);
        lines
    }

    /// Counts something worth telling at the end.
    pub(crate) fn note(&mut self, what: String) {
        *self.failures.entry(what).or_default() += 1;
    }

    /// Looks at what is left: always without changing anything, and mostly also as the next writer.
    pub(crate) fn look(&mut self, context: &str) {
        let path = self.path();
        let options = EventStore::options().read_mode(*self.chance.pick(&[ReadMode::Mapped, ReadMode::Positioned]));
        let store = match options.open_read_only(&path) {
            Ok(store) => store,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StoreNotFound, "{}, {context}", describe(&error));
                self.ledger.check_nothing(context);
                return;
            }
        };
        assert!(store.recovery_report().damage().is_empty(), "{}, {context}", store.recovery_report());
        let found = self.ledger.check(&store, Fate::PowerCut, context);
        if self.chance.one_in(3) {
            return;
        }
        let store = options.open(&path).unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
        assert_eq!(self.ledger.check(&store, Fate::PowerCut, context), found, "reading only finds the same, {context}");
        // What is shown now was copied and synced.
        self.ledger.settle(found);
        if self.chance.one_in(2) {
            self.ledger.add(&store);
        }
        if self.chance.one_in(2) {
            store.close().expect("it closes");
        }
    }

    /// The last look at a directory, which is then removed.
    fn finish(&mut self, path: &Path) {
        let context = format!("after {} cycles of seed {} on {}", self.life, self.seed, self.kind.name());
        if path.exists() {
            let report = verify(path).unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
            assert!(report.is_sound(), "{report}, {context}");
            let store = EventStore::open(path).unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
            self.ledger.check(&store, Fate::PowerCut, &context);
            drop(store);
            std::fs::remove_dir_all(path).expect("it can be removed");
        }
        self.heard = self.heard();
        self.failures.clear();
        self.ledger = Ledger::default();
    }

    fn settle(&mut self) {
        let path = self.path();
        self.finish(&path);
    }
}

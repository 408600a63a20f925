//! The lanes on real file systems. They need root and mount things, so they are only run where that was asked for;
//! elsewhere they say why not.

mod calls;
mod cuts;
mod faults;
mod fuse;
mod limits;
mod rig;
mod room;
mod site;

use crate::run::{Extent, Run};
pub(crate) use cuts::Below;
pub(crate) use fuse::serve;
use rig::Kind;
use std::time::{Duration, Instant};

/// No store takes this long to notice anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was done, or why nothing could be.
type Checked = Result<String, String>;

/// Cuts the power under processes that write, by shutting down the file system or the disk below it.
pub(crate) fn cuts(extent: Extent, below: Below) -> bool {
    on_own_mounts(|| cuts::cuts(extent, below))
}

/// Lets writes and flushes of the disk below a file system fail.
pub(crate) fn faults(extent: Extent) -> bool {
    on_own_mounts(|| faults::faults(extent))
}

/// Everything else that a system may do to a store, once; of it, what has this in its name.
pub(crate) fn checks(extent: Extent, only: &str) -> bool {
    on_own_mounts(|| {
        let run = Run::new("filesystems", "checks", extent);
        let mut checks = all_checks();
        checks.retain(|(name, _)| name.contains(only));
        run.spread(|number| {
            let (name, check) = checks.get(number as usize)?;
            let begun = Instant::now();
            let outcome = check(extent.seed.wrapping_add(number));
            let seconds = begun.elapsed().as_secs_f64();
            match &outcome {
                Ok(done) => println!("{name}: {done} ({seconds:.1} s)"),
                Err(reason) => println!("{name}: skipped, {reason}"),
            }
            Some(u64::from(outcome.is_ok()))
        });
        run.end()
    })
}

type Check = Box<dyn Fn(u64) -> Checked + Sync>;

fn all_checks() -> Vec<(String, Check)> {
    let mut checks: Vec<(String, Check)> = vec![
        ("killed at each system call".to_owned(), Box::new(calls::killed_at_each)),
        ("failing system calls".to_owned(), Box::new(calls::failing)),
        ("a full tmpfs".to_owned(), Box::new(room::full_in_memory)),
        ("no inodes left".to_owned(), Box::new(room::no_inodes)),
        ("a file system that gives up".to_owned(), Box::new(room::given_up)),
        ("too many open files".to_owned(), Box::new(limits::open_files)),
        ("a limit on the size of files".to_owned(), Box::new(limits::file_size)),
        ("a directory of another user".to_owned(), Box::new(limits::other_user)),
        ("files that may not be changed".to_owned(), Box::new(limits::immutable)),
    ];
    for kind in Kind::available(&Kind::ALL) {
        let name = kind.name();
        checks.push((format!("a full {name}"), Box::new(move |seed| room::full(kind, seed))));
        checks.push((format!("a read-only {name}"), Box::new(move |seed| room::read_only(kind, seed))));
        checks.push((format!("{name} on a disk without room"), Box::new(move |seed| faults::thin(kind, seed))));
    }
    checks
}

/// Skips a check where a program of the system is missing.
fn needs(tools: &[&str]) -> Result<(), String> {
    let missing: Vec<&str> = tools.iter().copied().filter(|tool| rig::find(tool).is_none()).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("{} is missing", missing.join(", "))) }
}

/// Does something where this process has mounts of its own, if it can have them.
fn on_own_mounts(lane: impl FnOnce() -> bool) -> bool {
    if let Some(reason) = rig::why_not() {
        println!("skipped: {reason}");
        return true;
    }
    match rig::move_out() {
        Some(status) => status.success(),
        None => lane(),
    }
}

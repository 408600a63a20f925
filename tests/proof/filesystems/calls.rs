//! System calls: a process is killed at each of them, and each of them fails, as `strace` does it.

use super::site::Site;
use super::{Checked, needs};
use crate::model::{Choices, Fate, Storm};
use crate::other::Other;

/// The calls with which a store changes anything.
const CHANGES: [&str; 8] = ["pwrite64", "fdatasync", "fsync", "openat", "unlinkat", "mkdir", "mkdirat", "flock"];

/// No process makes more calls of one kind.
const CALLS_MAX: u64 = 400;

/// Killed before the n-th call of each kind, for every n there is, over and over in one directory.
pub(super) fn killed_at_each(seed: u64) -> Checked {
    needs(&["strace"])?;
    let mut site = Site::new(seed);
    let mut kills = 0;
    for call in CHANGES {
        for number in 1..=CALLS_MAX {
            let context = format!("killed at {call} {number}");
            let inject = format!("inject={call}:signal=SIGKILL:when={number}");
            let lines = trace(&mut site, call, &inject);
            lines.iter().for_each(|line| site.ledger.hear(line));
            site.look_only(Fate::Killed, &context);
            if lines.is_empty() {
                continue;
            }
            if site.ledger.count("ended") != 0 {
                site.ledger.counts.remove("ended");
                break;
            }
            kills += 1;
            if site.chance.one_in(4) {
                site.open(Fate::Killed, &context);
            }
        }
    }
    site.look(Fate::Killed, "at the end");
    assert!(kills > 50, "only {kills} kills");
    Ok(format!("{kills} kills"))
}

/// What may be the answer of a call. `EINTR` is none: it is called again.
const ERRORS: [(&str, &[&str]); 12] = [
    ("pwrite64", &["EIO", "ENOSPC", "EINTR", "EDQUOT", "EFBIG"]),
    ("fdatasync", &["EIO", "ENOSPC", "EINTR", "EROFS"]),
    ("fsync", &["EIO", "EINTR", "EINVAL"]),
    ("openat", &["EMFILE", "EACCES", "EINTR", "ENOSPC"]),
    ("pread64", &["EIO", "EINTR"]),
    ("unlinkat", &["EROFS", "EACCES"]),
    ("mkdirat", &["ENOSPC", "EACCES"]),
    ("flock", &["ENOLCK", "EINTR"]),
    ("getdents64", &["EIO"]),
    ("fchmod", &["EPERM", "EIO"]),
    ("clone3", &["EAGAIN"]),
    ("getrandom", &["EINTR"]),
];

/// The n-th call of each kind fails, for the first few n and from then on, with every error that makes sense.
pub(super) fn failing(seed: u64) -> Checked {
    needs(&["strace"])?;
    let mut site = Site::new(seed);
    let (mut failed, mut tolerated) = (0, 0);
    for (call, errors) in ERRORS {
        for error in errors {
            // The store starts two threads, and what comes then are those of the storm.
            let numbers: &[u64] = if call == "clone3" { &[1, 2] } else { &[1, 2, 4, 8, 16, 32] };
            for number in numbers {
                // A call that is interrupted for ever is made for ever.
                let is_single = *error == "EINTR" || call == "clone3";
                let sequels: &[&str] = if is_single { &[""] } else { &["", "+"] };
                for sequel in sequels {
                    let context = format!("{error} at {call} {number}{sequel}");
                    let inject = format!("inject={call}:error={error}:when={number}{sequel}");
                    let mut lines = trace(&mut site, call, &inject);
                    let failure = lines.iter().position(|line| line.starts_with("failed "));
                    let failure = failure.map(|failure| lines.split_off(failure).remove(0));
                    lines.iter().for_each(|line| site.ledger.hear(line));
                    if let Some(failure) = failure {
                        check_told(&failure, error, &context);
                        failed += 1;
                    } else {
                        tolerated += 1;
                    }
                    site.look_only(Fate::Killed, &context);
                    if site.chance.one_in(4) {
                        site.open(Fate::Killed, &context);
                    }
                }
            }
        }
    }
    site.look(Fate::Killed, "at the end");
    Ok(format!("{failed} times it failed and said so, {tolerated} times it made no difference"))
}

/// The failure is named, and nothing fails because it was interrupted.
fn check_told(failure: &str, error: &str, context: &str) {
    assert_ne!(error, "EINTR", "{failure}, {context}");
    let kind = failure.split([' ', ':']).nth(1).unwrap_or_default();
    assert!(["OutcomeUnknown", "Poisoned", "Io", "Full"].contains(&kind), "{failure}, {context}");
}

/// A short process under `strace`. What it told; nothing where it did not get as far as that.
fn trace(site: &mut Site, call: &str, inject: &str) -> Vec<String> {
    let program = std::env::current_exe().expect("this program has a path");
    let trace = format!("trace={call}");
    let before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", inject, "--"];
    let storm = Storm { writers: 2, steps: 10, ..site.storm(2) };
    let end = Other::start_under(&before, &program, &site.path(), &storm).wait();
    let has_begun = !end.lines.is_empty();
    assert!(!has_begun || end.complaints.is_empty(), "{}, {inject}", end.complaints);
    end.lines
}

//! Limits that are set to a process, and files and directories that may not be changed.

use super::rig::{IMAGE_BYTES, Kind, run};
use super::room::contents;
use super::site::Site;
use super::{Checked, PATIENCE, needs};
use crate::model::Fate;
use crate::other::describe;
use scorebook::{ErrorKind, EventStore, ReadMode, Status};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Too few open files: the error says so, and nothing is lost.
pub(super) fn open_files(seed: u64) -> Checked {
    needs(&["prlimit"])?;
    let mut site = Site::new(seed);
    let (mut refused, mut written) = (0, 0);
    for limit in 4..60 {
        let context = format!("{limit} open files");
        let set = format!("--nofile={limit}:{limit}");
        match site.write(&["prlimit", &set, "--"], 2, &context) {
            Ok(()) => written += 1,
            Err(failure) => {
                assert!(failure.contains("Too many open files"), "{failure}, {context}");
                refused += 1;
            }
        }
        site.look(Fate::Killed, &context);
    }
    assert!(refused != 0 && written != 0, "{refused} refused, {written} written");
    Ok(format!("4 to 59 open files: {refused} times refused, {written} times enough"))
}

/// Files may not grow: that is no room, and never the end of the process. Where the room had been made without the limit,
/// it is a failed write.
pub(super) fn file_size(seed: u64) -> Checked {
    needs(&["prlimit"])?;
    let mut site = Site::new(seed);
    let (mut rounds, mut failed) = (0, 0);
    for limit in [0, 100, 4_096, 32_767, 32_768, 40_000, 65_536, 100_000, 1_000_000] {
        for _ in 0..3 {
            let context = format!("files of {limit} bytes");
            let set = format!("--fsize={limit}:{limit}");
            if let Err(failure) = site.write(&["prlimit", &set, "--"], 2, &context) {
                let is_told = failure.contains("OutcomeUnknown") || failure.contains("Poisoned");
                assert!(is_told && failure.contains("file too large"), "{failure}, {context}");
                failed += 1;
            }
            site.look(Fate::Killed, &context);
            rounds += 1;
        }
    }
    let full = site.ledger.count("full");
    assert!(full != 0, "it was never refused");
    Ok(format!("{rounds} processes, {full} times no room, {failed} writes failed"))
}

/// What another user may do in a directory: nothing in somebody else's, everything in their own.
pub(super) fn other_user(seed: u64) -> Checked {
    needs(&["setpriv", "prlimit", "chown"])?;
    let mut site = Site::new(seed);
    // This program, where everybody may start it.
    let program = site.place().join("proof");
    std::fs::copy(std::env::current_exe().expect("this program has a path"), &program).expect("it can be copied");
    for path in [site.place(), &program] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("it can be opened to all");
    }
    let as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    site.write(&[], 1, "as root")?;
    let before = contents(&site.path());
    let failure = site.write_with(&as_nobody, &program, 1, "as nobody").expect_err("it is root's");
    assert!(failure.starts_with("failed Io") && failure.contains("Permission denied"), "{failure}");
    assert!(contents(&site.path()) == before, "something was changed by somebody who may not");
    run("chown", [OsStr::new("-R"), "65534:65534".as_ref(), site.path().as_os_str()])?;
    site.write_with(&as_nobody, &program, 2, "as nobody, at home").unwrap_or_else(|failure| panic!("{failure}"));
    // Nobody may look into the directory above either.
    std::fs::set_permissions(site.place(), PermissionsExt::from_mode(0o711)).expect("it can be closed");
    site.write_with(&as_nobody, &program, 2, "as nobody, shut in").unwrap_or_else(|failure| panic!("{failure}"));
    // Not one more thread.
    let mut limited = vec!["prlimit", "--nproc=1:1", "--"];
    limited.extend(as_nobody);
    let failure = site.write_with(&limited, &program, 2, "without threads").expect_err("it needs threads");
    assert!(failure.starts_with("failed Io") && failure.contains("thread"), "{failure}");
    site.write_with(&as_nobody, &program, 2, "with threads again").unwrap_or_else(|failure| panic!("{failure}"));
    site.look(Fate::Killed, "at the end");
    Ok("refused in root's directory, wrote in their own, refused without threads".to_owned())
}

/// Files and directories that may not be changed, or only appended to: what cannot be done says so, and nothing is lost.
pub(super) fn immutable(seed: u64) -> Checked {
    needs(&["chattr"])?;
    let mut site = Site::mounted(Kind::Ext4, IMAGE_BYTES, seed);
    site.write(&[], 2, "at first")?;
    let (mut opened, mut refused) = (0, 0);
    for attribute in ["i", "a"] {
        for target in ["", "log", "LOCK", "live", "newest", "oldest"] {
            for is_clean in [true, false] {
                let context = format!("chattr +{attribute} `{target}`, {}", if is_clean { "closed" } else { "killed" });
                if !is_clean {
                    site.kill(30, &context);
                }
                let path = find(&site.path(), target);
                let fixed = Fixed::make(&path, attribute)?;
                let before = contents(&site.path());
                site.look_only(Fate::Killed, &context);
                let options = EventStore::options().segment_bytes_max(64 * 1024).read_mode(ReadMode::Positioned);
                match options.open(site.path()) {
                    Ok(store) => {
                        opened += 1;
                        let failure = (0..300).find_map(|_| site.ledger.try_add(&store).err());
                        if let Some(error) = failure.map(scorebook::AppendError::into_error) {
                            assert!(describe(&error).contains("not permitted"), "{}, {context}", describe(&error));
                        }
                    }
                    Err(error) => {
                        refused += 1;
                        assert_eq!(error.kind(), ErrorKind::Io, "{}, {context}", describe(&error));
                        assert!(describe(&error).contains("not permitted"), "{}, {context}", describe(&error));
                        let after = contents(&site.path());
                        // Only what helps readers and whoever wants to know the owner.
                        let may_change = |path: &Path| path.ends_with("live") || path.ends_with("LOCK");
                        let is_same = before.iter().zip(&after).all(|(a, b)| a == b || may_change(&a.0));
                        assert!(is_same && before.len() == after.len(), "something was changed, {context}");
                    }
                }
                drop(fixed);
                site.look(Fate::Killed, &context);
            }
        }
    }
    while_it_is_open(&mut site)?;
    Ok(format!("{opened} times opened, {refused} times refused, once while open"))
}

/// The directory of the log closes while the store is open: no segment can be made, and it goes on once one can.
fn while_it_is_open(site: &mut Site) -> Result<(), String> {
    let context = "chattr +i log, while open";
    let store = site.open(Fate::Killed, context);
    site.ledger.add(&store);
    let fixed = Fixed::make(&site.path().join("log"), "i")?;
    let begun = Instant::now();
    let error = loop {
        match site.ledger.try_add(&store) {
            Ok(()) => assert!(begun.elapsed() < PATIENCE, "segments are made all the same"),
            Err(error) => break error.into_error(),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Io, "{}, {context}", describe(&error));
    assert!(describe(&error).contains("not permitted"), "{}, {context}", describe(&error));
    assert_ne!(store.status(), Status::Poisoned, "nothing was half written, {context}");
    drop(fixed);
    site.ledger.try_add(&store).unwrap_or_else(|error| panic!("{error}, {context}"));
    Ok(())
}

/// A file or directory that may not be changed. Dropped, it may.
struct Fixed(PathBuf, &'static str);

impl Fixed {
    fn make(path: &Path, attribute: &'static str) -> Result<Fixed, String> {
        let set = format!("+{attribute}");
        run("chattr", [OsStr::new(&set), path.as_os_str()])?;
        Ok(Fixed(path.to_owned(), attribute))
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        let reset = format!("-{}", self.1);
        if let Err(error) = run("chattr", [OsStr::new(&reset), self.0.as_os_str()]) {
            println!("{error}");
        }
    }
}

/// The store's directory, or something in it.
fn find(store: &Path, target: &str) -> PathBuf {
    let mut segments: Vec<PathBuf> =
        std::fs::read_dir(store.join("log")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    segments.sort();
    match target {
        "newest" => segments.pop().expect("there is a segment"),
        "oldest" => segments.swap_remove(0),
        "" => store.to_owned(),
        _ => store.join(target),
    }
}

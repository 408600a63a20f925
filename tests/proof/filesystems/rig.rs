//! Real file systems to be had as root: images, loop devices, mounts, and the programs of the system that make them.
//!
//! All of it happens in a mount namespace of its own, so that whatever this process leaves mounted is gone when it is.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Only with this set to 1: what is done here needs root, and mounts things.
const WANTED: &str = "SCOREBOOK_ROOT_TESTS";
/// Says that this process has its own mounts.
const HAS_OWN_MOUNTS: &str = "SCOREBOOK_OWN_MOUNTS";

/// Large enough for each kind of file system.
pub(crate) const IMAGE_BYTES: u64 = 320 * 1024 * 1024;

/// Why nothing of this can be done here, if that is so.
pub(crate) fn why_not() -> Option<String> {
    if std::env::var(WANTED).as_deref() != Ok("1") {
        return Some(format!("{WANTED} is not 1"));
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root {
        return Some("it needs root".to_owned());
    }
    let missing: Vec<&str> =
        ["unshare", "mount", "umount", "losetup"].into_iter().filter(|tool| find(tool).is_none()).collect();
    (!missing.is_empty()).then(|| format!("{} is missing", missing.join(", ")))
}

/// Starts this program again with mounts of its own, unless it has them. How that one ended.
pub(crate) fn move_out() -> Option<ExitStatus> {
    if std::env::var_os(HAS_OWN_MOUNTS).is_some() {
        sweep();
        return None;
    }
    let mut command = Command::new(find("unshare").expect("looked for before"));
    command.args(["--mount", "--propagation", "private", "--"]);
    command.arg(std::env::current_exe().expect("this program has a path")).args(std::env::args_os().skip(1));
    Some(command.env(HAS_OWN_MOUNTS, "1").status().expect("unshare can be started"))
}

const PREFIX: &str = "scorebook-proof-";

/// A directory for images and mounts, in memory where that is possible.
pub(crate) fn workshop() -> TempDir {
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).expect("a directory for images")
}

/// Removes what processes that are gone have left behind. Their mounts went with them, and their loop devices with those.
fn sweep() {
    for parent in [Path::new("/dev/shm"), &std::env::temp_dir()] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                println!("removing {name}, which another run has left behind");
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// A program of the system.
pub(crate) fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from));
    places.map(|place| place.join(tool)).find(|program| program.is_file())
}

/// Runs a program of the system; what it says, or why it failed.
pub(crate) fn run<A: AsRef<OsStr>>(tool: &str, arguments: impl IntoIterator<Item = A>) -> Result<String, String> {
    let program = find(tool).ok_or_else(|| format!("{tool} is missing"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{tool}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{tool}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// The kinds of file systems that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ext4,
    Xfs,
    Btrfs,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Ext4, Kind::Xfs, Kind::Btrfs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ext4 => "ext4",
            Kind::Xfs => "xfs",
            Kind::Btrfs => "btrfs",
        }
    }

    /// Of these, the ones that can be made and mounted here. The others are told with the reason.
    pub(crate) fn available(kinds: &[Kind]) -> Vec<Kind> {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let mut available = Vec::new();
        for kind in kinds {
            let maker = format!("mkfs.{}", kind.name());
            if find(&maker).is_none() {
                println!("{}: skipped, {maker} is missing", kind.name());
            } else if !known.split_whitespace().any(|word| word == kind.name()) {
                println!("{}: skipped, the kernel does not know it", kind.name());
            } else {
                available.push(*kind);
            }
        }
        available
    }

    /// Makes a file system in a new image.
    pub(crate) fn make(self, image: &Path, bytes: u64) {
        File::create(image).and_then(|file| file.set_len(bytes)).expect("the image is made");
        let options: &[&str] = match self {
            Kind::Ext4 => &["-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"],
            Kind::Xfs => &["-q", "-f", "-K"],
            Kind::Btrfs => &["-q", "-f", "-K"],
        };
        let arguments = options.iter().map(OsString::from).chain([image.into()]);
        run(&format!("mkfs.{}", self.name()), arguments).expect("the file system is made");
    }
}

/// A loop device over a file. Given back when dropped.
pub(crate) struct LoopDevice(PathBuf);

impl LoopDevice {
    pub(crate) fn over(file: &Path) -> LoopDevice {
        let arguments = ["--find", "--show"].map(OsString::from).into_iter().chain([file.into()]);
        LoopDevice(run("losetup", arguments).expect("a loop device is made").into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if let Err(error) = run("losetup", [OsStr::new("--detach"), self.0.as_os_str()]) {
            println!("{} stays: {error}", self.0.display());
        }
    }
}

/// Something that is mounted. Unmounted when dropped.
pub(crate) struct Mount {
    point: PathBuf,
    /// What it is mounted from goes after it.
    device: Option<LoopDevice>,
}

impl Mount {
    /// Mounts the file system in a file.
    pub(crate) fn image(kind: Kind, file: &Path, point: &Path) -> Result<Mount, String> {
        let device = LoopDevice::over(file);
        let mut mount = Mount::make(kind.name(), device.path(), point, "noatime")?;
        mount.device = Some(device);
        Ok(mount)
    }

    pub(crate) fn make(kind: &str, source: &Path, point: &Path, options: &str) -> Result<Mount, String> {
        if !point.exists() {
            fs::create_dir(point).expect("the place to mount it is made");
        }
        let arguments = ["-t", kind, "-o", options].map(OsString::from).into_iter();
        run("mount", arguments.chain([source.into(), point.into()]))?;
        Ok(Mount { point: point.to_owned(), device: None })
    }

    pub(crate) fn point(&self) -> &Path {
        &self.point
    }

    /// Mounts it with other options.
    pub(crate) fn change(&self, options: &str) -> Result<(), String> {
        let options = format!("remount,{options}");
        run("mount", [OsStr::new("-o"), options.as_ref(), self.point.as_os_str()]).map(|_| ())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut unmounted = Ok(String::new());
        // A process that was killed holds it for a moment longer.
        for _ in 0..200 {
            unmounted = run("umount", [&self.point]);
            if unmounted.is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        println!("{} stays mounted: {unmounted:?}", self.point.display());
        let _ = run("umount", [OsStr::new("--lazy"), self.point.as_os_str()]);
    }
}

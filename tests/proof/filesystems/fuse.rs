//! A disk that does as it is told: one file, served to the kernel by a process of its own.
//!
//! A loop device over that file is a disk like any other to the file system on it. The process keeps what a real disk
//! would hold in its volatile cache apart from what was flushed, so the power can be cut; and it fails what it is told to.
//!
//! It is a process of its own because one that serves a disk and waits for a file system on it can never be ended.

use crate::model::{Chance, Choices};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::rig::{find, run};

/// Errors as the kernel knows them by number.
const EIO: i32 = 5;
const ENOSYS: i32 = 38;
const EOPNOTSUPP: i32 = 95;

/// In the answer to OPEN: nothing of the file is to be kept in memory.
const DIRECT_IO: u32 = 1;

/// The largest write the kernel hands over at once.
const WRITE_BYTES_MAX: usize = 1024 * 1024;

/// The disk as whoever uses it sees it. The process that serves it ends when this is dropped.
pub(crate) struct Disk {
    server: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    file: PathBuf,
}

impl Disk {
    /// Serves an image as a file. `None`, with the reason printed, where that is not possible.
    pub(crate) fn serve(image: &Path, file: &Path) -> Result<Disk, String> {
        if !Path::new("/dev/fuse").exists() {
            return Err("there is no /dev/fuse".to_owned());
        }
        File::create(file).expect("the place to mount it is made");
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.arg("disk").arg(image).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn().expect("this program can be started again");
        let orders = server.stdin.take();
        let answers = BufReader::new(server.stdout.take().expect("it answers"));
        let mut disk = Disk { server, orders, answers, file: file.to_owned() };
        match disk.answer() {
            Some(answer) if answer == "serving" => Ok(disk),
            Some(answer) => Err(answer),
            None => Err("it ended at once".to_owned()),
        }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Cuts the power: what was not flushed is kept or lost, by chance, in pieces of so many bytes. Nothing can be read or
    /// written any more until the power is on again. How many pieces were in doubt.
    pub(crate) fn cut(&mut self, seed: u64, unit: usize) -> u64 {
        self.ask(&format!("cut {seed} {unit}"))
    }

    pub(crate) fn turn_on(&mut self) {
        self.ask("on");
    }

    /// After some more writes, so many fail.
    pub(crate) fn fail_writes(&mut self, after: u64, count: u64) {
        self.ask(&format!("fail-writes {after} {count}"));
    }

    /// After some more flushes, so many fail.
    pub(crate) fn fail_flushes(&mut self, after: u64, count: u64) {
        self.ask(&format!("fail-flushes {after} {count}"));
    }

    /// Nothing fails any more. How often something had failed.
    pub(crate) fn heal(&mut self) -> u64 {
        self.ask("heal")
    }

    fn ask(&mut self, order: &str) -> u64 {
        let orders = self.orders.as_mut().expect("it listens");
        writeln!(orders, "{order}").and_then(|()| orders.flush()).expect("it listens");
        self.answer().and_then(|answer| answer.parse().ok()).expect("it answers with a number")
    }

    fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok().filter(|read| *read != 0)?;
        Some(line.trim().to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", [&self.file]);
        // It ends when nobody can tell it anything any more.
        self.orders = None;
        let _ = self.server.wait();
    }
}

/// The process that serves: takes orders on its standard input until that ends.
pub(crate) fn serve(image: &Path, file: &Path) -> bool {
    match begin(image, file) {
        Ok((kernel, platter)) => {
            answer("serving");
            let platter = Arc::new(Mutex::new(platter));
            let served = platter.clone();
            thread::spawn(move || Server { kernel, platter: served }.serve());
            for order in io::stdin().lines().map_while(Result::ok) {
                let number = platter.lock().expect("nobody panics with it").obey(&order);
                answer(&number.to_string());
            }
            true
        }
        Err(error) => {
            answer(&error.replace('\n', " "));
            false
        }
    }
}

fn answer(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn begin(image: &Path, file: &Path) -> Result<(File, Platter), String> {
    let platter = File::options().read(true).write(true).open(image).map_err(|error| error.to_string())?;
    let kernel = File::options().read(true).write(true).open("/dev/fuse").map_err(|error| error.to_string())?;
    let mut command = Command::new(find("mount").ok_or("mount is missing")?);
    command.args(["-i", "-t", "fuse", "-o", "fd=0,rootmode=100000,user_id=0,group_id=0", "scorebook-disk"]);
    // The kernel finds its end of the line as the standard input of whoever mounts.
    command.arg(file).stdin(kernel.try_clone().map_err(|error| error.to_string())?);
    let mounted = command.stdout(Stdio::null()).status().map_err(|error| error.to_string())?;
    if !mounted.success() {
        return Err(format!("mount: {mounted}"));
    }
    let bytes = platter.metadata().map_err(|error| error.to_string())?.len();
    Ok((
        kernel,
        Platter {
            image: platter,
            bytes,
            before: BTreeMap::new(),
            writes: Faults::default(),
            flushes: Faults::default(),
            is_on: true,
        },
    ))
}

/// The smallest piece that is written whole or not at all.
const SECTOR: usize = 512;

/// What the disk holds.
struct Platter {
    image: File,
    bytes: u64,
    /// What stood in the sectors that were written since the last flush, before that.
    before: BTreeMap<u64, Vec<u8>>,
    writes: Faults,
    flushes: Faults,
    is_on: bool,
}

/// Which calls of one kind fail.
#[derive(Default)]
struct Faults {
    after: u64,
    count: u64,
    failed: u64,
}

impl Faults {
    fn strikes(&mut self) -> bool {
        if self.count == 0 {
            return false;
        }
        if self.after != 0 {
            self.after -= 1;
            return false;
        }
        self.count -= 1;
        self.failed += 1;
        true
    }
}

impl Platter {
    fn obey(&mut self, order: &str) -> u64 {
        let words: Vec<&str> = order.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        match words[0] {
            "cut" => self.cut(&mut Chance(number(1)), number(2) as usize),
            "on" => {
                self.is_on = true;
                0
            }
            "fail-writes" => {
                self.writes = Faults { after: number(1), count: number(2), failed: 0 };
                0
            }
            "fail-flushes" => {
                self.flushes = Faults { after: number(1), count: number(2), failed: 0 };
                0
            }
            "heal" => {
                let failed = self.writes.failed + self.flushes.failed;
                (self.writes, self.flushes) = (Faults::default(), Faults::default());
                failed
            }
            other => panic!("what is `{other}`?"),
        }
    }

    /// A piece keeps what it held at the last flush, or what was written to it last.
    fn cut(&mut self, chance: &mut Chance, unit: usize) -> u64 {
        self.is_on = false;
        let before = std::mem::take(&mut self.before);
        // Sometimes nearly everything got there, sometimes hardly anything.
        let odds = 1 + chance.below(9);
        let (mut pieces, mut piece, mut is_lost) = (0, u64::MAX, false);
        for (sector, bytes) in before {
            let this = sector / (unit / SECTOR).max(1) as u64;
            if this != piece {
                piece = this;
                pieces += 1;
                is_lost = chance.below(10) < odds;
            }
            if is_lost {
                self.image.write_all_at(&bytes, sector * SECTOR as u64).expect("the image can be written");
            }
        }
        pieces
    }

    fn read(&self, offset: u64, size: usize) -> Result<Vec<u8>, i32> {
        if !self.is_on {
            return Err(EIO);
        }
        let size = size.min(self.bytes.saturating_sub(offset) as usize);
        let mut bytes = vec![0; size];
        self.image.read_exact_at(&mut bytes, offset).map_err(|_| EIO)?;
        Ok(bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, i32> {
        if !self.is_on || self.writes.strikes() {
            return Err(EIO);
        }
        let last = (offset + bytes.len() as u64).div_ceil(SECTOR as u64);
        for sector in offset / SECTOR as u64..last {
            if !self.before.contains_key(&sector) {
                let mut old = vec![0; SECTOR];
                self.image.read_exact_at(&mut old, sector * SECTOR as u64).map_err(|_| EIO)?;
                self.before.insert(sector, old);
            }
        }
        self.image.write_all_at(bytes, offset).map_err(|_| EIO)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), i32> {
        if !self.is_on || self.flushes.strikes() {
            return Err(EIO);
        }
        self.before.clear();
        Ok(())
    }
}

/// Speaks with the kernel: the few requests that concern one file which is its own file system.
struct Server {
    kernel: File,
    platter: Arc<Mutex<Platter>>,
}

const HEADER_BYTES: usize = 40;

impl Server {
    fn serve(mut self) {
        let mut buffer = vec![0; WRITE_BYTES_MAX + 64 * 1024];
        // Unmounting ends it.
        while let Ok(read) = self.kernel.read(&mut buffer) {
            let request = &buffer[..read];
            let (code, unique) = (u32_at(request, 4), u64_at(request, 8));
            let Some(answer) = self.answer(code, &request[HEADER_BYTES..]) else { continue };
            let (error, body) = match answer {
                Ok(body) => (0, body),
                Err(error) => (-error, Vec::new()),
            };
            let mut reply = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
            reply.extend(error.to_ne_bytes());
            reply.extend(unique.to_ne_bytes());
            reply.extend(body);
            // A request that was interrupted has nobody who waits for its answer.
            let _ = self.kernel.write(&reply);
        }
    }

    /// The answer to a request, or `None` where none is expected.
    fn answer(&self, code: u32, body: &[u8]) -> Option<Result<Vec<u8>, i32>> {
        let mut platter = self.platter.lock().expect("nobody panics with it");
        Some(match code {
            // FORGET, INTERRUPT, BATCH_FORGET
            2 | 36 | 42 => return None,
            // GETATTR, SETATTR
            3 | 4 => Ok(attributes(platter.bytes)),
            // OPEN: without a page cache of its own
            14 => Ok([0_u32, 0, DIRECT_IO, 0].iter().flat_map(|number| number.to_ne_bytes()).collect()),
            // READ
            15 => platter.read(u64_at(body, 8), u32_at(body, 16) as usize),
            // WRITE
            16 => {
                let size = u32_at(body, 16) as usize;
                let written = platter.write(u64_at(body, 8), &body[40..40 + size]);
                written.map(|written| (written as u64).to_ne_bytes().to_vec())
            }
            // STATFS
            17 => Ok(vec![0; 80]),
            // FSYNC
            20 => platter.flush().map(|()| Vec::new()),
            // RELEASE, FLUSH, DESTROY
            18 | 25 | 38 => Ok(Vec::new()),
            // INIT
            26 => Ok(greeting(body)),
            // FALLOCATE
            43 => Err(EOPNOTSUPP),
            _ => Err(ENOSYS),
        })
    }
}

/// The answer to INIT: version 7.31, large writes.
fn greeting(body: &[u8]) -> Vec<u8> {
    const BIG_WRITES: u32 = 1 << 5;
    const MAX_PAGES: u32 = 1 << 22;
    let readahead = u32_at(body, 8);
    let mut out = Vec::new();
    for number in [7, 31, readahead, BIG_WRITES | MAX_PAGES, 0, WRITE_BYTES_MAX as u32, 1] {
        out.extend(number.to_ne_bytes());
    }
    out.extend(((WRITE_BYTES_MAX / 4096) as u16).to_ne_bytes());
    out.resize(64, 0);
    out
}

/// The answer to GETATTR: a regular file of this size.
fn attributes(bytes: u64) -> Vec<u8> {
    const REGULAR_FILE: u32 = 0o100_600;
    let mut out = Vec::new();
    // For how long it holds, the number of the file, its size, its blocks, and three times.
    for number in [3600, 0, 1, bytes, bytes / 512, 0, 0, 0] {
        out.extend(number.to_ne_bytes());
    }
    for number in [0, 0, 0, REGULAR_FILE, 1, 0, 0, 0, 4096, 0_u32] {
        out.extend(number.to_ne_bytes());
    }
    out
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_ne_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

//! A file that is written from one place on, piece by piece, beside whoever makes the pieces.

use crate::storage::File;
use crate::sync::{Arc, JoinHandle, Receiver, Sender, ThreadBuilder, channel};
use std::io;

/// How many pieces may be on their way to the file: whoever makes them waits for it with the next one.
const PIECES: usize = 3;

/// So much is made durable at a time: whoever appends meanwhile waits for no more than that at the disk.
const SYNCED_AT_A_TIME: u64 = 8 * 1024 * 1024; // 8 MiB

/// Where pieces go. Nothing is written any more once it was dropped.
pub(super) struct Outflow {
    /// Where there are no threads, all is written by who hands it over.
    inline: Option<Writing>,
    /// Gone when no more pieces come.
    pieces: Option<Sender<Vec<u8>>>,
    written: Receiver<io::Result<Vec<u8>>>,
    /// How many are on their way.
    under_way: usize,
    thread: Option<JoinHandle<()>>,
}

/// Whoever writes them.
struct Writing {
    file: Arc<dyn File>,
    at: u64,
    synced: u64,
}

impl Outflow {
    /// Into a file, from an offset on.
    pub(super) fn new(file: Arc<dyn File>, at: u32, has_threads: bool) -> Outflow {
        let (pieces, to_write) = channel::<Vec<u8>>();
        let (done, written) = channel();
        let writing = || Writing { file: file.clone(), at: at.into(), synced: at.into() };
        let mut beside = writing();
        let work = move || {
            while let Ok(piece) = to_write.recv() {
                let result = beside.write(&piece).map(|()| piece);
                let has_failed = result.is_err();
                if done.send(result).is_err() || has_failed {
                    return;
                }
            }
        };
        let builder = ThreadBuilder::new().name("scorebook-rewrite".to_owned());
        // Where none can be had it is done without.
        let thread = has_threads.then(|| builder.spawn(work).ok()).flatten();
        let inline = thread.is_none().then(writing);
        Outflow { inline, pieces: Some(pieces), written, under_way: 0, thread }
    }

    /// Hands over a piece, which stands behind those before; what is left behind is empty. An error may be of an earlier one.
    pub(super) fn put(&mut self, piece: &mut Vec<u8>) -> io::Result<()> {
        if let Some(writing) = &mut self.inline {
            writing.write(piece)?;
            piece.clear();
            return Ok(());
        }
        let mut room = if self.under_way < PIECES { Vec::with_capacity(piece.capacity()) } else { self.take_back()? };
        room.clear();
        let pieces = self.pieces.as_ref().ok_or_else(gone)?;
        if pieces.send(std::mem::replace(piece, room)).is_err() {
            // One of those before could not be written: it says why.
            return self.settle().and_then(|()| Err(gone()));
        }
        self.under_way += 1;
        Ok(())
    }

    /// Waits until all of it is in the file, not all of it durable.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        while self.under_way != 0 {
            self.take_back()?;
        }
        Ok(())
    }

    /// Waits until the first of those that are on their way is written.
    fn take_back(&mut self) -> io::Result<Vec<u8>> {
        let piece = self.written.recv().map_err(|_| gone())?;
        self.under_way -= 1;
        piece
    }
}

impl Drop for Outflow {
    fn drop(&mut self) {
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            // What went wrong was told by then, or nobody asks any more.
            let _ = thread.join();
        }
    }
}

impl Writing {
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_at(piece, self.at)?;
        self.at += piece.len() as u64;
        if SYNCED_AT_A_TIME <= self.at - self.synced {
            self.file.sync()?;
            self.synced = self.at;
        }
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that writes has ended")
}

#[cfg(all(test, not(any(scorebook_loom, scorebook_shuttle))))]
mod tests {
    use super::*;
    use crate::storage::{DiskFault, DiskOperation, SimulatedDisk, Storage};

    const LEN: usize = 1024 * 1024;

    fn flow(disk: &SimulatedDisk, has_threads: bool) -> Outflow {
        disk.create_dir("log").expect("a directory");
        Outflow::new(disk.create("log/file").expect("a file"), 512, has_threads)
    }

    fn piece(number: u8) -> Vec<u8> {
        vec![number; LEN]
    }

    #[test]
    fn pieces_stand_behind_each_other_however_they_are_written() {
        for has_threads in [false, true] {
            let disk = SimulatedDisk::new(1);
            let mut flow = flow(&disk, has_threads);
            for number in 1..=20 {
                let mut piece = piece(number);
                flow.put(&mut piece).expect("it is taken");
                assert!(piece.is_empty(), "there is room for the next");
                assert!(flow.under_way <= PIECES);
            }
            flow.settle().expect("it is written");
            let bytes = disk.read_file("log/file").expect("the file");
            assert_eq!(bytes.len(), 512 + 20 * LEN, "with threads: {has_threads}");
            let mut pieces = bytes[512..].chunks(LEN).zip(1..);
            assert!(pieces.all(|(bytes, number)| bytes.iter().all(|byte| *byte == number)));
        }
    }

    #[test]
    fn a_write_or_a_sync_that_fails_is_told_and_nothing_is_written_behind_it() {
        for (has_threads, operation) in [false, true].into_iter().flat_map(|has_threads| {
            [DiskOperation::Write, DiskOperation::Sync].map(|operation| (has_threads, operation))
        }) {
            let disk = SimulatedDisk::new(1);
            let mut flow = flow(&disk, has_threads);
            let nth = if operation == DiskOperation::Write { 8 } else { 1 };
            disk.fail(DiskFault::new(operation, io::ErrorKind::StorageFull).nth(nth));
            let put = (1..=20).try_for_each(|number| flow.put(&mut piece(number)));
            let error = put.and_then(|()| flow.settle()).expect_err("it has failed");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "with threads: {has_threads}");
            drop(flow);
            let written = disk.read_file("log/file").expect("the file").len();
            assert!(written <= 512 + 8 * LEN, "{written} bytes were written");
        }
    }
}

//! System calls that may do only a part of what was asked, repeated until all of it is done.
//!
//! The real disk and the simulated one share these loops: short counts and interruptions of the simulated one try what
//! the real one stands on.

use std::io;

/// Reads until the buffer is full or the file ends; how much was read. `read` is one call: it reads some bytes from an
/// offset on, and none only at the end.
pub(super) fn read_fully(
    buffer: &mut [u8],
    offset: u64,
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        match uninterrupted(|| read(rest, offset + filled as u64))? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

/// Writes all of it. `write` is one call: it writes some of the bytes at an offset.
///
/// # Errors
///
/// * [`WriteZero`](io::ErrorKind::WriteZero): a call wrote nothing and gave no reason; it would be repeated for ever.
/// * Those of `write`, after which any of the bytes may have been written.
pub(super) fn write_fully(
    bytes: &[u8],
    offset: u64,
    mut write: impl FnMut(&[u8], u64) -> io::Result<usize>,
) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        match uninterrupted(|| write(&bytes[written..], offset + written as u64))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            more => written += more,
        }
    }
    Ok(())
}

/// Calls again for as long as a signal comes in between.
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    const WHOLE: &[u8] = b"abcdefg";
    const OFFSET: u64 = 40;

    /// Every way in which calls may take seven bytes in turn, with an interruption before each that is asked for.
    fn splits() -> impl Iterator<Item = (Vec<usize>, u32)> {
        (0_u32..1 << 6).flat_map(|cuts| {
            let mut counts = vec![1];
            for place in 0..6 {
                if cuts >> place & 1 == 1 {
                    counts.push(1);
                } else {
                    *counts.last_mut().unwrap() += 1;
                }
            }
            [0, u32::MAX, 0b0101_0101].map(|interruptions| (counts.clone(), interruptions))
        })
    }

    /// Counts calls out: whether this one is interrupted, else how many bytes it takes.
    struct Script {
        counts: std::vec::IntoIter<usize>,
        interruptions: u32,
        was_interrupted: bool,
    }

    impl Script {
        fn new((counts, interruptions): (Vec<usize>, u32)) -> Script {
            Script { counts: counts.into_iter(), interruptions, was_interrupted: false }
        }

        fn next(&mut self) -> io::Result<usize> {
            if self.interruptions & 1 == 1 && !self.was_interrupted {
                self.was_interrupted = true;
                return Err(ErrorKind::Interrupted.into());
            }
            (self.interruptions, self.was_interrupted) = (self.interruptions >> 1, false);
            Ok(self.counts.next().unwrap_or(0))
        }
    }

    #[test]
    fn however_calls_are_cut_short_and_interrupted_everything_is_written_in_its_place() {
        for split in splits() {
            let mut disk = [0; WHOLE.len()];
            let mut script = Script::new(split.clone());
            write_fully(WHOLE, OFFSET, |bytes, offset| {
                let count = script.next()?;
                disk[(offset - OFFSET) as usize..][..count].copy_from_slice(&bytes[..count]);
                Ok(count)
            })
            .unwrap();
            assert_eq!((&disk[..], script.counts.len()), (WHOLE, 0), "{split:?}");
        }
    }

    #[test]
    fn however_calls_are_cut_short_and_interrupted_everything_is_read_up_to_the_end() {
        for split in splits() {
            for asked in [WHOLE.len(), WHOLE.len() + 5] {
                let mut buffer = vec![0xEE; asked];
                let mut script = Script::new(split.clone());
                let read = read_fully(&mut buffer, OFFSET, |buffer, offset| {
                    let count = script.next()?;
                    buffer[..count].copy_from_slice(&WHOLE[(offset - OFFSET) as usize..][..count]);
                    Ok(count)
                })
                .unwrap();
                assert_eq!((&buffer[..read], script.counts.len()), (WHOLE, 0), "{split:?}, asked for {asked}");
            }
        }
    }

    #[test]
    fn nothing_is_asked_of_the_system_where_nothing_is_wanted() {
        write_fully(&[], 0, |_, _| panic!("nothing is to be written")).unwrap();
        assert_eq!(read_fully(&mut [], 0, |_, _| panic!("nothing is to be read")).unwrap(), 0);
    }

    #[test]
    fn an_error_behind_some_bytes_and_a_write_of_none_are_told() {
        let mut calls = [Ok(3), Err(ErrorKind::StorageFull)].into_iter();
        let failed = write_fully(WHOLE, 0, |_, _| calls.next().unwrap().map_err(io::Error::from));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::StorageFull);

        let mut calls = [3, 0].into_iter();
        let stuck = write_fully(WHOLE, 0, |_, _| Ok(calls.next().unwrap()));
        assert_eq!(stuck.unwrap_err().kind(), ErrorKind::WriteZero);

        let mut calls = [Ok(3), Err(ErrorKind::Other)].into_iter();
        let failed = read_fully(&mut [0; 7], 0, |_, _| calls.next().unwrap().map_err(io::Error::from));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Other);
    }
}

//! Walking the batches of a segment forwards, verifying each, with little of it in memory.

use super::name::segment_name;
use super::{FIRST_BATCH, Segment};
use crate::error::Error;
use crate::format::{BATCH_HEADER_LEN, BatchHeader, BatchView};

/// How much is read at a time, where a batch does not take more.
const WINDOW: usize = 512 * 1024;

/// A place in a segment that moves forwards, batch by batch, to an end.
pub(crate) struct Batches<'a> {
    segment: &'a Segment,
    end: u32,
    /// Where the next batch begins.
    offset: u32,
    /// What was read lies in its beginning; what is left of it begins at `from`, with the next batch.
    window: &'a mut Vec<u8>,
    from: usize,
    to: usize,
}

impl<'a> Batches<'a> {
    /// All batches of a segment up to an offset at which one ends. `window` is room that is reused.
    pub(crate) fn of(segment: &'a Segment, end: u32, window: &'a mut Vec<u8>) -> Batches<'a> {
        Batches { segment, end, offset: FIRST_BATCH, window, from: 0, to: 0 }
    }

    /// The next one; `None` at the end.
    ///
    /// # Errors
    ///
    /// * [`Damaged`](crate::ErrorKind::Damaged): it does not verify, or ends behind the end.
    /// * [`Io`](crate::ErrorKind::Io).
    pub(crate) fn next(&mut self) -> Result<Option<BatchView<'_>>, Error> {
        let (offset, salt) = (self.offset, self.segment.salt);
        if self.end <= offset {
            return Ok(None);
        }
        self.load(BATCH_HEADER_LEN)?;
        let damaged = |_| self.segment.damaged(offset);
        // Of a length that verified: what is made up takes no memory.
        let (header, _) = BatchHeader::verify(&self.window[self.from..self.to], salt, offset).map_err(damaged)?;
        let length = header.length as usize;
        self.load(length)?;
        let rest = &self.window[self.from..self.to];
        let batch = BatchView::verify(rest, salt, offset).map_err(|_| self.segment.damaged(offset))?;
        self.from += length;
        self.offset += header.length;
        Ok(Some(batch))
    }

    /// Sees to it that so many bytes from the next batch on are in the window, or all there are before the end.
    fn load(&mut self, bytes: usize) -> Result<(), Error> {
        let left = (self.end - self.offset) as usize;
        let there = self.to - self.from;
        if bytes.min(left) <= there {
            return Ok(());
        }
        self.window.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, there);
        let wanted = bytes.max(WINDOW).min(left);
        if self.window.len() < wanted {
            self.window.resize(wanted, 0);
        }
        let place = u64::from(self.offset) + there as u64;
        let read = self.segment.file().read_at(&mut self.window[there..wanted], place);
        self.to +=
            read.map_err(|error| Error::io(format!("reading {}", segment_name(&self.segment.preamble)), error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::event::NewEvent;
    use crate::format::{BatchBuffer, PREAMBLE_LEN, Preamble, Stamp};
    use crate::name::StreamName;
    use crate::position::{Place, Position, Version};
    use crate::storage::{Access, SimulatedDisk, Storage};
    use crate::time::Timestamp;

    /// A segment with batches of one event each, of so many bytes; and where each begins.
    fn segment(payloads: &[usize], change: impl FnOnce(&mut Vec<u8>)) -> (Segment, Vec<u32>) {
        let size = 64 * 1024 * 1024;
        let preamble = Preamble { store: [1; 16], segment: [2; 16], sequence: 1, size, rewritten: None };
        let mut bytes = vec![0; PREAMBLE_LEN];
        let mut begins = Vec::new();
        for (number, payload) in payloads.iter().enumerate() {
            let mut buffer = BatchBuffer::new();
            let stream = StreamName::new("game-42").expect("a name");
            buffer.push_event(&stream, &NewEvent::bytes("a", vec![7; *payload])).expect("an event");
            let stamp = Stamp {
                epoch: 1,
                epoch_bits: 99,
                previous: 5,
                durable: Place::NONE,
                first_position: Position::new(number as u64 + 1),
                time: Timestamp::from_nanos(1_000),
            };
            buffer.place(&stamp, |_| Version::new(number as u64 + 1), &[]);
            begins.push(bytes.len() as u32);
            let begin = bytes.len() as u32;
            buffer.seal(&stamp, preamble.salt(), begin, &mut bytes);
        }
        let end = bytes.len() as u32;
        change(&mut bytes);
        let disk = SimulatedDisk::new(1);
        disk.write_file("segment", &bytes);
        let file = disk.open("segment", Access::Read).expect("the file");
        (Segment::with_map(preamble, Position::new(1), file, None, end), begins)
    }

    /// Where the batches stand, up to an end or to what is wrong.
    fn walk(segment: &Segment, end: u32, window: &mut Vec<u8>) -> (Vec<u32>, Option<ErrorKind>) {
        let mut batches = Batches::of(segment, end, window);
        let mut offsets = Vec::new();
        loop {
            match batches.next() {
                Ok(Some(batch)) => offsets.push(batch.offset),
                Ok(None) => return (offsets, None),
                Err(error) => return (offsets, Some(error.kind())),
            }
        }
    }

    #[test]
    fn every_batch_comes_by_however_large_and_little_more_than_that_is_in_memory() {
        let large = 3 * WINDOW;
        let small = [0, 1, 8, 100, 4_000, WINDOW / 2, 3, 70_000, WINDOW - 200, 5];
        let payloads: Vec<usize> = small.iter().cycle().take(60).copied().chain([large, 9, large, 1]).collect();
        let (sound, begins) = segment(&payloads, |_| {});
        let mut window = Vec::new();
        assert_eq!(walk(&sound, sound.end(), &mut window), (begins.clone(), None));
        assert!(window.len() <= large + 1_000, "{} bytes were taken", window.len());
        for number in [0, 1, 30, 61] {
            assert_eq!(walk(&sound, begins[number], &mut window), (begins[..number].to_vec(), None));
            let within = walk(&sound, begins[number] + 1, &mut window);
            assert_eq!(within, (begins[..number].to_vec(), Some(ErrorKind::Damaged)), "no batch ends there");
        }
    }

    #[test]
    fn what_does_not_verify_is_damage_where_it_stands_and_takes_no_memory() {
        for at in [0, 8, 47, 48, 111, 112, 150] {
            let (flipped, begins) = segment(&[10, 60, 10], |bytes| bytes[PREAMBLE_LEN + 136 + at] ^= 1);
            assert_eq!(begins[1] as usize, PREAMBLE_LEN + 136, "the flips are in the second one");
            let mut window = Vec::new();
            let walked = walk(&flipped, flipped.end(), &mut window);
            assert_eq!(walked, (begins[..1].to_vec(), Some(ErrorKind::Damaged)), "byte {at}");
            assert!(window.len() < 4_096, "{} bytes were taken", window.len());
        }
        let (cut, begins) = segment(&[10, 60, 10], |bytes| bytes.truncate(bytes.len() - 9));
        assert_eq!(walk(&cut, cut.end(), &mut Vec::new()), (begins[..2].to_vec(), Some(ErrorKind::Damaged)));
    }
}

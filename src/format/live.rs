//! The file `live`: two slots, written in turn, that say how far the log reaches. For readers in other processes,
//! and a witness of the durable end.

use super::SECTOR;
use super::field::{Field, checksum, is_blank};
use crate::position::{POSITION_MAX, Place, Position};

/// Each slot has a sector of its own.
pub(crate) const SLOT_LEN: usize = SECTOR;
/// The size of the file.
pub(crate) const LIVE_LEN: usize = 2 * SLOT_LEN;

const MAGIC: Field = Field::first(8, "magic");
const CHECKSUM: Field = MAGIC.then(4, "checksum");
const STATE: Field = CHECKSUM.then(4, "state");
const STORE: Field = STATE.then(16, "store id");
const BOOT: Field = STORE.then(16, "boot id");
const COUNTER: Field = BOOT.then(8, "counter");
const DURABLE_SEGMENT: Field = COUNTER.then(4, "durable segment");
const DURABLE_OFFSET: Field = DURABLE_SEGMENT.then(4, "durable offset");
const VISIBLE_SEGMENT: Field = DURABLE_OFFSET.then(4, "visible segment");
const VISIBLE_OFFSET: Field = VISIBLE_SEGMENT.then(4, "visible offset");
const VISIBLE_POSITION: Field = VISIBLE_OFFSET.then(8, "visible position");
const EPOCH_BITS: Field = VISIBLE_POSITION.then(8, "epoch bits");
const EPOCH: Field = EPOCH_BITS.then(4, "epoch");
const PADDING: Field = EPOCH.then(420, "padding");
const _: () = assert!(PADDING.end() == SLOT_LEN);

#[cfg(test)]
pub(super) const LAYOUT: &[Field] = &[
    MAGIC,
    CHECKSUM,
    STATE,
    STORE,
    BOOT,
    COUNTER,
    DURABLE_SEGMENT,
    DURABLE_OFFSET,
    VISIBLE_SEGMENT,
    VISIBLE_OFFSET,
    VISIBLE_POSITION,
    EPOCH_BITS,
    EPOCH,
    PADDING,
];

const MAGIC_BYTES: [u8; 8] = *b"SBLIVE1\n";

/// What the writer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum LiveState {
    /// A writer has the lock and is finding out where the log ends; the ends are those of the opening before.
    Opening = 1,
    /// A writer has the log open.
    Open = 2,
    /// The last writer closed the log, and a segment that is ready may be used as it is.
    Closed = 3,
    /// The last writer closed the log; a segment that looks ready must be made anew.
    ClosedUnready = 4,
}

impl LiveState {
    /// Whether nobody has written since the log was closed.
    pub(crate) fn is_closed(self) -> bool {
        matches!(self, LiveState::Closed | LiveState::ClosedUnready)
    }
}

/// How far the log reaches, as its writer last said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) state: LiveState,
    pub(crate) store: [u8; 16],
    pub(crate) boot: [u8; 16],
    /// One more with each slot written.
    pub(crate) counter: u64,
    pub(crate) durable_end: Place,
    pub(crate) visible_end: Place,
    pub(crate) visible_position: Position,
    pub(crate) epoch_bits: u64,
    pub(crate) epoch: u32,
}

impl Live {
    /// Where this slot belongs in the file.
    pub(crate) fn slot_offset(&self) -> u64 {
        (self.counter % 2) * SLOT_LEN as u64
    }

    pub(crate) fn encode(&self) -> [u8; SLOT_LEN] {
        let mut bytes = [0; SLOT_LEN];
        MAGIC.put(&mut bytes, MAGIC_BYTES);
        STATE.put_u32(&mut bytes, self.state as u32);
        STORE.put(&mut bytes, self.store);
        BOOT.put(&mut bytes, self.boot);
        COUNTER.put_u64(&mut bytes, self.counter);
        DURABLE_SEGMENT.put_u32(&mut bytes, self.durable_end.segment);
        DURABLE_OFFSET.put_u32(&mut bytes, self.durable_end.offset);
        VISIBLE_SEGMENT.put_u32(&mut bytes, self.visible_end.segment);
        VISIBLE_OFFSET.put_u32(&mut bytes, self.visible_end.offset);
        VISIBLE_POSITION.put_u64(&mut bytes, self.visible_position.get());
        EPOCH_BITS.put_u64(&mut bytes, self.epoch_bits);
        EPOCH.put_u32(&mut bytes, self.epoch);
        let sum = checksum(&bytes[CHECKSUM.end()..]);
        CHECKSUM.put_u32(&mut bytes, sum);
        bytes
    }

    /// The newer of the two slots that verify; `None` where none does.
    pub(crate) fn decode(file: &[u8]) -> Option<Live> {
        file.chunks_exact(SLOT_LEN).take(2).filter_map(Live::decode_slot).max_by_key(|live| live.counter)
    }

    fn decode_slot(bytes: &[u8]) -> Option<Live> {
        if MAGIC.get(bytes) != MAGIC_BYTES || CHECKSUM.u32(bytes) != checksum(&bytes[CHECKSUM.end()..]) {
            return None;
        }
        let state = match STATE.u32(bytes) {
            1 => LiveState::Opening,
            2 => LiveState::Open,
            3 => LiveState::Closed,
            4 => LiveState::ClosedUnready,
            _ => return None,
        };
        let is_possible = VISIBLE_POSITION.u64(bytes) <= POSITION_MAX && COUNTER.u64(bytes) < u64::MAX;
        (is_possible && is_blank(&bytes[PADDING.offset..])).then(|| Live {
            state,
            store: STORE.get(bytes),
            boot: BOOT.get(bytes),
            counter: COUNTER.u64(bytes),
            durable_end: Place { segment: DURABLE_SEGMENT.u32(bytes), offset: DURABLE_OFFSET.u32(bytes) },
            visible_end: Place { segment: VISIBLE_SEGMENT.u32(bytes), offset: VISIBLE_OFFSET.u32(bytes) },
            visible_position: Position::new(VISIBLE_POSITION.u64(bytes)),
            epoch_bits: EPOCH_BITS.u64(bytes),
            epoch: EPOCH.u32(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(counter: u64) -> Live {
        Live {
            state: LiveState::Open,
            store: [1; 16],
            boot: [2; 16],
            counter,
            durable_end: Place { segment: 1, offset: 600 },
            visible_end: Place { segment: 1, offset: 700 },
            visible_position: Position::new(5),
            epoch_bits: 8,
            epoch: 3,
        }
    }

    /// A slot with its checksum made right after a change.
    fn changed(live: Live, change: impl FnOnce(&mut [u8])) -> Option<Live> {
        let mut bytes = live.encode();
        change(&mut bytes);
        let sum = checksum(&bytes[CHECKSUM.end()..]);
        CHECKSUM.put_u32(&mut bytes, sum);
        Live::decode_slot(&bytes)
    }

    #[test]
    fn a_slot_comes_back_and_what_cannot_be_is_not_believed() {
        for state in [LiveState::Opening, LiveState::Open, LiveState::Closed, LiveState::ClosedUnready] {
            let said = Live { state, ..live(4) };
            assert_eq!(changed(said, |_| {}), Some(said));
        }
        for state in [0, 5] {
            assert_eq!(changed(live(4), |bytes| STATE.put_u32(bytes, state)), None, "state {state}");
        }
        assert!(changed(live(u64::MAX - 1), |_| {}).is_some());
        assert_eq!(changed(live(u64::MAX), |_| {}), None, "no counter is left behind it");
        let reaching = |position| Live { visible_position: Position::new(position), ..live(4) };
        assert!(changed(reaching(POSITION_MAX), |_| {}).is_some());
        assert_eq!(changed(reaching(POSITION_MAX + 1), |_| {}), None);
        assert_eq!(changed(live(4), |bytes| bytes[SLOT_LEN - 1] = 1), None, "padding");
        assert_eq!(changed(live(4), |bytes| bytes[0] = b'X'), None, "another magic");
        assert_eq!(
            Live::decode_slot(&{
                let mut bytes = live(4).encode();
                bytes[20] ^= 1;
                bytes
            }),
            None
        );
    }

    #[test]
    fn two_slots_are_written_in_turn() {
        assert_eq!([4, 5, 6].map(|counter| live(counter).slot_offset()), [0, 512, 0]);
        assert_eq!((SLOT_LEN, LIVE_LEN), (512, 1024));
    }

    #[test]
    fn the_newer_slot_counts_and_a_bad_one_proves_nothing() {
        let mut file = [live(4).encode(), live(5).encode()].concat();
        assert_eq!(Live::decode(&file), Some(live(5)));
        file[SLOT_LEN + 100] ^= 1;
        assert_eq!(Live::decode(&file), Some(live(4)));
        file[300] ^= 1;
        assert_eq!(Live::decode(&file), None);
        assert_eq!(Live::decode(&[0; 10]), None);
    }
}

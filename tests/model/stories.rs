//! The stories: what programs do with a store and what happens to them, each short enough to be stopped everywhere.

use super::operation::Operation::{
    self, ClockTo, Close, Flush, Full, Heal, Kill, KillAndForget, Look, LosePower, Reopen, Rest, Room,
};
use super::operation::{Expect, Part, absent, once, once_other, part};
use scorebook::Durability;
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, SyncFailure};
use std::io;

/// What a program does.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) operations: Vec<Operation>,
}

const ONE: &[Part] = &[part(1, 1, 40)];
const FEW: &[Part] = &[part(1, 2, 60), part(2, 1, 10), part(1, 1, 0)];
const WIDE: &[Part] = &[part(1, 1, 700), part(2, 2, 300), part(3, 1, 1)];
const BIG: &[Part] = &[part(3, 1, 9_000)];
/// Larger than the largest segment of the stories.
const HUGE: &[Part] = &[part(4, 5, 8_000)];
/// Two of them leave a segment with hardly any room behind them.
const HALF: &[Part] = &[part(3, 1, 15_000)];

/// Appends, and waits until it is synced.
pub(crate) fn append(batches: &[&[Part]]) -> Operation {
    Operation::Append(batches.iter().map(|parts| parts.to_vec()).collect(), Durability::Synced)
}

/// Appends, and waits until it is written.
pub(crate) fn write(batches: &[&[Part]]) -> Operation {
    Operation::Append(batches.iter().map(|parts| parts.to_vec()).collect(), Durability::Written)
}

fn leave(batches: &[&[Part]]) -> Operation {
    Operation::Leave(batches.iter().map(|parts| parts.to_vec()).collect(), Durability::Synced)
}

fn lose_power() -> Operation {
    LosePower(CrashChoice::LoseAll)
}

/// The next operation of this kind fails, and what a sync should have made durable is dropped.
fn fail(operation: DiskOperation) -> Operation {
    Operation::Fail(DiskFault::new(operation, io::ErrorKind::Other), SyncFailure::Drop)
}

/// Every story there is.
pub(crate) fn stories() -> Vec<Story> {
    let mut all = appending();
    all.extend(rolling());
    all.extend(ending());
    all.extend(failing());
    all
}

fn appending() -> Vec<Story> {
    const EXPECTING: &[Part] = &[part(1, 1, 40).if_at(Expect::Right), part(2, 1, 10).if_at(Expect::Any)];
    const TOO_LATE: &[Part] = &[part(1, 1, 40).if_at(Expect::Behind(1)), part(2, 1, 10)];
    const REQUIRING: &[Part] = &[part(3, 1, 20), part(1, 0, 0).if_at(Expect::Right)];
    const FIRST: &[Part] = &[part(7, 2, 5).if_at(Expect::NoStream)];
    const ALONE: &[Part] = &[part(1, 1, 40), absent(1, 0, 100), part(2, 1, 10)];
    const SINCE: &[Part] = &[absent(2, 1, 2), part(2, 2, 40), absent(1, 2, 0)];
    const KEYED: &[Part] = &[part(1, 1, 40), once(1), part(2, 2, 7)];
    const KEYED_OTHERWISE: &[Part] = &[part(1, 1, 40), once_other(1)];
    const KEYED_TOO: &[Part] = &[part(1, 1, 400).if_at(Expect::Right), absent(1, 0, 3), once(2)];
    const KEYED_LAST: &[Part] = &[part(3, 1, 2), once(3)];
    const EMPTY: &[Part] = &[part(2, 3, 0)];
    const MANY: &[Part] =
        &[part(10, 1, 3), part(11, 1, 3), part(12, 1, 3), part(13, 1, 3), part(14, 1, 3), part(15, 1, 3)];
    vec![
        story("the first append of a store", [append(&[ONE])]),
        story("several appends", [append(&[ONE]), append(&[FEW, ONE]), append(&[WIDE]), append(&[ONE])]),
        story("batches over several streams", [append(&[FEW, WIDE, FEW]), append(&[WIDE, FEW])]),
        story("payloads of no bytes", [append(&[EMPTY]), append(&[EMPTY, EMPTY]), Close, append(&[EMPTY])]),
        story("many streams at once", [append(&[MANY, MANY]), Rest, append(&[MANY])]),
        story(
            "conflicts between what is staged",
            [
                append(&[FIRST, FIRST, EXPECTING, TOO_LATE, EXPECTING]),
                append(&[TOO_LATE]),
                append(&[REQUIRING, TOO_LATE, REQUIRING]),
                Kill,
                append(&[FIRST, EXPECTING]),
            ],
        ),
        story(
            "conditions over what is staged, written and lost",
            [
                append(&[ALONE, ALONE, ALONE]),
                write(&[ALONE, FEW]),
                append(&[SINCE, SINCE]),
                lose_power(),
                write(&[SINCE, ALONE]),
                Kill,
                append(&[ALONE, SINCE]),
            ],
        ),
        story(
            "keys that come again after every end",
            [
                append(&[KEYED, KEYED, KEYED_OTHERWISE]),
                write(&[KEYED_TOO, KEYED]),
                lose_power(),
                append(&[KEYED_TOO, KEYED_TOO]),
                Close,
                append(&[KEYED, ONE]),
                KillAndForget,
                write(&[KEYED_TOO, KEYED_OTHERWISE]),
                leave(&[KEYED_LAST, KEYED_LAST]),
                append(&[KEYED_LAST]),
            ],
        ),
        story("receipts nobody waits for", [leave(&[ONE, FEW]), append(&[ONE]), leave(&[WIDE]), Close, leave(&[ONE])]),
        story(
            "written, then flushed",
            [write(&[ONE]), write(&[FEW]), write(&[WIDE]), Flush, write(&[ONE]), append(&[ONE]), write(&[ONE])],
        ),
        story(
            "written and synced in one group",
            [write(&[ONE, ONE]), append(&[FEW]), write(&[WIDE]), append(&[ONE]), write(&[FEW]), Rest, write(&[ONE])],
        ),
        story(
            "a clock that jumps",
            [
                append(&[ONE]),
                ClockTo(0),
                append(&[FEW]),
                ClockTo(4_000_000_000),
                append(&[ONE]),
                ClockTo(1_000_000_000),
                Close,
                append(&[ONE]),
                Rest,
            ],
        ),
        story(
            "looked at while it is written",
            [Look, append(&[ONE]), Look, write(&[FEW]), Look, Close, Look, append(&[ONE])],
        ),
    ]
}

fn rolling() -> Vec<Story> {
    vec![
        story(
            "rolling over small segments",
            [append(&[BIG, BIG]), append(&[BIG, BIG]), append(&[ONE]), append(&[BIG, BIG, BIG]), append(&[ONE])],
        ),
        story(
            "written while rolling over",
            [append(&[ONE]), write(&[BIG, BIG]), write(&[BIG, BIG]), write(&[ONE]), append(&[ONE])],
        ),
        story(
            "written over segments, and power lost",
            [
                write(&[BIG, BIG, BIG]),
                write(&[BIG, BIG]),
                lose_power(),
                write(&[BIG, BIG]),
                lose_power(),
                append(&[ONE]),
            ],
        ),
        story(
            "a batch larger than a segment",
            [append(&[ONE]), append(&[HUGE]), append(&[ONE]), Close, append(&[HUGE])],
        ),
        story("a batch larger than a segment comes first", [write(&[HUGE]), append(&[ONE]), Kill, append(&[HUGE])]),
        story(
            "segments filled to the brim",
            [append(&[HALF, HALF]), append(&[HALF, HALF, ONE]), Close, append(&[HALF]), Rest, append(&[HALF, HALF])],
        ),
        story(
            "closed with no room for saying so",
            [
                append(&[HALF, &[part(3, 1, 15_700)]]),
                Close,
                append(&[ONE]),
                append(&[HALF, &[part(3, 1, 15_650)]]),
                Rest,
                Close,
            ],
        ),
        story(
            "a session that rolls over",
            [append(&[BIG, BIG]), Close, append(&[BIG]), Close, append(&[BIG, ONE]), Close, append(&[ONE])],
        ),
    ]
}

fn ending() -> Vec<Story> {
    vec![
        story(
            "closed, opened and appended to",
            [append(&[ONE]), Close, append(&[FEW]), Close, Close, append(&[ONE, ONE]), append(&[ONE]), Close],
        ),
        story("killed, opened and appended to", [append(&[FEW]), Kill, append(&[ONE]), Kill, append(&[FEW])]),
        story(
            "written, then killed",
            [append(&[ONE]), write(&[WIDE]), write(&[FEW]), Kill, write(&[ONE]), Kill, append(&[ONE])],
        ),
        story(
            "opened many times",
            [Close, Close, append(&[ONE]), Kill, Kill, Close, Kill, append(&[ONE]), Close, Kill, Close, lose_power()],
        ),
        story(
            "opened again in place",
            [Reopen, append(&[FEW]), Reopen, Reopen, write(&[ONE]), Reopen, append(&[ONE]), Close],
        ),
        story(
            "a doubtful tail that is copied",
            [
                append(&[FEW]),
                write(&[WIDE, ONE]),
                KillAndForget,
                append(&[ONE]),
                KillAndForget,
                KillAndForget,
                append(&[ONE]),
            ],
        ),
        story(
            "a tail over two segments",
            [
                append(&[BIG]),
                write(&[BIG, BIG, BIG]),
                KillAndForget,
                write(&[BIG, BIG]),
                KillAndForget,
                append(&[ONE]),
                Close,
            ],
        ),
        story(
            "a copied tail, closed at once",
            [
                append(&[ONE]),
                write(&[FEW]),
                KillAndForget,
                Close,
                append(&[ONE]),
                write(&[FEW]),
                KillAndForget,
                lose_power(),
            ],
        ),
        story(
            "still for a while, again and again",
            [
                append(&[ONE]),
                Rest,
                Rest,
                append(&[FEW]),
                Rest,
                Kill,
                append(&[ONE]),
                Rest,
                Close,
                Rest,
                append(&[ONE]),
                Rest,
            ],
        ),
        story(
            "power lost again and again",
            [
                append(&[ONE]),
                lose_power(),
                append(&[FEW]),
                write(&[ONE]),
                lose_power(),
                write(&[ONE, ONE]),
                Flush,
                lose_power(),
                append(&[ONE]),
            ],
        ),
        story(
            "power lost, and some of it kept",
            [
                write(&[FEW, WIDE]),
                LosePower(CrashChoice::Seeded(3)),
                write(&[WIDE]),
                LosePower(CrashChoice::Seeded(4)),
                write(&[BIG, BIG]),
                LosePower(CrashChoice::KeepAll),
                append(&[ONE]),
            ],
        ),
        story(
            "sessions of one append each",
            [
                append(&[ONE]),
                Close,
                append(&[ONE]),
                Close,
                append(&[ONE]),
                Close,
                append(&[ONE]),
                lose_power(),
                append(&[ONE]),
            ],
        ),
    ]
}

fn failing() -> Vec<Story> {
    vec![
        story(
            "a failed sync, then reopened",
            [
                append(&[FEW]),
                fail(DiskOperation::Sync),
                append(&[WIDE, ONE]),
                append(&[ONE]),
                Heal,
                Reopen,
                append(&[FEW]),
                Close,
            ],
        ),
        story(
            "a failed sync, then killed",
            [
                append(&[ONE]),
                write(&[FEW]),
                fail(DiskOperation::Sync),
                append(&[WIDE]),
                Kill,
                append(&[ONE]),
                Kill,
                append(&[ONE]),
            ],
        ),
        story(
            "a failed sync while rolling over",
            [
                append(&[BIG, BIG]),
                write(&[BIG]),
                fail(DiskOperation::Sync),
                append(&[BIG, BIG]),
                Heal,
                Reopen,
                append(&[BIG]),
            ],
        ),
        story(
            "a failed write, then reopened",
            [append(&[FEW]), fail(DiskOperation::Write), append(&[WIDE]), append(&[ONE]), Heal, Reopen, append(&[FEW])],
        ),
        story(
            "a failed sync of a directory",
            [
                append(&[BIG]),
                fail(DiskOperation::SyncDirectory),
                append(&[BIG, BIG, BIG]),
                Heal,
                Reopen,
                append(&[BIG, BIG]),
            ],
        ),
        story(
            "a segment that was made ready in vain, then killed",
            [
                Operation::Fail(DiskFault::new(DiskOperation::Sync, io::ErrorKind::Other).nth(2), SyncFailure::Drop),
                append(&[ONE]),
                Kill,
                append(&[BIG, BIG, BIG]),
                append(&[BIG]),
                Close,
                append(&[BIG]),
            ],
        ),
        story(
            "two failed syncs in a row",
            [
                write(&[FEW]),
                fail(DiskOperation::Sync),
                append(&[ONE]),
                fail(DiskOperation::Sync),
                Reopen,
                append(&[ONE]),
                Heal,
                Reopen,
                append(&[ONE]),
            ],
        ),
        story(
            "a full disk, then room",
            [
                append(&[BIG, BIG]),
                Full,
                append(&[BIG, BIG]),
                append(&[HUGE]),
                append(&[ONE]),
                Room,
                append(&[HUGE, ONE]),
            ],
        ),
        story(
            "a full disk, then killed",
            [
                append(&[BIG, BIG]),
                Full,
                append(&[BIG, BIG, BIG, BIG]),
                Kill,
                append(&[ONE]),
                Room,
                append(&[BIG]),
                Close,
            ],
        ),
        story(
            "a tail for which there is no room",
            [append(&[BIG]), write(&[FEW]), Full, KillAndForget, append(&[ONE]), Room, append(&[ONE]), Close],
        ),
    ]
}

fn story<const N: usize>(name: &'static str, operations: [Operation; N]) -> Story {
    Story { name, operations: operations.into() }
}

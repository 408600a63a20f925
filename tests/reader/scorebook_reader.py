"""Reads a Scorebook log: `python3 scorebook_reader.py DIRECTORY`.

Written from `src/format/FORMAT.md` alone, in another language than the store, so that the page is known to say enough; where
it did not, the page was mended. What comments quote is the page's. The store must be closed or its process dead, and nothing is
ever written.

The files beside this one: `batches` has the bytes of a segment, `bodies` what records say, `story` what goes on from what and
what holds in the end, `xxh3` a hash. Here is where the log begins and ends.

Printed is one line of JSON for each thing the log says, in the order in which it says them, then one for each thing that
holds in the end, and last either `{"end": ...}` or `{"refused": ...}` with the segment and the byte that it is about. What
was printed before a refusal has verified and counts. The exit status is 0 for an end and 1 for a refusal.

Two things it leaves unverified. The stream table is a witness whose layout is no part of the page: a tail that only it
could prove is torn to this reader. And whether a key's digest is that of its events is told, not asked for: their tags may
be the store's.
"""

import collections
import json
import pathlib
import re
import struct
import sys

from batches import PREAMBLE, Segment, batch_at, crc, header_at
from bodies import CLOSE, START, Misplaced, Newer, require
from story import Story
from xxh3 import xxh3_128


class Refused(Exception):
    """The log is not read beyond this place."""

    def __init__(self, name, segment, byte, because):
        self.line = {"refused": name, "segment": segment, "byte": byte, "because": because}


Start = collections.namedtuple("Start", "first before end checksum")


def files_of(directory):
    """The files of segments that count, by number, each with its generation: of several the lowest."""
    files = {}
    for path in (directory / "log").glob("*.log"):
        named = re.fullmatch("([0-9]{10})(?:-([1-9][0-9]*))?", path.stem)
        sequence, generation = (int(it or 0) for it in named.groups()) if named else (0, 0)
        if named and generation < 2**32:
            files[sequence] = min(files.get(sequence, (generation, path)), (generation, path))
    return sorted(files.items())


def read_segment(sequence, of, path):
    """The segment, or nothing where it was never made ready. Gives what it is refused for beside it."""
    data = path.read_bytes()
    is_blank = not any(data[PREAMBLE:])
    head = data[:PREAMBLE].ljust(PREAMBLE, b"\0")
    magic, checksum, format, algorithm, reserved, store, id = struct.unpack_from("<8sIHBB16s16s", head)
    named, size, generation, replaces_from = struct.unpack_from("<IIII", head, 48)
    if magic != b"SCOREBK\n" or checksum != crc(head[12:]):
        refusal = Refused("damage: unreadable", sequence, 0, "the preamble does not verify")
        return None, None if is_blank else refusal
    is_row = 1 <= replaces_from <= named if generation else not replaces_from
    if (format, algorithm) != (1, 1) or reserved or any(head[64:]) or not is_row:
        raise Refused("newer", sequence, 0, f"format {format}, or a row of no legal numbers")
    if (named, generation) != (sequence, of) or size % 512 or size < 32 * 1024:
        return None, Refused("damage: misplaced", sequence, 0, f"the preamble is that of segment {named}-{generation}")
    segment = Segment(sequence, data.ljust(size, b"\0"), size, store, id, generation > 0)
    if size <= len(data):
        return segment, None
    # Of one that is cut off and has no start record nothing counts anyway.
    is_begun = start_of(segment) is not None
    refusal = Refused("damage: missing", sequence, len(data), "the file is cut off")
    return None if is_blank else segment, refusal if is_begun else None


def start_of(segment):
    """What the start record says that the segment begins with, if it is valid."""
    batch = batch_at(segment, PREAMBLE)
    if not batch or [record.kind for record in batch.records] != [START]:
        return None
    first, before, end, checksum = struct.unpack_from("<QIII", body := batch.records[0].body.ljust(24, b"\0"))
    if len(batch.records[0].body) != 24 or any(body[20:]):
        raise Refused("newer", segment.sequence, PREAMBLE, "a start record that says more")
    return Start(first, before, end, checksum)


def live_slots(directory):
    """The slots of `live` that are valid, by counter: the store's id and the durable end that each names."""
    path = directory / "live"
    data = (path.read_bytes() if path.exists() else b"").ljust(1024, b"\0")
    valid = []
    for at in (0, 512):
        magic, checksum, state, store, _boot, counter, *durable = struct.unpack_from("<8sII16s16sQII", data, at)
        holds = magic == b"SBLIVE1\n" and checksum == crc(data[at + 12 : at + 512])
        if holds and state in (1, 2, 3, 4) and not any(data[at + 92 : at + 512]):
            valid.append((counter, store, tuple(durable)))
    return sorted(valid)


def footer_of(segment):
    sector = segment.data[segment.limit :]
    magic, checksum, end, position, events, batches, digest = struct.unpack_from("<8sIIQQQ16s", sector)
    if magic != b"SEALED\n\0" or checksum != segment.seeded(0, sector[12:]):
        return None
    if any(sector[56:]):
        raise Refused("newer", segment.sequence, segment.limit, "a footer that says more")
    return end, position, events, batches, int.from_bytes(digest, "little")


def witnesses_in(segment):
    """The durable ends in all batch headers that verify where they stand, whatever stands around them."""
    at = segment.data.find(b"BTCH", PREAMBLE, segment.limit)
    while at >= 0:
        header = header_at(segment, at) if at % 8 == 0 else None
        if header and not segment.is_rewritten:
            yield header.durable
        at = segment.data.find(b"BTCH", at + 1, segment.limit)
    footer = footer_of(segment)
    if footer:
        yield segment.sequence, footer[0]


def judge(story, segment, offset, proven, end):
    """The table "Where a log ends", row by row: admits the batch and gives it, or gives nothing where the log ends. No batch
    stands across an end that is fixed or proven."""
    place = segment.sequence, offset
    if segment.written <= offset:
        if proven:
            raise Refused("damage: missing", *place, "acknowledged bytes are zeros")
        return None
    batch = batch_at(segment, offset)
    if batch:
        try:
            require(not proven or batch.end <= end, "a batch stands across the end")
            story.admit(batch)
            return batch
        except Newer as it:
            raise Refused("newer", *place, str(it))
        except Misplaced as it:
            raise Refused("damage: misplaced", *place, str(it))
    if proven:
        raise Refused("damage: unreadable", *place, "acknowledged bytes do not verify")
    return None


def chain_of(segments, refusals, proven):
    """The segments that count, first to last, each with the end that its successor names and the checksum before that."""
    starts = {sequence: begun for sequence, segment in segments.items() if (begun := start_of(segment))}
    chain, sequence, end, checksum = [], max(starts, default=0), None, 0
    while sequence:
        if sequence in refusals:
            raise refusals[sequence]
        if sequence not in starts:
            is_there = sequence in segments and PREAMBLE < proven.get(sequence, 0)
            name, byte = ("damage: unreadable", PREAMBLE) if is_there else ("damage: missing", 0)
            raise Refused(name, sequence, byte, "a later start record names this segment")
        chain.append((segments[sequence], end, checksum))
        before, end = starts[sequence].before, starts[sequence].end
        if before >= sequence:
            raise Refused("damage: missing", before, 0, "the segment before is not before it")
        sequence, checksum = before, starts[sequence].checksum
    return chain[::-1]


def read_sealed(story, segment, end, checksum):
    """A segment whose successor fixes its end, or one that compaction wrote, which says itself where it ends. Gives the end."""
    footer = footer_of(segment)
    if segment.is_rewritten:
        if not footer:
            raise Refused("damage: unreadable", segment.sequence, segment.limit, "compaction wrote it, and the footer is gone")
        end = footer[0]
        if end <= PREAMBLE:
            raise Refused("damage: misplaced", segment.sequence, segment.limit, "the footer names no batch")
    story.events = story.batches = 0
    offset = PREAMBLE
    while offset < end:
        offset = judge(story, segment, offset, True, end).end
    if not segment.is_rewritten and story.last.checksum != checksum:
        raise Refused("damage: misplaced", segment.sequence, end, "not the batch that the successor names")
    if footer:
        if footer != (end, story.position - 1, story.events, story.batches, xxh3_128(segment.data[PREAMBLE:end])):
            raise Refused("damage: misplaced", segment.sequence, segment.limit, "the footer does not agree")
        story.facts.append({"footer": segment.sequence, "end": end})
    return end


def read_last(story, segment, proven, is_end_lost):
    """The segment in which the log ends: where, and whether what stands there is torn. Where a segment behind it is damaged
    or missing, its end is lost too: nothing counts that is not proven."""
    offset = PREAMBLE
    while offset < (proven if is_end_lost else segment.limit):
        batch = judge(story, segment, offset, offset < proven, proven)
        if not batch:
            break
        offset = batch.end
    return offset, offset < segment.written


def read_log(directory, story):
    segments, refusals = {}, {}
    for sequence, (generation, path) in files_of(directory):
        segment, refusal = read_segment(sequence, generation, path)
        segments.update({sequence: segment} if segment else {})
        refusals.update({sequence: refusal} if refusal else {})
    # Whose log this is says `live`, if a segment agrees; otherwise most of the segments, and the higher of as many.
    ids = [segment.store for segment in segments.values()]
    slots = live_slots(directory)[-1:]
    store = next((id for _, id, _ in slots if id in ids), max(reversed(ids), key=ids.count, default=None))
    live = next((durable for _, id, durable in slots if id == store or not ids), (0, 0))
    for sequence in [sequence for sequence, segment in segments.items() if segment.store != store]:
        refusals[sequence] = Refused("damage: misplaced", sequence, 0, "a segment of another store")
        del segments[sequence]
    proven = {}  # the highest offset that a witness names, by segment
    for sequence, offset in [live, *(it for segment in segments.values() for it in witnesses_in(segment))]:
        proven[sequence] = max(offset, proven.get(sequence, 0))
    end = 0, 0
    torn = False
    chain = chain_of(segments, refusals, proven)
    last = chain[-1][0].sequence if chain else 0
    # What stands behind the last segment was being made ready, unless something proves that it counted.
    for sequence, offset in proven.items():
        if last < sequence and PREAMBLE < offset and sequence not in refusals:
            name, at = ("damage: unreadable", PREAMBLE) if sequence in segments else ("damage: missing", offset)
            refusals[sequence] = Refused(name, sequence, at, "a durable end is named in this segment")
    if chain and footer_of(chain[-1][0]):
        refusals.setdefault(last + 1, Refused("damage: missing", last + 1, 0, "the successor of a sealed segment"))
    lost = [refusal for sequence, refusal in sorted(refusals.items()) if last < sequence]
    for segment, fixed, checksum in chain:
        if story.position < start_of(segment).first:
            place = end if end[0] else (segment.sequence, PREAMBLE)
            raise Refused("damage: missing", *place, "the events before the next segment")
        if fixed is None and not segment.is_rewritten:
            offset, torn = read_last(story, segment, proven.get(last, 0), bool(lost))
        else:
            offset = read_sealed(story, segment, fixed, checksum)
        end = segment.sequence, offset
    if lost:
        raise lost[0]
    clean = not torn and live == end and story.last is not None and story.last.records[0].kind == CLOSE
    return {"end": list(end), "how": "torn" if torn else "closed" if clean else "open", "last position": story.position - 1}


def main(directory):
    story, refusal = Story(), None
    try:
        last = read_log(pathlib.Path(directory), story)
    except Refused as it:
        last = refusal = it.line
    for line in [*story.facts, *([] if refusal else story.standing()), last]:
        print(json.dumps(line, ensure_ascii=False))
    return 1 if refusal else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main(sys.argv[1]))

"""The bytes of a segment: what verifies where it stands, without a look at what came before it."""

import struct
import zlib

PREAMBLE = FOOTER = 512
BATCH_HEADER, RECORD_HEADER = 48, 64
BATCH_MAX, RECORD_MAX = 64 * 1024 * 1024 + 8, 16 * 1024 * 1024


def crc(data, seed=0):
    return zlib.crc32(data, seed)


class Segment:
    """A file whose preamble is valid."""

    def __init__(self, sequence, data, size, store, id, is_rewritten):
        self.sequence, self.store = sequence, store
        self.is_rewritten = is_rewritten  # by compaction
        self.data = data[:size]
        self.limit = size - FOOTER  # of batches
        self.written = len(data[: self.limit].rstrip(b"\0"))  # nothing but zeros from here to the limit
        self.salt = crc(store + id + struct.pack("<I", sequence))

    def seeded(self, offset, data):
        return crc(data, self.salt ^ offset)


class Batch:
    """A batch header that verifies where it stands."""

    def __init__(self, segment, offset):
        fields = struct.unpack_from("<IIIHHIIIIQq", segment.data, offset)
        self.segment, self.offset = segment, offset
        _, self.checksum, self.length, self.count, self.flags, self.epoch, self.previous = fields[:7]
        self.durable, self.position, self.time = fields[7:9], fields[9], fields[10]
        self.end = offset + self.length
        self.records = []


class Record:
    """A record header with checksums that hold, and its body."""

    def __init__(self, data, offset):
        fields = struct.unpack_from("<IIQQqQIBBBBIIIHBB", data, offset)
        self.offset = offset
        self.position, self.version, self.time, self.bits, self.epoch, self.kind, self.flags = fields[2:9]
        self.name, self.type, length, self.metadata, self.schema, self.tags, self.codec, self.reserved = fields[9:]
        self.body = data[offset + RECORD_HEADER : offset + RECORD_HEADER + length]


def header_at(segment, offset):
    data = segment.data[offset : min(offset + BATCH_HEADER, segment.limit)]
    if len(data) < BATCH_HEADER or data[:4] != b"BTCH":
        return None
    return Batch(segment, offset) if struct.unpack_from("<I", data, 4)[0] == segment.seeded(offset, data[8:]) else None


def record_at(batch, offset):
    segment, data = batch.segment, batch.segment.data
    if batch.end - offset < RECORD_HEADER:
        return None
    header, body = struct.unpack_from("<II", data, offset)
    if header != segment.seeded(offset, data[offset + 4 : offset + RECORD_HEADER]):
        return None
    length = RECORD_HEADER + struct.unpack_from("<I", data, offset + 48)[0]
    if length > min(RECORD_MAX, batch.end - offset) or body != crc(data[offset + 44 : offset + length]):
        return None
    return Record(data, offset)


def batch_at(segment, offset):
    """The batch, or nothing: "valid where it stands if and only if"."""
    batch = header_at(segment, offset)
    if not batch or batch.length % 8 or not BATCH_HEADER + RECORD_HEADER <= batch.length <= BATCH_MAX or batch.end > segment.limit:
        return None
    offset += BATCH_HEADER
    for _ in range(batch.count):
        record = record_at(batch, offset)
        if not record:
            return None
        batch.records.append(record)
        offset += RECORD_HEADER + len(record.body)
    rest = segment.data[offset : batch.end]
    return batch if batch.count and len(rest) < 8 and not any(rest) else None

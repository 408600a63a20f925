"""The bodies of the records, kind by kind: from a record to what it says."""

import re
import struct
import unicodedata
import uuid

from xxh3 import xxh3_128

EVENT, START, SESSION, WATERMARK, CLOSE, KEY, CHECKPOINT, PARKED, TOMBSTONE, TRUNCATE, DELETE, UNDELETE = range(1, 13)
METADATA, HOLD, LOST, _BLOCK, REMOVED, RETENTION, QUOTA = range(13, 20)
MARKERS = (START, SESSION, WATERMARK, CLOSE)
ABOUT_STREAMS = (TOMBSTONE, TRUNCATE, DELETE, UNDELETE, METADATA)

POSITION_MAX = 2**62 - 1
UNLIMITED = 2**64 - 1


class Misplaced(Exception):
    """What verifies does not go on from what came before, or says what the page does not allow."""


class Newer(Exception):
    """A number that this reader does not know."""


def require(holds, because):
    if not holds:
        raise Misplaced(because)


class Body:
    """Takes fields off the front of a body."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        require(size <= len(self.data) - self.at, "a body is too short")
        self.at += size
        return self.data[self.at - size : self.at]

    def fields(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def text(self, size):
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise Misplaced("a text is not UTF-8")

    def name(self, size):
        """Of a stream, or a consumer."""
        name = self.text(size)
        controls = any(unicodedata.category(it) == "Cc" for it in name)
        require(name and not controls and "/" not in name and ".." not in name and name[0] != "-", "a name that is none")
        return name

    def rest(self):
        return self.take(len(self.data) - self.at)

    def end(self):
        if self.at < len(self.data):
            raise Newer("a body is longer than this page says")


def says_only(record, *fields):
    """ "In the header nothing is said of" the others."""
    for field in ("flags", "name", "type", "metadata", "schema", "tags", "codec", "reserved"):
        if field not in fields and getattr(record, field):
            raise Newer(f"{field} in the header of kind {record.kind}")
    require(not record.position and (not record.version or "version" in fields), "a place of an event")


def event(record):
    if record.flags & ~3 or record.reserved:
        raise Newer(f"flags {record.flags} of an event")
    require(record.version and record.schema and record.codec, "an event lacks version, schema or codec")
    body = Body(record.body)
    id = uuid.UUID(bytes=body.take(16)) if record.flags & 1 else own_id(record)
    occurred = body.fields("q")[0] if record.flags & 2 else None
    stream, type = body.name(record.name), body.text(record.type)
    require(re.fullmatch("[A-Za-z0-9._-]{1,128}", type), "a type that is none")
    tags, all_tags = [], Body(body.take(record.tags))
    while all_tags.at < record.tags:
        key, value = all_tags.fields("BB")
        tags.append([all_tags.text(key), all_tags.text(value)])
    metadata, payload = body.text(record.metadata), body.rest()
    return {
        "event": record.position, "stream": stream, "version": record.version, "type": type, "schema": record.schema,
        "time": record.time, "occurred": occurred, "epoch": record.epoch, "id": str(id), "tags": tags, "metadata": metadata,
        "codec": record.codec, **shown(payload),
    }  # fmt: skip


def shown(payload):
    try:
        return {"text": payload.decode("utf-8")}
    except UnicodeDecodeError:
        return {"hex": payload.hex()}


def own_id(record):
    front = record.bits & ~(0xF << 12) | 0x8 << 12
    return uuid.UUID(int=front << 64 | 0b10 << 62 | record.position)


def start(record):
    says_only(record)
    body = Body(record.body)
    first, segment, end, checksum, reserved = body.fields("QIIII")
    body.end()
    if reserved:
        raise Newer("a reserved field is not 0")
    return {"start": first, "previous": [segment, end], "checksum": checksum}


def session(record):
    says_only(record)
    body = Body(record.body)
    previous = body.fields("II")
    body.end()
    return {"session": record.epoch, "previous": list(previous)}


def marker(record):
    says_only(record)
    Body(record.body).end()
    return {"watermark" if record.kind == WATERMARK else "close": record.epoch}


def key(record):
    says_only(record, "metadata")
    body = Body(record.body)
    require(1 <= record.metadata <= 128, "a key of no legal length")
    text = body.text(record.metadata)
    digest, first, last, count = body.fields("16sQQI")
    require(1 <= first <= last and count, "a key without events")
    streams = []
    for _ in range(count):
        name = body.name(body.take(1)[0])
        versions = body.fields("QQ")
        require(1 <= versions[0] <= versions[1], "versions of a key")
        streams.append([name, *versions])
    body.end()
    digest = f"{int.from_bytes(digest, 'little'):032x}"
    return {"key": text, "digest": digest, "first": first, "last": last, "streams": streams}


def digest_of(events):
    """Of what was handed in, if all tags were."""
    handed_in = b""
    for it in events:
        given = it.body[16 * (it.flags & 1) + 4 * (it.flags & 2) :]
        handed_in += struct.pack("<BBBHIII", it.name, it.type, it.codec, it.tags, it.metadata, it.schema, len(given)) + given
    return f"{xxh3_128(handed_in):032x}" if handed_in else None


ACTS = {1: "defined", 2: "moved", 3: "paused", 4: "resumed", 5: "deleted"}
PARKED_STATES = {1: "parked", 2: "handed out", 3: "dropped"}
QUOTA_ACTIONS = {1: "report", 2: "refuse", 3: "trim"}
SCOPES = {1: "stream", 2: "category", 3: "type", 4: "all", 5: "keys"}


def named(table, number, what):
    if number not in table:
        raise Newer(f"{what} {number}")
    return table[number]


def checkpoint(record):
    says_only(record, "name", "metadata")
    body = Body(record.body)
    consumer, text = body.name(record.name), body.text(record.metadata)
    number, time, position, scanned, act, count = body.fields("QqQQII")
    act = named(ACTS, act, "act")
    require(number and scanned <= POSITION_MAX, "a checkpoint without a number, or behind all positions")
    require(act in ("defined", "paused") or not text, "a text where there is none")
    left = list(body.fields(f"{count}Q")) if count <= len(record.body) // 8 else require(False, "a body is too short")
    body.end()
    require(left == sorted(set(left)) and all(it <= scanned for it in left), "what is left does not rise up to scanned")
    require(position == (left[0] - 1 if left else scanned), "a checkpoint's position")
    return {
        "checkpoint": consumer, "number": number, "act": act, "text": text, "time": time, "position": position,
        "scanned": scanned, "left": left,
    }  # fmt: skip


def parked(record):
    says_only(record, "name", "metadata")
    body = Body(record.body)
    consumer, text = body.name(record.name), body.text(record.metadata)
    number, time, position, hash, attempts, state = body.fields("QqQ16sII")
    body.end()
    require(number and position, "a parked record without a number or an event")
    state = named(PARKED_STATES, state, "state")
    return {
        "parked": consumer, "number": number, "position": position, "state": state, "text": text, "time": time,
        "hash": hash.hex(), "attempts": attempts,
    }  # fmt: skip


def about_stream(record):
    """The kinds 9 to 13."""
    says_only(record, "name", "metadata", "version", *(["schema", "codec"] if record.kind == TRUNCATE else []))
    body = Body(record.body)
    stream, text = body.name(record.name), body.text(record.metadata)
    require(record.metadata <= (16_384 if record.kind == METADATA else 1_024), "a text is too long")
    (time,) = body.fields("q")
    fact = {"stream": stream, "version": record.version, "time": time}
    if record.kind == TRUNCATE:
        (first,) = body.fields("Q")
        require(1 <= first <= record.version + 1, "a truncation of no legal version")
        if not record.schema:
            if record.codec or text:
                raise Newer("a codec or text without a schema")
            body.end()
            return {"truncate": first, **fact}
        position, last_time = body.fields("Qq")
        require(record.codec and re.fullmatch("[A-Za-z0-9._-]{1,128}", text), "a state without a codec or of no fold")
        require(2 <= first <= position + 1, "a state without an event")
        state = {"fold": text, "schema": record.schema, "codec": record.codec, **shown(body.rest())}
        return {"truncate": first, **fact, "state": {**state, "position": position, "time": last_time}}
    if record.kind == METADATA:
        (revision,) = body.fields("Q")
        body.end()
        require(text and revision, "metadata without a text or revision")
        return {"metadata": text, "revision": revision, **fact}
    body.end()
    require(record.kind != DELETE or record.version, "a deletion of nothing")
    require(record.kind != UNDELETE or not text, "a text where there is none")
    return {{TOMBSTONE: "tombstone", DELETE: "delete", UNDELETE: "undelete"}[record.kind]: text, **fact}


def rule(record):
    """A hold or a retention record."""
    says_only(record, "name", *(["metadata"] if record.kind == HOLD else []))
    body = Body(record.body)
    name, label = body.text(record.name), body.text(record.metadata)
    time, scope, state = body.fields("qII")
    scope = named(SCOPES, scope, "scope")
    if state not in (1, 2):
        raise Newer(f"state {state}")
    if name and scope in ("all", "keys"):
        raise Newer("a name where there is none")
    require(name or scope in ("all", "keys"), "a scope without its name")
    fact = {"scope": scope, "name": name, "time": time, "holds": state == 1}
    if record.kind == HOLD:
        body.end()
        require(1 <= record.metadata <= 1_024, "a label of no legal length")
        return {"hold": label, **fact}
    newest, age = body.fields("QQ")
    body.end()
    require(scope != "keys" or state == 2 or newest == 2**64 - 1, "so many keys")
    require(newest if state == 1 else not newest and not age, "limits of no legal value")
    limits = [None if it == UNLIMITED or state == 2 else it for it in (newest, age)]
    return {"retention": limits, **fact}


def quota(record):
    says_only(record, "name", "metadata")
    body = Body(record.body)
    key, value = body.text(record.name), body.text(record.metadata)
    time, scope, state, limit, action, reserved = body.fields("qIIQII")
    body.end()
    scope = named({1: "tag", 2: "each"}, scope, "scope")
    state = named({1: "set", 2: "ended"}, state, "state")
    if reserved or (scope == "each" and value) or (state == "set" and action not in QUOTA_ACTIONS):
        raise Newer("an action that is not known, or something where nothing is said")
    require(state == "set" or not limit and not action, "a quota that is none and says something")
    controls = any(unicodedata.category(it) == "Cc" for it in key + value)
    require(1 <= record.name <= 64 and record.metadata <= 255 and ":" not in key and not controls, "a tag that is none")
    said = [limit, QUOTA_ACTIONS[action]] if state == "set" else None
    return {"quota": said, "scope": scope, "name": key, "value": value, "time": time, "holds": state == "set"}


def gap(record):
    """A removed or a lost record."""
    says_only(record)
    body = Body(record.body)
    first, last = body.fields("QQ")
    state = "removed"
    if record.kind == LOST:
        state, reserved = body.fields("II")
        state = named({1: "lost", 2: "accepted"}, state, "state")
        if reserved:
            raise Newer("a reserved field is not 0")
    body.end()
    require(1 <= first <= last and (state != "accepted" or first == last), "positions of no legal order")
    return {state: last} if state == "accepted" else {state: [first, last]}


BODIES = {
    EVENT: event, START: start, SESSION: session, WATERMARK: marker, CLOSE: marker, KEY: key, CHECKPOINT: checkpoint,
    PARKED: parked, **dict.fromkeys(ABOUT_STREAMS, about_stream), HOLD: rule, RETENTION: rule, LOST: gap, REMOVED: gap,
    QUOTA: quota,
}  # fmt: skip

"""What the batches that count say, one after the other, and what holds behind the last of them."""

from batches import PREAMBLE
from bodies import ABOUT_STREAMS, BODIES, CHECKPOINT, EVENT, HOLD, KEY, MARKERS, PARKED, POSITION_MAX, QUOTA, RETENTION, SESSION, START
from bodies import Newer, digest_of, require

FIRST_TIME = -(2**63)


class Story:
    """What is known behind the last batch that counts."""

    def __init__(self):
        self.position, self.time, self.event_time = 1, FIRST_TIME, FIRST_TIME  # the position is the next one
        self.epoch, self.facts_epoch = 0, 0
        self.last = None  # the last batch
        self.gap = 0  # the last position that is lost or removed
        self.events = self.batches = 0
        self.streams = {}  # version and position of the last event
        self.facts = []
        self.consumers, self.about, self.rules, self.accepted = {}, {}, {}, 0

    def admit(self, batch):
        """Raises `Newer`, or `Misplaced` where the batch does not go on; then nothing more is admitted."""
        if batch.flags:
            raise Newer(f"flags {batch.flags} of a batch")
        for record in batch.records:
            if record.kind not in BODIES:
                raise Newer(f"kind {record.kind}")
        facts = [BODIES[record.kind](record) for record in batch.records]
        kinds = [record.kind for record in batch.records]
        require(batch.position == self.position, f"first position {batch.position} where {self.position} is next")
        require(batch.time >= self.time, "a batch is before the one before")
        require(batch.epoch, "an epoch of 0")
        is_first, is_start = batch.offset == PREAMBLE, START in kinds
        may_start = is_first or batch.segment.is_rewritten
        require(may_start if is_start else not is_first, "a start record elsewhere, or none at the beginning")
        require(len(kinds) == 1 or not set(kinds) & set(MARKERS), "a marker is not alone")
        self.check_epoch(batch, kinds)
        require(KEY not in kinds[:-1], "a key is not the last of its batch")
        for record, fact in zip(batch.records, facts):
            self.check_place(batch, record, fact)
        versions = [record.version for record in batch.records if record.kind in ABOUT_STREAMS]
        require(max(versions, default=0) < self.position, "a version that no stream can have")
        for record, fact in zip(batch.records, facts):
            if record.kind == KEY:
                fact["agrees"] = fact["digest"] == digest_of(it for it in batch.records if it.kind == EVENT)
        self.time = batch.time
        self.batches += 1
        self.last = batch
        for record, fact in zip(batch.records, facts):
            self.facts.append({**fact, "segment": batch.segment.sequence, "byte": record.offset})
            self.tell(record, fact)

    def check_epoch(self, batch, kinds):
        require(all(record.epoch == batch.epoch for record in batch.records), "a record of another epoch")
        if START in kinds:
            require(batch.epoch >= self.epoch, "a start record lowers the epoch")
            self.epoch = batch.epoch
        elif SESSION in kinds:
            require(batch.epoch > self.epoch, "a session record does not raise the epoch")
            self.epoch = batch.epoch
        else:
            require(batch.epoch <= self.epoch, "a batch has a higher epoch than its session")
            if not set(kinds) & set(MARKERS):
                require(batch.epoch >= self.facts_epoch, "facts lower their epoch")
                self.facts_epoch = batch.epoch

    def check_place(self, batch, record, fact):
        before = self.position - 1
        if record.kind == EVENT:
            require(record.position == self.position <= POSITION_MAX, f"position {record.position}")
            require(self.event_time <= record.time <= batch.time, "an event is before the one before, or behind its batch")
            version, place = self.streams.get(fact["stream"], (0, 0))
            follows = record.version == version + 1 or record.version > version and self.gap > place
            require(follows and record.version <= record.position, f"version {record.version} behind {version}")
            self.streams[fact["stream"]] = record.version, record.position
            self.event_time = record.time
            self.position += 1
            self.events += 1
        elif "lost" in fact or "removed" in fact:
            first, last = fact.get("lost") or fact["removed"]
            require(first == self.position and last <= POSITION_MAX, f"positions from {first}")
            self.gap, self.position = last, last + 1
        elif record.kind == START:
            require(fact["start"] == self.position, f"a segment from position {fact['start']}")
        elif record.kind == SESSION:
            here = [batch.segment.sequence, batch.offset]
            require(batch.segment.is_rewritten or fact["previous"] == here, "a session from elsewhere")
        elif record.kind == KEY:
            require(fact["last"] <= before, "a key of events that are still to come")
        elif record.kind == CHECKPOINT:
            require(fact["scanned"] <= before, "a checkpoint that is still to come")
        elif record.kind == PARKED:
            require(fact["position"] <= before, "a parked event that is still to come")
        elif record.kind in ABOUT_STREAMS:
            # Its version is that behind the whole batch.
            require(fact.get("state", {}).get("position", 0) <= before, "a state that is still to come")
        elif "accepted" in fact:
            require(fact["accepted"] <= before, "losses that are still to come")

    def tell(self, record, fact):
        """What holds from now on."""
        if record.kind in (CHECKPOINT, PARKED):
            self.tell_consumer(fact)
        elif record.kind in ABOUT_STREAMS:
            about = self.about.setdefault(fact["stream"], {"version": 0})
            about["version"] = max(about["version"], fact["version"])
            if "truncate" in fact:
                first = about.get("first", 0)
                if fact["truncate"] > first or fact["truncate"] == first and "state" in fact:
                    about["first"], about["state"] = fact["truncate"], fact.get("state")
            elif "metadata" in fact:
                about["metadata"], about["revision"] = fact["metadata"], fact["revision"]
            elif "undelete" in fact:
                about.pop("deleted", None)
            elif "delete" in fact:
                about["deleted"] = fact["version"]
            else:
                about["finished"] = fact["tombstone"]
        elif record.kind in (HOLD, RETENTION, QUOTA):
            place = record.kind, fact["scope"], fact["name"], fact.get("hold", fact.get("value"))
            if not fact["holds"]:
                self.rules.pop(place, None)
            elif record.kind != HOLD or place not in self.rules:
                self.rules[place] = fact
        elif "accepted" in fact:
            self.accepted = max(self.accepted, fact["accepted"])

    def tell_consumer(self, fact):
        name = fact.get("checkpoint") or fact["parked"]
        new = {"number": 0, "asks": "", "paused": None, "position": 0, "scanned": 0, "left": [], "set aside": {}}
        known = self.consumers.get(name, {**new, "deleted": True})
        if fact["number"] <= known["number"]:
            return
        now = {**(new if known["deleted"] else known), "number": fact["number"], "deleted": False}
        if "checkpoint" in fact:
            now |= {key: fact[key] for key in ("position", "scanned", "left")}
            now |= {"asks": fact["text"]} if fact["act"] == "defined" else {}
            now |= {"paused": fact["text"]} if fact["act"] == "paused" else {}
            now |= {"paused": None} if fact["act"] == "resumed" else {}
            now |= {**new, "number": fact["number"], "deleted": True} if fact["act"] == "deleted" else {}
        else:
            others = {at: it for at, it in now["set aside"].items() if at != fact["position"]}
            this = {fact["position"]: [fact["position"], fact["attempts"], fact["text"]]}
            now["set aside"] = {**others, **(this if fact["state"] == "parked" else {})}
        self.consumers[name] = now

    def standing(self):
        for stream in sorted(self.streams.keys() | self.about.keys()):
            about = self.about.get(stream, {"version": 0})
            state = about.get("state")
            if "state" in about and (not state or "finished" in about or about.get("deleted", 0) >= about["first"] - 1):
                about = {key: it for key, it in about.items() if key != "state"}
            yield {"standing": stream, **about, "version": max(self.streams.get(stream, (0, 0))[0], about["version"])}
        for name, consumer in sorted(self.consumers.items()):
            yield {"consumer": name, **consumer, "set aside": sorted(consumer["set aside"].values())}
        for rule in self.rules.values():
            yield {"rule": next(kind for kind in ("hold", "retention", "quota") if kind in rule), **rule}
        yield {"accepted losses": self.accepted}

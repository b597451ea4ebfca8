"""What waits to be written: bounded, and the later word replaces the earlier.  No I/O.

Tracks wait one per check, outages one per id and days one per check and day, however long the disk
fails.  Changes of state all wait: one takes at least `confirm` attempts, so even a hundred checks
that flap every minute are some ten megabytes a day.  Results of rounds are the mass: they wait up
to a bound, then the oldest go and are counted.  Their day's count, and the money, do not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields
from threading import Lock

from monitor.judge.lapse import abandoned
from monitor.judge.track import Track
from monitor.ledger.records import Labels, Result, result_of, total, utc_day
from monitor.model import Change, Check, Outage, Probe

RESULTS = 10_000
"""Waiting results; about 4 MB, and ten minutes of a thousand checks."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a UTC day counts."""

    probes: int
    bad: int
    cost_usd: float | None

    def plus(self, other: Tally) -> Tally:
        return Tally(
            self.probes + other.probes,
            self.bad + other.bad,
            total((self.cost_usd, other.cost_usd)),
        )


@dataclass(slots=True)
class Batch:
    """Everything that waits; written in the order of the fields."""

    changes: list[tuple[Labels, Change]] = field(default_factory=list)
    outages: dict[str, Outage] = field(default_factory=dict)
    partings: dict[Labels, Track] = field(default_factory=dict)
    """Last tracks of checks that are no longer watched."""
    tracks: dict[Labels, tuple[Check, Track]] = field(default_factory=dict)
    days: dict[tuple[Labels, str], Tally] = field(default_factory=dict)
    results: deque[Result] = field(default_factory=deque)

    def __bool__(self) -> bool:
        return any(self.sizes().values())

    @property
    def weighty(self) -> bool:
        """Whether it holds what a power failure must not undo."""
        return bool(self.changes or self.outages or self.partings)

    def sizes(self) -> dict[str, int]:
        """How many records of each kind."""
        return {one.name: len(getattr(self, one.name)) for one in fields(self)}

    def count(self, key: tuple[Labels, str], tally: Tally) -> None:
        known = self.days.get(key)
        self.days[key] = known.plus(tally) if known else tally

    def part(self, labels: Labels, track: Track) -> None:
        self.tracks.pop(labels, None)
        self.partings[labels] = track

    def follow(self, later: Batch) -> None:
        """Take in what came after this."""
        self.changes += later.changes
        self.outages |= later.outages
        for labels, track in later.partings.items():
            self.part(labels, track)
        self.tracks |= later.tracks
        for key, tally in later.days.items():
            self.count(key, tally)
        self.results += later.results


class Queue:
    """Where the event loop leaves what the writer fetches; every call is a few dictionary steps."""

    def __init__(self, results: int = RESULTS) -> None:
        self.dropped = 0
        """Results that were given up for want of room."""
        self._bound = results
        self._batch = Batch()
        self._lock = Lock()

    def probe(self, check: Check, probe: Probe) -> None:
        result = result_of(check, probe)
        key = (result.labels, utc_day(result.started))
        with self._lock:
            self._batch.count(key, Tally(1, int(result.bad), result.cost_usd))
            self._batch.results.append(result)
            self._trim()

    def track(self, check: Check, track: Track, change: Change | None) -> None:
        with self._lock:
            if change:
                self._batch.changes.append((check.labels3, change))
                if change.outage:
                    self._batch.outages[change.outage.id] = change.outage
            self._batch.tracks[check.labels3] = check, track

    def outage(self, outage: Outage) -> None:
        with self._lock:
            self._batch.outages[outage.id] = outage

    def part(self, labels: Labels, track: Track) -> Outage | None:
        ended = abandoned(track)
        with self._lock:
            if ended:
                self._batch.outages[ended.id] = ended
            self._batch.part(labels, track)
        return ended

    def take(self) -> Batch:
        """All that waits; the caller owns it now."""
        with self._lock:
            taken, self._batch = self._batch, Batch()
        return taken

    def give_back(self, batch: Batch) -> None:
        """`batch` could not be written: it waits again, before what came meanwhile."""
        with self._lock:
            batch.follow(self._batch)
            self._batch = batch
            self._trim()

    def give_up(self) -> None:
        """Nobody will write what waits."""
        self.dropped += len(self.take().results)

    def _trim(self) -> None:
        while len(self._batch.results) > self._bound:
            self._batch.results.popleft()
            self.dropped += 1

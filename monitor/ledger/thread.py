"""The ledger as the service sees it: calls that return at once, and one thread that writes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from monitor.judge.track import Track
from monitor.ledger.batch import Queue
from monitor.ledger.records import Labels
from monitor.ledger.schema import FILE
from monitor.ledger.writer import BEAT, Recalled, Writer
from monitor.model import Change, Check, Moment, Outage, Probe

log = logging.getLogger("monitor.ledger")

GATHER = 0.3
"""Seconds for which records are gathered before they are written together."""
PATIENCE = 5.0
"""Seconds that `close` waits for a disk that does not answer."""


class Ledger:
    """Remembers what it is told in `data_dir`.  No call raises or waits for the disk, but `recall`
    and `close`; the others may come from any one thread.
    """

    def __init__(
        self,
        data_dir: Path,
        clock: Callable[[], Moment],
        retention: float,
    ) -> None:
        self._clock = clock
        self._queue = Queue()
        path = data_dir / FILE
        self.errors = 0
        """How often something went wrong with the file."""
        started = clock().wall
        self._writer = Writer(path, self._queue, retention, started, on_error=self._erred)
        self._wake = Event()
        self._stopping = Event()
        self._thread = Thread(target=self._work, name="ledger", daemon=True)

    @property
    def dropped(self) -> int:
        """Results of rounds that were given up for want of room."""
        return self._queue.dropped

    @property
    def refused(self) -> bool:
        """The file is a newer version's or somebody else's: nothing is written at all."""
        return self._writer.refused

    # ------------------------------------------------------------------------- at the start

    def recall(self, outages_since: float) -> Recalled:
        """What earlier processes left; once, before `start`.  `outages_since` is Unix time."""
        return self._writer.recall(self._clock(), outages_since)

    def start(self) -> None:
        self._thread.start()

    # ------------------------------------------------------------------------------ at work

    def track(self, check: Check, track: Track, change: Change | None = None) -> None:
        """After each attempt and each change: the state of `check`, and the change just made."""
        self._queue.track(check, track, change)
        self._wake.set()

    def probe(self, check: Check, probe: Probe) -> None:
        """After each round."""
        self._queue.probe(check, probe)
        self._wake.set()

    def outage(self, outage: Outage) -> None:
        """An outage that ended without a change of state, as after a long stop."""
        self._queue.outage(outage)
        self._wake.set()

    def part(self, labels: Labels, track: Track) -> Outage | None:
        """`check, provider, model` is no longer watched: its open outage, ended, is returned."""
        ended = self._queue.part(labels, track)
        self._wake.set()
        return ended

    def retain(self, seconds: float) -> None:
        """Keep results of rounds for so long from now on."""
        self._writer.retention = seconds

    # ---------------------------------------------------------------------------- at the end

    def close(self) -> None:
        """Write what waits, and stop."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    def _erred(self) -> None:
        self.errors += 1

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(BEAT)
            self._stopping.wait(GATHER)
            self._wake.clear()
            try:
                self._writer.turn(self._clock())
            except Exception:
                log.exception("a bug of ours in the ledger")
        self._writer.close(self._clock())

"""What the service remembers of its checks: the outages it shows, and everything in the ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from monitor.judge.resume import rebased_outage, reconciled
from monitor.judge.track import Track, begin
from monitor.ledger import Recalled
from monitor.ledger.records import Labels
from monitor.model import Change, Check, Moment, Outage, OutageSeries, Probe
from monitor.run.tell import tell_change, tell_resumed


class Keeper(Protocol):
    """The ledger, as far as it is told things here."""

    def recall(self, outages_since: float) -> Recalled: ...
    def start(self) -> None: ...
    def track(self, check: Check, track: Track, change: Change | None = None) -> None: ...
    def probe(self, check: Check, probe: Probe) -> None: ...
    def outage(self, outage: Outage) -> None: ...
    def part(self, labels: Labels, track: Track) -> Outage | None: ...
    def retain(self, seconds: float) -> None: ...


class Listener(Protocol):
    """Who wants to hear where checks stand, as notifications do; must not raise, nor wait."""

    def stands(self, check: Check, track: Track) -> None: ...
    def ended(self, outage: Outage) -> None: ...
    def gone(self, check: Check) -> None: ...


class Memory:
    """Outages that ended, by check, and the way into the ledger (None: nothing outlives us)."""

    def __init__(self, keeper: Keeper | None = None, listener: Listener | None = None) -> None:
        self._keeper = keeper
        self._listener = listener
        self._limits = OutageSeries()
        self._ended: dict[Labels, deque[Outage]] = {}
        self._left: dict[str, Track] = {}

    # ------------------------------------------------------------------------- at the start

    def recall(self, checks: Iterable[Check], now: Moment) -> None:
        """Read what an earlier process left of `checks`; once, before anything is told."""
        if self._keeper is None:
            return
        recalled = self._keeper.recall(now.wall - self._limits.keep)
        checks = list(checks)
        for outage in recalled.outages:
            if outage.ended:
                self._keep(rebased_outage(outage, now))
        resumption = reconciled(recalled.saved, checks, now)
        self._left = dict(resumption.tracks)
        for outage in resumption.ended:
            self._keeper.outage(outage)
            self._keep(outage)
        for one in resumption.gone:
            self._keeper.part(one.labels, one.track)
        changes = {change.check: change for change in resumption.changes}
        for check in checks:
            if check.name in self._left:
                change = changes.get(check.name)
                self._keeper.track(check, self._left[check.name], change)
                if change:
                    tell_change(change)
        self._keeper.start()
        still = [track.outage for track in self._left.values() if track.outage]
        tell_resumed(len(self._left), still)

    def track(self, check: Check, at: Moment) -> Track:
        """What is known of a check that is watched from `at` on: often nothing."""
        track = self._left.pop(check.name, None) or begin(at)
        if self._listener:
            self._listener.stands(check, track)
        return track

    # ------------------------------------------------------------------------------ at work

    def outages(self, check: Check) -> tuple[Outage, ...]:
        """Those that ended, as far as they are still shown."""
        return tuple(self._ended.get(check.labels3, ()))

    def attempted(self, check: Check, track: Track, change: Change | None = None) -> None:
        """After each attempt and each change: where `check` stands, and the change just made."""
        if change and change.outage and change.outage.ended:
            self._keep(change.outage)
        if change and self._listener:
            self._listener.stands(check, track)
        if self._keeper:
            self._keeper.track(check, track, change)

    def lost(self, check: Check, track: Track, outage: Outage) -> None:
        """`outage` ended because it was lost from sight; the state is as it was."""
        self._keep(outage)
        if self._listener:
            self._listener.stands(check, track)
        if self._keeper:
            self._keeper.outage(outage)
            self._keeper.track(check, track)

    def probed(self, check: Check, probe: Probe) -> None:
        """After each round."""
        if self._keeper:
            self._keeper.probe(check, probe)

    def forget(self, check: Check, track: Track) -> None:
        """`check` is no longer watched, or asks otherwise: its open outage ends here."""
        ended = self._keeper.part(check.labels3, track) if self._keeper else None
        if ended:
            self._keep(ended)
        if self._listener:
            self._listener.gone(check)

    def retain(self, seconds: float) -> None:
        """Keep single rounds for so long."""
        if self._keeper:
            self._keeper.retain(seconds)

    def keep(self, limits: OutageSeries) -> None:
        """Remember ended outages within these limits; what is forgotten comes back at a start."""
        self._limits = limits
        for labels, ended in self._ended.items():
            self._ended[labels] = deque(ended, maxlen=limits.per_check)

    def _keep(self, outage: Outage) -> None:
        labels = (outage.check, outage.provider, outage.model)
        self._ended.setdefault(labels, deque(maxlen=self._limits.per_check)).append(outage)
        if self._listener:
            self._listener.ended(outage)

"""Makers for the tests of the ledger: scripted attempts, a writer with a clock that is turned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from monitor.judge import state
from monitor.judge.lapse import lapsed
from monitor.judge.resume import reconciled
from monitor.judge.track import Track, begin
from monitor.ledger import schema
from monitor.ledger.batch import Queue
from monitor.ledger.writer import Opened, Recalled, Writer
from monitor.model import (
    Attempt,
    Change,
    Check,
    Moment,
    Outage,
    Phases,
    Probe,
    Reason,
    State,
    Tokens,
    Verdict,
)
from tests.making import chat_check

LETTERS: dict[str, tuple[Verdict, Reason | None]] = {
    "U": (Verdict.OK, None),
    "S": (Verdict.SLOW, Reason.SLOW_TOTAL),
    "W": (Verdict.WRONG, Reason.WRONG_ANSWER),
    "D": (Verdict.FAILED, Reason.SERVER_ERROR),
    "L": (Verdict.LIMITED, Reason.AUTH),
    "V": (Verdict.VOID, Reason.STALLED),
    "N": (Verdict.VOID, Reason.LOCAL_NETWORK),
}
START = 1_795_000_000.0
CHECK = chat_check(interval=60.0)
"""Its last evidence vouches for 180 s, an outage without any for an hour."""


def attempt_of(check: Check, letter: str, started: Moment, seconds: float = 1.0) -> Attempt:
    verdict, reason = LETTERS[letter]
    return Attempt(
        check.name,
        started,
        started.plus(seconds),
        verdict,
        reason,
        detail=f"it was {letter}" if reason else None,
        status=500 if letter == "D" else 200,
        request_id="req-1",
        evidence="Internal <Server> Error" if letter == "D" else None,
        phases=Phases(first_token=0.25),
        tokens=Tokens(input=24, output=4),
        cost_usd=0.001,
    )


@dataclass
class Clock:
    """Wall seconds since START and the monotonic clock of one process."""

    seconds: float = 0.0
    boot: float = 1_000.0

    def __call__(self) -> Moment:
        return Moment(START + self.seconds, self.seconds + self.boot)


class Monitor:
    """One process with one check, from its start until it is killed or stopped.

    It does with the ledger what the service does, without a thread and without a network.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        check: Check = CHECK,
        *,
        opened: Opened = schema.opened,
        results: int = 1_000,
    ) -> None:
        self.check, self.clock = check, clock
        self.errors = 0
        self.changes: list[Change] = []
        self.queue = Queue(results)
        self.writer = Writer(
            path, self.queue, 30 * 86_400.0, clock().wall, opened, on_error=self._erred
        )
        self.recalled: Recalled = self.writer.recall(clock(), clock().wall - 30 * 86_400.0)
        resumption = reconciled(self.recalled.saved, [check], clock())
        for gone in resumption.gone:
            self.queue.part(gone.labels, gone.track)
        for outage in resumption.ended:
            self.queue.outage(outage)
        self.track: Track = resumption.tracks.get(check.name) or begin(clock())
        change = next(iter(resumption.changes), None)
        self._tell(change)

    def _erred(self) -> None:
        self.errors += 1

    def _tell(self, change: Change | None) -> None:
        if change:
            self.changes.append(change)
        self.queue.track(self.check, self.track, change)

    def attempt(self, letter: str, seconds: float = 1.0) -> None:
        started = self.clock()
        self.track = state.attempt_begins(self.track, started)
        self.clock.seconds += seconds
        seen = attempt_of(self.check, letter, started, seconds)
        self.track, change = state.attempt_ends(self.track, self.check, seen, first=True)
        self._tell(change)
        self.queue.probe(self.check, Probe("0123456789abcdef", self.check.name, (seen,)))

    def tick(self) -> None:
        self.track, change = state.tick(self.track, self.check, self.clock())
        if change:
            self._tell(change)
        self.track, lost = lapsed(self.track, self.check, self.clock())
        if lost:
            self.queue.outage(lost)
            self._tell(None)

    def maintain(self) -> None:
        """A maintenance window opens, or closes where one is open."""
        self.tick()
        opens = self.track.state is not State.MAINTENANCE
        now = self.clock()
        self.track, change = state.maintain(self.track, self.check, None, now, opens=opens)
        self._tell(change)

    def play(self, script: str, every: float = 60.0) -> Monitor:
        """One round every `every` seconds, each of one attempt that takes a second."""
        for letter in script:
            self.attempt(letter)
            self.clock.seconds += every - 1.0
        return self

    def calm(self) -> Monitor:
        """So long that the next outage is no relapse of the last."""
        self.clock.seconds += 11 * self.check.interval
        return self

    def turn(self) -> Monitor:
        self.writer.turn(self.clock())
        return self

    def killed(self) -> None:
        """Gone in the middle of things: nothing is flushed, only the kernel closes the file."""
        self.writer._disconnect()

    def stop(self) -> None:
        self.writer.close(self.clock())


def outage_of(number: int = 0, **changes: object) -> Outage:
    started = Moment(START + 100.0 * number, START + 100.0 * number)
    outage = Outage(
        id=f"{number:012x}",
        check="c",
        provider="p",
        model="m-1",
        started=started,
        confirmed=started.plus(20),
        reason=Reason.SERVER_ERROR,
        ended=started.plus(60),
    )
    return replace(outage, **changes)  # type: ignore[arg-type]

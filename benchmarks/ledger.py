"""What the ledger costs: the event loop per probe, its thread, and what that does to times.

The calls are those that the service makes after an attempt and after a round, of a thousand checks
of which some fail; the file is a real one, written by the ledger's own thread.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from subprocess import PIPE, Popen
from typing import NamedTuple

from benchmarks.measure import OTHERS, OURS, median, pin, quantile
from benchmarks.table import Row
from monitor.judge import state
from monitor.judge.track import Track, begin
from monitor.ledger import Ledger
from monitor.model import (
    Attempt,
    Change,
    Check,
    Mode,
    Moment,
    Phases,
    Probe,
    Reason,
    Tokens,
    Verdict,
)
from monitor.probe.clock import now
from monitor.probe.wire import PollClock, Wire, current, open_socket, stamping

CHECKS = 1_000
PER_READ = 2
"""Probes that the ledger is told of after each read of the ticker, a thousand times a second: six
times what 10,000 checks at 30 s need."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the ledger is told of one probe."""

    check: Check
    track: Track
    change: Change | None
    probe: Probe


def rows(quick: bool) -> Iterator[Row]:
    pin(OURS)
    told = _told(2_000 if quick else 20_000)
    loop, thread = _costs(told, 1 if quick else 5)
    yield Row("event loop per probe", loop, "µs", goal=50.0)
    yield Row("the ledger's thread per probe", thread, "µs")
    yield from _times(told, 1 if quick else 8, 0.5 if quick else 2.5)


def _told(count: int) -> list[Told]:
    """What happened to a thousand checks, one in fifty of which is in trouble."""
    checks = [
        Check(f"check-{n}", Mode.CHAT, f"provider-{n % 20}", "https://x.test/v1", model="m-1")
        for n in range(CHECKS)
    ]
    tracks = {check.name: begin(now()) for check in checks}
    found = []
    for number, check in enumerate(islice(cycle(checks), count)):
        started = now()
        # Those in trouble go down and come up again as the rounds go by.
        bad = number % 50 == 0 and number // CHECKS % 8 < 4
        seen = _attempt(check, started, bad=bad)
        track = state.attempt_begins(tracks[check.name], started)
        track, change = state.attempt_ends(track, check, seen, first=True)
        tracks[check.name] = track
        found.append(Told(check, track, change, Probe(f"{number:016x}", check.name, (seen,))))
    return found


def _attempt(check: Check, started: Moment, *, bad: bool) -> Attempt:
    ended = started.plus(0.8)
    if bad:
        return Attempt(
            check.name,
            started,
            ended,
            Verdict.FAILED,
            Reason.SERVER_ERROR,
            "HTTP 500: The server had an error while processing your request",
            status=500,
            request_id=f"req_{started.wall:.6f}",
            phases=Phases(dns=0.002, connect=0.02, tls=0.03, first_byte=0.7),
            evidence='{"error": {"message": "The server had an error"}}' * 20,
        )
    return Attempt(
        check.name,
        started,
        ended,
        Verdict.OK,
        status=200,
        request_id=f"req_{started.wall:.6f}",
        phases=Phases(0.002, 0.02, 0.03, 0.3, 0.4, 0.4, 0.3, 0.05, 0.0001),
        tokens=Tokens(24, 4, 0, 0),
        cost_usd=0.00001,
    )


@contextmanager
def _ledger() -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder), now, 86_400.0)
        ledger.recall(now().wall)
        ledger.start()
        try:
            yield ledger
        finally:
            ledger.close()


def _tell(ledger: Ledger, told: Told) -> None:
    ledger.track(told.check, told.track, told.change)
    ledger.probe(told.check, told.probe)


def _costs(told: list[Told], rounds: int) -> tuple[float, float]:
    """µs of CPU per probe of the thread that tells, and of all others: that is the ledger's."""
    loops, threads = [], []
    for _ in range(rounds):
        with _ledger() as ledger:
            before, mine = _cpu(), time.thread_time()
            for number, one in enumerate(told):
                _tell(ledger, one)
                if number % 500 == 499:
                    # So that it is written in the batches of a busy monitor, and nothing dropped.
                    time.sleep(0.1)
            mine = time.thread_time() - mine
            ledger.close()
            assert ledger.dropped == 0 and ledger.errors == 0
            loops.append(mine / len(told) * 1e6)
            threads.append((_cpu() - before - mine) / len(told) * 1e6)
    return median(loops), median(threads)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# ----------------------------------------------------------------------------------------- times

TICKER = """
import socket, struct, sys, time
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        peer, _ = server.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                time.sleep(0.001)
                peer.send(struct.pack("d", time.monotonic()))
        except OSError:
            peer.close()
"""
"""Sends what time it is, a thousand times a second."""


def _times(told: list[Told], rounds: int, seconds: float) -> Iterator[Row]:
    """How wrong a stamped read is, and how late the loop was, with a busy ledger and without."""
    busy: list[Read] = []
    idle: list[Read] = []
    added = []
    with _ticker() as port:
        for _ in range(rounds):
            calm = _reads(port, told, None, seconds)
            with _ledger() as ledger:
                loud = _reads(port, told, ledger, seconds)
            idle += calm
            busy += loud
            added.append(_p99_error(loud) - _p99_error(calm))
    yield Row("what it adds to the error of a stamped read, p99", median(added), "µs", goal=20.0)
    for what, field in (("error of a stamped read", "error"), ("lateness of the loop", "late")):
        for name, share in (("median", 0.5), ("p99", 0.99)):
            ours, theirs = (
                quantile([getattr(read, field) for read in reads], share) for reads in (busy, idle)
            )
            yield Row(f"{what}, {name}", ours, "µs", peer="no ledger", theirs=theirs)


class Read(NamedTuple):
    error: float
    """µs by which the stamp of the read is off."""
    late: float
    """µs after the kernel at which the loop had the bytes."""


def _p99_error(reads: list[Read]) -> float:
    return quantile([read.error for read in reads], 0.99)


@contextmanager
def _ticker() -> Iterator[int]:
    with Popen([sys.executable, "-c", TICKER], stdout=PIPE, preexec_fn=lambda: pin(OTHERS)) as it:
        try:
            assert it.stdout is not None
            yield int(it.stdout.readline())
        finally:
            it.terminate()


def _reads(port: int, told: list[Told], ledger: Ledger | None, seconds: float) -> list[Read]:
    poll = PollClock()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poll)) as runner:
        return runner.run(_read(port, poll, cycle(told), ledger, seconds))


async def _read(
    port: int, poll: PollClock, told: Iterator[Told], ledger: Ledger | None, seconds: float
) -> list[Read]:
    """Reads of the ticker for so long; after each one `ledger` is told of some probes."""
    loop = asyncio.get_running_loop()
    wire = Wire(poll)
    current.set(wire)
    reads = []
    with stamping(), open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ())) as sock:
        await loop.sock_connect(sock, ("127.0.0.1", port))
        end = loop.time() + seconds
        while loop.time() < end:
            data = await loop.sock_recv(sock, 4096)
            stamp = wire.stamp()
            (sent,) = struct.unpack("d", data[-8:])
            reads.append(Read(abs(stamp.at - sent) * 1e6, (stamp.read - stamp.at) * 1e6))
            for one in islice(told, PER_READ if ledger else 0):
                assert ledger
                _tell(ledger, one)
    return reads

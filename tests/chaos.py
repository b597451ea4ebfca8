"""`make chaos`: `kill -9` at random moments, again and again, and every outage must be there.

Each lane is a server of truth, which is up and down by a script and notes what it answered to whom,
and a monitor that is killed and started anew.  At the end the ledger is held against the notes: no
outage lost, split, doubled or mis-dated.  A killed process may lose what it saw in its last second,
because the ledger is written within one: so an outage may begin later, or end later, by answers
that a process got in its last second, and by nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from monitor.cli import main as command_line
from monitor.ledger import Reader
from monitor.ledger.schema import FILE
from monitor.model import Outage

UNWRITTEN = 1.0
"""Seconds within which the ledger promises to be written."""
GRAIN = 0.25
"""Seconds between the start of an attempt and the server's note of it, on a loaded machine."""
LIFE = (0.15, 3.0)
PHASE = (7.0, 12.0)
CHECKS = """\
guard: off
checks:
  - name: truth
    type: web
    url: http://127.0.0.1:{port}/
    interval: 1s
    timeout: {{connect: 1s, first_byte: 1s, total: 2s}}
    slow: {{first_token: 1s, total: 2s}}
    confirm: {{recheck: 200ms}}
"""
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
BAD = b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"


class Answer(NamedTuple):
    """What the server said, when (Unix seconds), to the how many-th process."""

    at: float
    good: bool


@dataclass
class Lane:
    """What happened: the answers given, and when each process was killed."""

    answers: list[Answer] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


def phases(start: float, rng: random.Random) -> Iterator[tuple[float, bool]]:
    """Endless: until when it is up, until when it is down, …"""
    at, good = start, True
    while True:
        at += rng.uniform(*PHASE)
        yield at, good
        good = not good


def serve(listener: socket.socket, notes: Path, rng: random.Random) -> None:
    """Answer for ever, one after the other, and note each answer before it is given."""
    script = phases(time.time(), rng)
    until, good = next(script)
    with notes.open("w", buffering=1) as out:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(1.0)
                try:
                    connection.recv(65536)
                    while time.time() >= until:
                        until, good = next(script)
                    out.write(json.dumps([time.time(), good]) + "\n")
                    connection.sendall(GOOD if good else BAD)
                except OSError:
                    continue  # killed while it asked


def forked(work: Callable[[], object]) -> int:
    """A process of its own that does `work`; a fork, because starting Python takes a second."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def product(folder: Path) -> None:
    """The product itself, on the lane's configuration and data directory."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    config, data = str(folder / "checks.yaml"), str(folder / "data")
    command_line(["run", "--config", config, "--data-dir", data, "--listen", "127.0.0.1:0"])


def play(folder: Path, kills: int, seed: int, told: Callable[[int], None]) -> Lane:
    """Kill so many processes, then let a last one live until the outage that is on has ended."""
    rng = random.Random(seed)
    lane = Lane()
    notes = folder / "answers"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (folder / "checks.yaml").write_text(CHECKS.format(port=listener.getsockname()[1]))
        server = forked(lambda: serve(listener, notes, random.Random(seed)))
    try:
        for number in range(kills):
            pid = forked(lambda: product(folder))
            time.sleep(rng.uniform(*LIFE))
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            lane.kills.append(time.time())
            if not os.WIFSIGNALED(status):
                lane.trouble.append(f"process {number} ended by itself")
            told(1)
        pid = forked(lambda: product(folder))
        time.sleep(2 * PHASE[1])
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
    lane.answers = [Answer(*json.loads(line)) for line in notes.read_text().splitlines()]
    with Reader(folder / "data" / FILE) as ledger:
        lane.outages = ledger.outages()
    lane.trouble += look(folder)
    return lane


def look(folder: Path) -> list[str]:
    """What is wrong with the file, or was said to be by the monitor."""
    data = folder / "data"
    found = [f"set aside: {path.name}" for path in data.glob("*corrupt*")]
    with closing(sqlite3.connect(data / FILE)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    found += [] if verdict == "ok" else [f"integrity: {verdict}"]
    lines = (folder / "log").read_text(errors="replace").splitlines()
    return found + [line for line in lines if "level=error" in line or "Traceback" in line]


# ----------------------------------------------------------------------------------- judgement


def faults(lane: Lane) -> list[str]:
    """Everything in which the ledger differs from what the server did, in words."""
    found = list(lane.trouble)
    for before, after in pairwise(lane.outages):
        if before.ended is None or after.started.wall < before.ended.wall:
            found.append(f"{before.id} and {after.id} overlap")
    unclaimed = list(lane.outages)
    for bad, end in runs(lane.answers):
        mine = [one for one in unclaimed if _touches(one, bad[0].at, end)]
        if not mine and len(bad) < 3 + _lost(bad, lane.kills):
            continue  # too few answers that anybody remembers: rightly not confirmed
        if len(mine) != 1:
            found.append(f"{len(mine)} outages for {len(bad)} failures from {bad[0].at:.3f}")
        for one in mine:
            unclaimed.remove(one)
            found += misdated(one, bad, lane)
    return found + [f"{one.id} never happened" for one in unclaimed]


def runs(answers: Sequence[Answer]) -> Iterator[tuple[list[Answer], float]]:
    """The failures in a row, and when the next such row begins."""
    rows: list[list[Answer]] = []
    for before, answer in pairwise([Answer(0.0, True), *answers]):
        if not answer.good:
            if before.good:
                rows.append([])
            rows[-1].append(answer)
    ends = [row[0].at for row in rows[1:]] + [float("inf")]
    yield from zip(rows, ends, strict=True)


def misdated(one: Outage, bad: Sequence[Answer], lane: Lane) -> list[str]:
    """Start and end against the first failure, and the first success, that a ledger could know."""
    found = []
    if not _dated(one.started.wall, bad, lane.kills):
        found.append(f"{one.id} starts {one.started.wall - bad[0].at:+.3f} s off")
    good = [answer for answer in lane.answers if answer.good and answer.at > bad[-1].at]
    if one.ended is None:
        if len(good) > 4 + _lost(good, lane.kills):
            found.append(f"{one.id} never ended")
    elif not one.end_known or not _dated(one.ended.wall, good, lane.kills):
        found.append(f"{one.id} ends {one.ended.wall - good[0].at:+.3f} s off")
    return found


def _dated(moment: float, answers: Sequence[Answer], kills: Sequence[float]) -> bool:
    """Whether `moment` is that of the first of `answers` that was not lost with its process."""
    for answer in answers:
        if abs(answer.at - moment) <= GRAIN:
            return True
        if not _is_lost(answer, kills):
            return False
    return False


def _lost(answers: Sequence[Answer], kills: Sequence[float]) -> int:
    return sum(_is_lost(answer, kills) for answer in answers)


def _is_lost(answer: Answer, kills: Sequence[float]) -> bool:
    return any(0 <= kill - answer.at <= UNWRITTEN for kill in kills)


def _touches(one: Outage, start: float, end: float) -> bool:
    return start - GRAIN <= one.started.wall < end - GRAIN


# ---------------------------------------------------------------------------------------- main


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=8, help="at the same time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    share = -(-options.kills // options.lanes)
    read, write = os.pipe()

    def told(number: int) -> None:
        os.write(write, bytes([number]))

    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        pids = {}
        for rank in range(options.lanes):
            home = Path(folder) / str(rank)
            home.mkdir()
            pids[forked(partial(_lane, home, share, options.seed + rank, told))] = home
        os.close(write)
        for done, _ in enumerate(iter(lambda: os.read(read, 1), b""), start=1):
            print(f"\r{done}/{share * options.lanes} killed", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        for pid in pids:
            os.waitpid(pid, 0)
        results = [json.loads((home / "result").read_text()) for home in pids.values()]
    wrong = [fault for result in results for fault in result["faults"]]
    total = {key: sum(result[key] for result in results) for key in ("kills", "answers", "outages")}
    print(f"{total['kills']} kills, {total['answers']} answers, {total['outages']} outages")
    print("\n".join(wrong) or "every outage is there, once, and rightly dated")
    return 1 if wrong else 0


def _lane(home: Path, kills: int, seed: int, told: Callable[[int], None]) -> None:
    lane = play(home, kills, seed, told)
    result = {
        "faults": faults(lane),
        "kills": len(lane.kills),
        "answers": len(lane.answers),
        "outages": len(lane.outages),
    }
    (home / "result").write_text(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())

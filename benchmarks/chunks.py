"""CPU per streamed chunk, of thirty answers at a time, beside the openai SDK and plain httpx.

Ours is the whole chat attempt: connection, stamps, deadlines, decoding, reply, verdict.  The peers
only hand the text over, and keep their connections.  Every client lives in a process of its own and
is told its rounds in turn, so that a moment's noise falls on all of them.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from benchmarks.measure import OURS, median, pin
from benchmarks.peers import NAMES, asker, missing
from benchmarks.table import Row
from benchmarks.truth import truth
from monitor.model import ChatExpect, Check, Expecting, Mode, Verdict
from monitor.probe.chat import chat
from monitor.probe.client import Client
from monitor.probe.poll import PollClock
from monitor.run.calm import settle_collector

STREAMS = 30
LONG = 64
"""Chunks of an answer, one every 20 ms, so that there are 1,500 a second."""
GOALS = {"openai": 0.35, "httpx": 0.5, "latenzy": 0.5}
US = 1e6


def rows(quick: bool) -> Iterator[Row]:
    """Per chunk of long answers, with goals; per whole answer of one token, without."""
    rounds = 1 if quick else 7
    chunks = 8 if quick else LONG
    with truth() as endpoint, ExitStack() as stack:
        clients = {
            who: stack.enter_context(_client(who, endpoint.url))
            for who in ("ours", *(peer for peer in NAMES if not missing(peer)))
        }
        long = _in_turn(clients, f"n{chunks}-f100-g20", rounds)
        yield from _rows("CPU per chunk", long, chunks, GOALS)
        short = _in_turn(clients, "n1-f20-g20", rounds)
        yield from _rows("CPU per answer of one token", short, 1, {})


def _rows(
    what: str, spent: dict[str, list[float]], chunks: int, goals: dict[str, float]
) -> Iterator[Row]:
    ours = spent["ours"]
    unit = US / STREAMS / chunks
    for peer, name in NAMES.items():
        theirs = spent.get(peer)
        ratio = theirs and median([our / their for our, their in zip(ours, theirs, strict=True)])
        yield Row(
            f"{what}, {STREAMS} streams",
            median(ours) * unit,
            "µs",
            goals.get(peer),
            name,
            theirs and median(theirs) * unit,
            ratio=ratio,
        )


def _in_turn(
    clients: dict[str, subprocess.Popen[str]], model: str, rounds: int
) -> dict[str, list[float]]:
    """CPU seconds of each client's rounds; an uncounted one comes first."""
    spent: dict[str, list[float]] = {who: [] for who in clients}
    for turn in range(rounds + 1):
        for who, client in clients.items():
            assert client.stdin is not None and client.stdout is not None
            client.stdin.write(f"{model}\n")
            client.stdin.flush()
            seconds = float(client.stdout.readline())
            if turn:
                spent[who].append(seconds)
    return spent


@contextmanager
def _client(who: str, url: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "benchmarks.chunks", who, url]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# ---------------------------------------------------------------------------------- one process

Answer = Callable[[str], Awaitable[None]]
"""Has a model answer once."""


async def _rounds(answer: Answer) -> None:
    """For each model that is told on standard input: all streams at once, and what they cost."""
    draw = random.Random(1)

    async def one(model: str) -> None:
        await asyncio.sleep(draw.random() * 0.02)
        await answer(model)

    for line in sys.stdin:
        before = time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(STREAMS):
                group.create_task(one(line.strip()))
        sys.stdout.write(f"{time.process_time() - before}\n")
        sys.stdout.flush()


async def _ours(url: str, poll: PollClock) -> None:
    draw = random.Random(1)
    asked = Check(
        "c", Mode.CHAT, "p", url, protocol="openai-chat", expect=ChatExpect(Expecting.ANY)
    )
    async with Client(poll) as client:

        async def answer(model: str) -> None:
            seen = await chat(client, replace(asked, model=model), draw)
            if seen.verdict is not Verdict.OK or seen.phases.first_token is None:
                raise RuntimeError(f"an answer went wrong: {seen.detail}")

        await _rounds(answer)


async def _peer(who: str, url: str) -> None:
    ask = asker(who, url)

    async def answer(model: str) -> None:
        said: list[str] = []
        await ask(model, said.append)
        if not said:
            raise RuntimeError("an answer without content")

    await _rounds(answer)


def main() -> None:
    who, url = sys.argv[1:]
    pin(OURS)
    if who != "ours":
        asyncio.run(_peer(who, url))
        return
    settle_collector()  # as the service does
    poll = PollClock()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poll)) as runner:
        runner.run(_ours(url, poll))


if __name__ == "__main__":
    main()

"""A late event loop is our own failure: what it made slow or late is `void`, never theirs."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace

import pytest

from monitor.judge.verdict import speed_finding
from monitor.model import Phases, Reason, Slow, Timeouts, Verdict
from monitor.probe import exchange as exchange_module
from monitor.probe.client import Client
from monitor.probe.poll import STALL, PollClock
from monitor.run.rounds import attempt
from tests.making import chat_check, web_check
from tests.serving import END, Handler, always, head, serving

CHECK = chat_check(slow=Slow(first_token=1.0, total=3.0))


@pytest.mark.parametrize(
    ("total", "stalled", "reason"),
    [
        (2.9, 0.0, None),
        (3.5, 0.0, Reason.SLOW_TOTAL),
        (3.5, 0.4, Reason.SLOW_TOTAL),
        (3.5, 0.6, Reason.STALLED),
        (9.0, 2.0, Reason.SLOW_TOTAL),
    ],
)
def test_only_what_our_own_loop_does_not_explain_is_slow(
    total: float, stalled: float, reason: Reason | None
) -> None:
    assert speed_finding(CHECK, Phases(), total, stalled).reason is reason


def test_the_kernel_stamped_the_first_token_however_late_we_were() -> None:
    late = Phases(first_token=2.0)
    assert speed_finding(CHECK, late, 2.5, stalled=2.0).reason is Reason.SLOW_FIRST_TOKEN


def run_blocked(blocked: float, handler: Handler, timeouts: Timeouts, slow: Slow) -> object:
    """One web probe during which something blocks the event loop for `blocked` seconds."""
    poll = PollClock()

    async def probe() -> object:
        asyncio.get_running_loop().call_later(0.05, time.sleep, blocked)
        async with serving(handler) as port, Client(poll) as client:
            check = web_check(f"http://127.0.0.1:{port}/", timeout=timeouts, slow=slow)
            return await attempt(client, check, random.Random(1))

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poll)) as runner:
        return runner.run(probe())


def answer_after(seconds: float) -> Handler:
    async def handler(
        request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(seconds)
        await always(head(200) + END)(request, reader, writer)

    return handler


LONG = Timeouts(connect=5, first_byte=5, first_token=5, idle=5, total=9)


def test_a_probe_that_was_slow_for_us_alone_is_void() -> None:
    seen = run_blocked(3 * STALL, answer_after(0.06), LONG, Slow(first_token=9, total=2 * STALL))
    assert (seen.verdict, seen.reason) == (Verdict.VOID, Reason.STALLED)
    assert "our own event loop" in seen.detail


def test_a_deadline_that_our_loop_slept_through_is_void(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "LATE", STALL)
    # The loop wakes up just after the deadline: it fires in time, and yet it proves nothing.
    limits = Timeouts(connect=5, first_byte=3.4 * STALL, first_token=5, idle=5, total=9)
    seen = run_blocked(3 * STALL, always(b"", hold=True), limits, Slow())
    assert (seen.verdict, seen.reason) == (Verdict.VOID, Reason.STALLED)
    # Whatever came before the loop was back has been read long before this deadline.
    later = replace(limits, first_byte=7 * STALL)
    early = run_blocked(3 * STALL, always(b"", hold=True), later, Slow())
    assert (early.verdict, early.reason) == (Verdict.FAILED, Reason.FIRST_BYTE_TIMEOUT)
    calm = run_blocked(0.0, always(b"", hold=True), limits, Slow())
    assert (calm.verdict, calm.reason) == (Verdict.FAILED, Reason.FIRST_BYTE_TIMEOUT)

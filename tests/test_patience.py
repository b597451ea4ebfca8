"""When an attempt is given up: at its next deadline, however often that moves."""

from __future__ import annotations

import asyncio

import pytest

from monitor.model import Timeouts
from monitor.probe.deadlines import Deadlines
from monitor.probe.patience import Patience
from tests.virtual import VirtualTime, run

LIMITS = Timeouts(connect=5, first_byte=20, first_token=30, idle=15, total=60)


def deadlines() -> Deadlines:
    return Deadlines(LIMITS, started=0.0, streaming=True, sent=0.0, head=0.0, progress=0.0)


async def outputs(given: Deadlines, *pauses: float) -> None:
    for pause in pauses:
        await asyncio.sleep(pause)
        given.progress = asyncio.get_running_loop().time()
    await asyncio.sleep(1000.0)


@pytest.mark.parametrize(
    ("pauses", "end"),
    [((), 15.0), ((10.0,), 25.0), ((10.0, 14.0), 39.0), ((10.0, 16.0), 25.0), ((14.0,) * 9, 60.0)],
)
def test_it_ends_at_the_deadline_that_the_last_output_moved(
    pauses: tuple[float, ...], end: float
) -> None:
    async def main(_clocks: VirtualTime) -> float:
        given = deadlines()
        patience = Patience(given)
        with pytest.raises(TimeoutError):
            async with patience:
                await outputs(given, *pauses)
        assert patience.expired()
        return asyncio.get_running_loop().time()

    assert run(main) == end


def test_a_deadline_that_comes_sooner_holds_once_it_is_told() -> None:
    async def main(_clocks: VirtualTime) -> float:
        given = deadlines()
        given.progress = None
        with pytest.raises(TimeoutError):
            async with Patience(given) as patience:
                await asyncio.sleep(1.0)
                given.progress = 1.0
                patience.renew()
                await asyncio.sleep(1000.0)
        return asyncio.get_running_loop().time()

    assert run(main) == 16.0, "and not 30, when a first token was due"


def test_an_output_sets_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(_clocks: VirtualTime) -> int:
        given = deadlines()
        timers = 0
        loop = asyncio.get_running_loop()
        call_at = loop.call_at

        def counted(*args: object, **more: object) -> asyncio.TimerHandle:
            nonlocal timers
            timers += 1
            return call_at(*args, **more)  # type: ignore[arg-type]

        async with Patience(given):
            monkeypatch.setattr(loop, "call_at", counted)
            for _ in range(1000):
                given.progress = loop.time()
                await asyncio.sleep(0)
        return timers

    assert run(main) == 0


def test_an_attempt_that_ends_in_time_leaves_no_timer_behind() -> None:
    async def main(_clocks: VirtualTime) -> None:
        async with Patience(deadlines()) as patience:
            pass
        await asyncio.sleep(1000.0)
        assert not patience.expired()

    run(main)

"""The service with real sockets: state over reloads, removal, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from monitor.model import Check, Config, Confirm, Mode, Reachability, State, Timeouts, Window
from monitor.probe import network
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.run import service as service_module
from monitor.run.memory import Memory
from monitor.run.service import Service
from monitor.show.metrics import Metrics
from tests.making import chat_check, web_check
from tests.serving import END, always, free_port, head, serving

OK = always(head(200) + END)
FAST = Confirm(recheck=0.01)
LIMITS = Timeouts(connect=1, first_byte=1, first_token=1, idle=1, total=2)


@contextlib.asynccontextmanager
async def running(*checks: Check, guard_targets: tuple[str, ...] = ()) -> AsyncIterator[Service]:
    async with Client() as client:
        service = Service(
            client, None, lambda views: Metrics("test", views), random.Random(1), Memory()
        )
        service.apply(Config(checks, guard_targets=guard_targets))
        async with service_at_work(service):
            yield service


@contextlib.asynccontextmanager
async def service_at_work(service: Service) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(service.run())
        try:
            yield
        finally:
            service.stop()
            await task


async def until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"never came: {what}")


def state(service: Service, name: str) -> State:
    return next(view.state for view in service.views() if view.check.name == name)


def web(port: int, name: str = "w", **changes: object) -> Check:
    changes.setdefault("interval", 0.05)
    return web_check(
        f"http://127.0.0.1:{port}/", name=name, confirm=FAST, timeout=LIMITS, **changes
    )


async def test_an_outage_begins_and_ends_with_its_server() -> None:
    async with serving(OK) as port:
        check = web(port)
        async with running(check) as service:
            await until(lambda: state(service, "w") is State.UP, "up")
    # The port is closed now.
    async with running(check) as service:
        await until(lambda: state(service, "w") is State.DOWN, "down")
        (view,) = service.views()
        (outage,) = view.outages
        assert outage.ended is None
        assert outage.reason == "connect"


async def test_an_unchanged_check_keeps_everything_over_a_reload() -> None:
    async with serving(OK) as port:
        kept, gone = web(port, "kept"), web(port, "gone")
        async with running(kept, gone) as service:
            await until(lambda: all(v.state is State.UP for v in service.views()), "both up")
            before = next(v for v in service.views() if v.check.name == "kept")
            service.apply(Config((kept, web(port, "new")), guard_targets=()))
            names = {view.check.name for view in service.views()}
            assert names == {"kept", "new"}
            after = next(v for v in service.views() if v.check.name == "kept")
            assert after.since == before.since
            assert state(service, "new") is State.UNKNOWN
            text = service.metrics.render("")[0].decode()
            assert 'check="gone"' not in text
            assert 'aichat_probes_total{check="kept"' in text
            await until(lambda: state(service, "new") is State.UP, "new up")


async def test_a_check_that_changed_in_passing_keeps_its_state_and_one_that_moved_does_not() -> (
    None
):
    async with serving(OK) as port, serving(OK) as other, running(web(port)) as service:
        await until(lambda: state(service, "w") is State.UP, "up")
        service.apply(Config((web(port, interval=0.07, slo=0.9),), guard_targets=()))
        assert state(service, "w") is State.UP
        service.apply(Config((web(other),), guard_targets=()))
        assert state(service, "w") is State.UNKNOWN


async def test_a_keyless_check_is_limited_while_the_api_answers() -> None:
    async with serving(always(head(401) + END)) as port:
        check = chat_check(
            f"http://127.0.0.1:{port}/v1",
            mode=Mode.REACHABILITY,
            key_name="ACME_KEY",
            timeout=LIMITS,
            reachability=Reachability(0.05, f"http://127.0.0.1:{port}/"),
        )
        async with running(check) as service:
            await until(lambda: state(service, "c") is State.LIMITED, "limited")
            assert "aichat_check_up{" not in service.metrics.render("")[0].decode()


async def test_a_slow_check_delays_no_other() -> None:
    async with serving(always(b"", hold=True)) as slow, serving(OK) as port:
        hanging = [web(slow, f"slow{n}") for n in range(20)]
        async with running(*hanging, web(port, "quick")) as service:
            await until(lambda: state(service, "quick") is State.UP, "quick is up")
            assert {state(service, check.name) for check in hanging} == {State.UNKNOWN}


async def test_a_stop_lets_running_attempts_finish() -> None:
    answered = asyncio.Event()

    async def slowly(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answered.set()
        await asyncio.sleep(0.05)
        writer.write(head(200) + END)

    async with serving(slowly) as port:
        async with running(web(port, interval=60.0)) as service:
            await asyncio.wait_for(answered.wait(), 5)
            assert service.ready
            service.stop()
            assert not service.ready
        assert state(service, "w") is State.UP


async def test_a_stop_does_not_wait_for_a_hanging_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "DRAIN", 0.05)
    asked = asyncio.Event()

    async def hang(
        _request: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter
    ) -> None:
        asked.set()
        await reader.read()

    async with serving(hang) as port:
        limits = replace(LIMITS, first_byte=30, total=60)
        check = replace(web(port), timeout=limits)
        async with asyncio.timeout(5), running(check) as service:
            await asked.wait()
        assert state(service, "w") is State.UNKNOWN


async def test_a_bug_in_one_round_stops_neither_that_check_nor_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(OK) as port, running(web(port, "a"), web(port, "b")) as service:
        observe = service.metrics.observe
        broken = []

        def once_broken(check: Check, probe: object) -> None:
            if check.name == "a" and not broken:
                broken.append(probe)
                raise ZeroDivisionError
            observe(check, probe)  # type: ignore[arg-type]

        monkeypatch.setattr(service.metrics, "observe", once_broken)
        await until(lambda: bool(broken), "the bug")
        text = 'aichat_probes_total{check="a"'
        await until(
            lambda: any(
                line.startswith(text) and not line.endswith(" 0.0")
                for line in service.metrics.render("")[0].decode().splitlines()
            ),
            "the check going on",
        )
    assert "a bug of ours in a round" in caplog.text


async def test_the_next_round_is_planned_from_the_plan_of_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plans: list[tuple[float, float]] = []

    def planned(check: Check, state: State, phase: float, started: float, now: float) -> float:
        plans.append((phase, started))
        return started + 0.02

    monkeypatch.setattr(service_module, "next_start", planned)
    async with serving(OK) as port, running(web(port)):
        await until(lambda: len(plans) >= 4, "four rounds")
    assert len({phase for phase, _ in plans}) == 1
    # Not relative: a machine that has been up for weeks has a large monotonic clock.
    since_first = [started - plans[0][1] for _, started in plans[:4]]
    assert since_first == pytest.approx([0.0, 0.02, 0.04, 0.06], abs=1e-6)


async def test_maintenance_holds_from_the_start_and_ends_when_its_window_shuts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_module, "HOUSEKEEPING", 0.01)
    at = now().wall
    window = Window(start=at - 60, end=at + 60)
    async with serving(OK) as port, running(web(port, maintenance=(window,))) as service:
        assert state(service, "w") is State.MAINTENANCE
        over = Window(start=at - 60, end=at - 1)
        service.apply(Config((web(port, maintenance=(over,)),), guard_targets=()))
        await until(lambda: state(service, "w") is State.UP, "the end of it")
        service.apply(Config((web(port, maintenance=(window,)),), guard_targets=()))
        await until(lambda: state(service, "w") is State.MAINTENANCE, "the next one")


async def test_a_removed_check_is_no_witness_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[str] = []
    async with serving(OK) as port, running(web(port, "a"), web(port, "b")) as service:
        monkeypatch.setattr(service._rounds, "forget", forgotten.append)
        service.apply(Config((web(port, "a"),), guard_targets=()))
    assert forgotten == ["b"]


async def test_a_stop_begins_no_rechecks() -> None:
    asked = asyncio.Event()

    async def fail(
        _request: bytes, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter
    ) -> None:
        asked.set()
        await asyncio.sleep(0.05)

    async with serving(fail) as port:
        check = replace(web(port), confirm=Confirm(recheck=60.0))
        async with asyncio.timeout(4), running(check):
            await asked.wait()


async def test_what_the_guard_said_is_seen_together_with_what_it_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "is_private", lambda _url: False)
    monkeypatch.setattr(network, "FRESH", 0.0)
    closed, target = free_port(), free_port()
    told: list[str] = []
    async with running(web(closed), guard_targets=(f"tcp://127.0.0.1:{target}",)) as service:
        await until(lambda: "aichat_guard_up 0.0" in rendered(service), "the guard is down")
        monkeypatch.setattr(
            service.metrics, "change", lambda _change: told.append(rendered(service))
        )
        guard = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", target)
        async with guard:
            await until(lambda: state(service, "w") is State.DOWN, "down: the guard answers")
    assert "aichat_guard_up 1.0" in told[0]


async def test_a_guard_that_is_silent_at_the_start_is_soon_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until it has passed once it protects nobody; its targets may only be a moment late."""
    monkeypatch.setattr(network, "FRESH", 0.0)
    monkeypatch.setattr(service_module, "GUARD_SOON", 0.01)
    target = free_port()
    async with (
        serving(OK) as port,
        running(web(port), guard_targets=(f"tcp://127.0.0.1:{target}",)) as service,
    ):
        await until(lambda: "aichat_guard_up 0.0" in rendered(service), "the guard is down")
        guard = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", target)
        async with guard:
            await until(lambda: "aichat_guard_up 1.0" in rendered(service), "the guard is up")


def rendered(service: Service) -> str:
    return service.metrics.render("")[0].decode()

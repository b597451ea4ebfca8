"""What a service remembers over its end: outages, streaks, and what lapses when nobody looks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from unittest import mock

import pytest

from monitor.judge import state
from monitor.judge.lapse import lapsed
from monitor.judge.resume import Saved, identity
from monitor.judge.track import Track, begin
from monitor.ledger import Ledger, Reader, Recalled
from monitor.ledger.schema import FILE
from monitor.model import (
    Attempt,
    Check,
    Config,
    Moment,
    Outage,
    OutageSeries,
    Reason,
    State,
    Verdict,
)
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.run import service as service_module
from monitor.run.memory import Memory
from monitor.run.service import Service
from monitor.show.metrics import Metrics
from monitor.simulator import SimulatedProvider
from tests.detecting import Seen
from tests.ledgers import CHECK, Clock, attempt_of
from tests.serving import END, always, free_port, head, serving
from tests.test_cli import ROOT, checks, environment, running, until
from tests.test_service import OK, service_at_work, web
from tests.test_service import state as state_of
from tests.test_service import until as happens
from tests.virtual import VirtualTime, run

BAD = always(head(500) + END)


@contextlib.asynccontextmanager
async def remembering(folder: Path, *watched: Check) -> AsyncIterator[Service]:
    """A service with its ledger, from start to a clean end, as `monitor run` makes it."""
    ledger = Ledger(folder, now, 1e9)
    memory = Memory(ledger)
    memory.recall(watched, now())
    async with Client() as client:
        service = Service(
            client, None, lambda views: Metrics("test", views), random.Random(1), memory
        )
        service.apply(Config(watched, guard_targets=(), retention=1e9))
        async with service_at_work(service):
            yield service
    ledger.close()


def kept(folder: Path) -> Sequence[Outage]:
    with Reader(folder / FILE) as ledger:
        return ledger.outages()


async def test_an_outage_goes_on_over_a_restart_and_ends_after_it(tmp_path: Path) -> None:
    good = False

    async def answer(
        request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await (OK if good else BAD)(request, reader, writer)

    async with serving(answer) as port:
        check = web(port)
        async with remembering(tmp_path, check) as service:
            await happens(lambda: state_of(service, "w") is State.DOWN, "down")
            (before,) = next(iter(service.views())).outages
        async with remembering(tmp_path, check) as service:
            assert state_of(service, "w") is State.DOWN, "the last evidence is seconds old"
            (after,) = next(iter(service.views())).outages
            assert (after.id, after.started.wall) == (before.id, before.started.wall)
            told = service.metrics.render("")[0].decode()
            counts = [line for line in told.splitlines() if line.startswith("aichat_outages_total")]
            assert [line.split()[-1] for line in counts] == ["0.0"], "counters begin anew"
            good = True
            await happens(lambda: state_of(service, "w") is State.UP, "up")
    (outage,) = kept(tmp_path)
    assert outage.id == before.id
    assert outage.ended is not None
    assert outage.end_known


async def test_a_check_that_is_removed_takes_its_open_outage_along(tmp_path: Path) -> None:
    async with (
        serving(BAD) as port,
        remembering(tmp_path, web(port), web(port, "other")) as service,
    ):
        await happens(lambda: state_of(service, "w") is State.DOWN, "down")
        service.apply(Config((web(port, "other"),), guard_targets=()))
    (outage,) = (one for one in kept(tmp_path) if one.check == "w")
    assert outage.ended is not None
    assert not outage.end_known


async def test_ended_outages_are_shown_after_a_restart(tmp_path: Path) -> None:
    async with serving(BAD) as port:
        async with remembering(tmp_path, web(port)) as service:
            await happens(lambda: state_of(service, "w") is State.DOWN, "down")
            service.apply(Config((), guard_targets=()))
        async with remembering(tmp_path, web(port)) as service:
            (outage,) = next(iter(service.views())).outages
            assert outage.ended is not None
            text = service.metrics.render("")[0].decode()
            assert f'outage="{outage.id}"' in text
            none = OutageSeries(keep=0.0)
            service.apply(Config((web(port),), guard_targets=(), outage_series=none))
            assert outage.id not in service.metrics.render("")[0].decode()


async def test_rounds_are_kept(tmp_path: Path) -> None:
    async with serving(OK) as port, remembering(tmp_path, web(port)) as service:
        await happens(lambda: state_of(service, "w") is State.UP, "up")
    with Reader(tmp_path / FILE) as ledger:
        results = list(ledger.probes())
        assert results
        assert {one.check for one in results} == {"w"}
        assert sum(day.probes for day in ledger.days()) == len(results)


# ------------------------------------------------------------------------------------- lapses


def played(letters: str, clock: Clock) -> Track:
    track = begin(clock())
    for letter in letters:
        seen = attempt_of(CHECK, letter, clock())
        track, _ = state.attempt_ends(state.attempt_begins(track, clock()), CHECK, seen, first=True)
        clock.seconds += 60.0
    return track


@pytest.mark.parametrize(
    ("letters", "ends"),
    [
        ("UDDD" + "N" * 70, True),
        ("UDDD" + "N" * 50, False),
        ("UDDD" + "L" * 70, False),
        ("UDDD" + "D" * 70, False),
        ("UDDD" + "N" * 50 + "L" + "N" * 50, False),
        ("U" * 70, False),
    ],
)
def test_an_outage_out_of_sight_for_over_an_hour_ends(letters: str, *, ends: bool) -> None:
    clock = Clock()
    before = played(letters, clock)
    after, lost = lapsed(before, CHECK, clock())
    assert (lost is not None) is ends
    assert after.state is before.state
    if lost is None:
        assert after == before
        return
    assert before.outage is not None
    assert lost.id == before.outage.id
    assert not lost.end_known
    assert lost.ended == before.since, "unknown began where the claim of being down ended"
    assert after.outage is None
    assert lapsed(after, CHECK, clock()) == (after, None), "once"


def test_after_a_lapse_nothing_is_confirmed_by_failures_from_before() -> None:
    """Our own stalls say nothing of the endpoint, and so they break no streak."""
    clock = Clock()
    track, lost = lapsed(played("UDDD" + "V" * 70, clock), CHECK, clock())
    assert lost is not None
    track, change = state.attempt_ends(track, CHECK, attempt_of(CHECK, "D", clock()), first=True)
    assert change is None
    assert track.outage is None


def test_a_running_service_ends_an_outage_that_it_cannot_see_any_more() -> None:
    """Three failures, and then our own network is gone for two hours."""
    seen = Seen([])

    async def attempt(_client: Client, check: Check, _rng: random.Random) -> Attempt:
        began = now()
        await asyncio.sleep(1.0)
        bad = (Verdict.FAILED, Reason.SERVER_ERROR)
        ours = (Verdict.VOID, Reason.LOCAL_NETWORK)
        return Attempt(check.name, began, now(), *(bad if began.mono < 300.0 else ours))

    async def main(_clocks: VirtualTime) -> tuple[State, Sequence[Outage]]:
        async with Client() as client:
            service = Service(
                client, None, lambda views: Metrics("test", views), random.Random(1), Memory(seen)
            )
            service.apply(Config((web(9, interval=60.0),), guard_targets=(), retention=7.0))
            async with service_at_work(service):
                await asyncio.sleep(7_200.0)
            (view,) = service.views()
            return view.state, view.outages

    with mock.patch.object(service_module, "attempt", attempt):
        said, shown = run(main)
    assert said is State.UNKNOWN
    (lost,) = seen.lost
    assert lost.ended is not None
    assert not lost.end_known
    assert lost.ended.mono == pytest.approx(300.0, abs=61.0)
    assert shown == (lost,), "it is not open any more, and told once"
    assert seen.retention == 7.0


async def test_a_check_that_went_between_two_runs_is_gone_for_good(tmp_path: Path) -> None:
    async with serving(BAD) as port:
        async with remembering(tmp_path, web(port)) as service:
            await happens(lambda: state_of(service, "w") is State.DOWN, "down")
        async with remembering(tmp_path):
            pass
        (ended,) = kept(tmp_path)
        assert not ended.end_known
        async with remembering(tmp_path, web(port)) as service:
            assert state_of(service, "w") is State.UNKNOWN, "it starts from nothing"
            (shown,) = next(iter(service.views())).outages
            assert shown.ended is not None


def test_an_outage_that_lapsed_between_two_runs_is_told_without_a_change() -> None:
    """It was `unknown` before, for our own network was gone, and so it is after."""
    clock = Clock()
    track = played("UDDD" + "N" * 70, clock)
    told = Seen([])
    saved = [Saved(CHECK.labels3, identity(CHECK), track)]
    with mock.patch.object(told, "recall", lambda _: Recalled(saved)):
        memory = Memory(told)
        memory.recall([CHECK], clock())
    assert told.changes == []
    (lost,) = told.lost
    assert memory.outages(CHECK) == (lost,)
    assert memory.track(CHECK, clock()).outage is None


def test_what_fails_after_a_lapse_is_an_outage_of_its_own() -> None:
    clock = Clock()
    track, lost = lapsed(played("UDDD" + "N" * 70, clock), CHECK, clock())
    assert lost is not None
    opened: list[Outage] = []
    for letter in "DDD":
        seen = attempt_of(CHECK, letter, clock())
        track, change = state.attempt_ends(track, CHECK, seen, first=True)
        opened += [change.outage] if change and change.outage else []
        clock.seconds += 60.0
    (second,) = opened
    assert second.id != lost.id
    assert lost.ended is not None
    assert second.started.wall > lost.ended.wall


# ----------------------------------------------------------------------------- the whole product


@pytest.fixture
async def provider() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider() as simulated:
        yield simulated


async def test_a_damaged_ledger_is_set_aside_counted_and_said(
    provider: SimulatedProvider, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / FILE).write_bytes(b"SQLite format 3\0" + b"garbage" * 1000)
    config = checks(tmp_path / "c.yaml", provider.url, "healthy")
    async with running("run", "--config", str(config), "--data-dir", str(data)) as (process, url):
        text = await until(f"{url}/metrics", lambda t: 'state="up"} 1.0' in t)
        assert "aichat_ledger_errors_total 1.0" in text
        process.terminate()
        out, _ = await process.communicate()
    assert out.decode().count("the ledger is damaged") == 1
    assert len(list(data.glob(f"{FILE}.corrupt-*"))) == 1
    with Reader(data / FILE) as ledger:
        assert list(ledger.probes())


def test_a_wall_clock_that_was_stepped_bends_no_outage() -> None:
    """By an hour in either direction, in the middle of it."""
    for step in (3600.0, -3600.0):
        clock = Clock()
        track = played("UDDD", clock)
        assert track.outage is not None
        jumped = Moment(clock().wall + step, clock().mono)
        change = None
        for _ in range(2):
            seen = attempt_of(CHECK, "U", jumped)
            track, change = state.attempt_ends(track, CHECK, seen, first=True)
            jumped = jumped.plus(60.0)
        assert change is not None and change.outage is not None
        assert change.outage.seconds(jumped) == pytest.approx(180.0)
        assert track.seconds[State.DOWN] == pytest.approx(180.0)


async def test_a_check_that_moves_and_comes_back_has_its_outages(tmp_path: Path) -> None:
    async with (
        serving(BAD) as bad,
        serving(OK) as good,
        remembering(tmp_path, web(bad, provider="p")) as service,
    ):
        await happens(lambda: state_of(service, "w") is State.DOWN, "down")
        service.apply(Config((web(good, provider="p"),), guard_targets=()))
        (outage,) = next(iter(service.views())).outages
        assert not outage.end_known, "the same labels, but another question"
        service.apply(Config((), guard_targets=()))
        service.apply(Config((web(good, provider="p"),), guard_targets=()))
        assert [one.id for one in next(iter(service.views())).outages] == [outage.id]


@pytest.mark.parametrize(
    "mount",
    ["mount -t tmpfs -o ro none {data}", "mount -t tmpfs -o size=4k,nr_inodes=1 none {data}"],
    ids=["read-only", "full"],
)
async def test_a_disk_in_trouble_at_the_start_stops_nobody(
    provider: SimulatedProvider, tmp_path: Path, mount: str
) -> None:
    trial = ["unshare", "--mount", "sh", "-c"]
    data = tmp_path / "data"
    data.mkdir()
    mounting = mount.format(data=data)
    if (
        shutil.which("unshare") is None
        or subprocess.run([*trial, mounting], check=False).returncode
    ):
        pytest.skip("no right to mount")
    config = checks(tmp_path / "c.yaml", provider.url, "healthy")
    url = f"http://127.0.0.1:{free_port()}"
    words = [sys.executable, "-m", "monitor", "run", "--config", str(config), "--data-dir", str(data),
             "--listen", url.removeprefix("http://")]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *trial, f'{mounting} && exec "$@"', "sh", *words,
        env=environment(), cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        text = await until(f"{url}/metrics", lambda t: 'state="up"} 1.0' in t)
        assert "aichat_ledger_errors_total 0.0" not in text
        process.terminate()
        _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    assert err.decode().count("cannot be locked") == 1
    assert err.decode().count("the ledger cannot be written; probing goes on") == 1

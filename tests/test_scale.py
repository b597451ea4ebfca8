"""Thousands of checks: work in slices, sums that do not grow with the square, nothing in vain.

Counts and order are asserted here, never times.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monitor import config as configuration
from monitor.judge.company import TOGETHER, Company
from monitor.judge.keys import GOOD_FOR, KeyRing
from monitor.judge.reply import Stamp
from monitor.judge.track import begin
from monitor.model import (
    NETWORK_REASONS,
    Attempt,
    Check,
    Config,
    Moment,
    Reason,
    Secret,
    State,
    Verdict,
)
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.probe.consumers import PAGE_LIMIT, PageConsumer
from monitor.probe.deadlines import Deadlines
from monitor.run import service as service_module
from monitor.run.calm import PATIENCE, in_background
from monitor.run.memory import Memory
from monitor.run.reload import Reloader
from monitor.run.rounds import Watch
from monitor.run.service import HOUSEKEEPING, Service
from monitor.run.tiers import Tiers
from monitor.show.metrics import Metrics
from tests.making import QUICK, chat_check, web_check
from tests.test_service import service_at_work, until

NOWHERE = "http://127.0.0.1:9/"
MANY = 250
AT_ONCE = 50
"""Checks that may be dealt with in one turn of the event loop."""


def checks(count: int, **changes: object) -> tuple[Check, ...]:
    changes.setdefault("interval", 3600.0)
    return tuple(web_check(NOWHERE, name=f"w{number}", **changes) for number in range(count))


def service_of(client: Client) -> Service:
    return Service(client, None, lambda views: Metrics("t", views), random.Random(1), Memory())


# ------------------------------------------------------------------------------- in slices


async def test_a_reload_gives_the_event_loop_its_turn_every_few_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Client() as client:
        service = service_of(client)
        service.apply(Config(checks(MANY), guard_targets=()))
        async with service_at_work(service):
            await until(lambda: len(service._tasks) == MANY, "all are at work")
            handled: list[int] = [0]
            add = service.metrics.add

            def counting(check: Check) -> None:
                handled[-1] += 1
                add(check)

            monkeypatch.setattr(service.metrics, "add", counting)
            moved = tuple(replace(check, url=f"{NOWHERE}moved") for check in checks(MANY))
            following = asyncio.get_running_loop().create_task(
                service.follow(Config(moved, guard_targets=()))
            )
            while not following.done():
                await asyncio.sleep(0)
                handled.append(0)
            await following
            assert sum(handled) == MANY
            assert max(handled) <= AT_ONCE


async def test_time_passes_for_some_checks_at_a_time_and_for_all_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    turns: list[set[str]] = [set()]

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        turns.append(set())
        if sum(pauses) > 1.01 * HOUSEKEEPING:
            raise asyncio.CancelledError

    async with Client() as client:
        service = service_of(client)
        service.apply(Config(checks(MANY), guard_targets=()))
        monkeypatch.setattr(
            service, "_pass_time", lambda watch, _at: turns[-1].add(watch.check.name)
        )
        monkeypatch.setattr(service_module.asyncio, "sleep", sleep)
        with pytest.raises(asyncio.CancelledError):
            await service._housekeeping()
    assert max(map(len, turns)) <= AT_ONCE
    assert len(set().union(*turns)) == MANY
    assert sum(pauses[:-1]) == pytest.approx(HOUSEKEEPING)


async def test_first_rounds_are_planned_when_all_is_set_up_and_launched_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Client() as client:
        service = service_of(client)
        service.apply(Config(checks(MANY), guard_targets=()))
        ready = now().mono
        async with service_at_work(service):
            await until(lambda: len(service._tasks) == MANY, "all are at work")
            firsts = [service._watches[name].first for name in service._tasks]
    assert firsts[0] >= ready
    assert firsts == sorted(firsts)


async def test_two_reloads_do_not_interleave(tmp_path: Path) -> None:
    steps: list[str] = []
    configs: Iterator[Config] = iter([Config((), ()), Config((), ())])

    async def apply(_config: Config) -> None:
        for step in ("begin", "end"):
            steps.append(step)
            await asyncio.sleep(0)

    done: list[bool] = []
    reloader = Reloader(tmp_path, lambda: next(configs), apply, done.append, Config((), ()))
    await asyncio.gather(reloader.reload(), reloader.reload())
    assert steps == ["begin", "end"] * 2
    assert done == [True, True]


async def test_while_a_file_is_loaded_the_event_loop_waits_for_a_moment_only() -> None:
    usual = sys.getswitchinterval()
    before = 0.004
    sys.setswitchinterval(before)
    assert await in_background(sys.getswitchinterval) == pytest.approx(PATIENCE)
    assert sys.getswitchinterval() == pytest.approx(before)

    def broken() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await in_background(broken)
    assert sys.getswitchinterval() == pytest.approx(before)
    sys.setswitchinterval(usual)


# ------------------------------------------------------------------------------ not in vain


def test_a_check_that_did_not_change_is_the_same_object_after_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "checks.yaml"
    entry = "  - {{name: {}, type: web, url: 'http://127.0.0.1:9/{}'}}\n"
    path.write_text("checks:\n" + entry.format("kept", 1) + entry.format("moved", 2))
    before = configuration.load(path, {})
    path.write_text("checks:\n" + entry.format("moved", 3) + entry.format("kept", 1))
    moved, kept = configuration.load(path, {}, before=before).checks
    assert kept is before.checks[0]
    assert moved.url.endswith("/3")


def test_the_service_imports_no_vendors_client() -> None:
    code = "import sys, monitor.cli, monitor.run.app, monitor.once; print(*sys.modules)"
    run = [sys.executable, "-c", code]
    modules = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    vendors = [
        "openai",
        "anthropic",
        "google.genai",
        "cohere",
        "boto3",
        "botocore",
        "ollama",
        "httpx",
        "httpx2",
    ]
    assert not set(vendors) & set(modules)
    assert not [name for name in modules if name.startswith("monitor.simulator")]


def test_a_command_that_serves_nothing_leaves_http_alone() -> None:
    run = [sys.executable, "-c", "import sys, monitor.cli; print(*sys.modules)"]
    modules = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert not {"aiohttp", "jinja2", "prometheus_client", "tenacity"} & set(modules)


@pytest.mark.parametrize(
    ("status", "wanted", "kept"),
    [(200, False, 0), (200, True, PAGE_LIMIT), (403, False, PAGE_LIMIT)],
)
def test_a_page_is_read_to_its_limit_and_kept_where_somebody_looks_into_it(
    status: int, wanted: bool, kept: int
) -> None:
    consumer, deadlines = PageConsumer(wanted=wanted), Deadlines(QUICK, 0.0, False)
    consumer.head(status, {}, deadlines)
    stamp = Stamp(0.0, 0.0, 0.0)
    piece = b"x" * (PAGE_LIMIT // 4 + 1)
    assert [consumer.body(piece, stamp, deadlines) for _ in range(4)] == [False, False, False, True]
    assert len(consumer.page) == kept


# ------------------------------------------------------------------------------ not squared


def family(count: int) -> list[Watch]:
    watches = [Watch(chat_check(name=f"c{n}"), begin(now()), 0.0) for n in range(count)]
    for watch in watches:
        watch.track = replace(watch.track, state=State.UP)
        watch.waiting = True
    return watches


def test_in_an_outage_of_many_siblings_each_is_looked_at_about_once() -> None:
    watches = family(300)

    async def look(_check: Check) -> Attempt:
        raise AssertionError

    tiers = Tiers(look, {watch.check.name: watch for watch in watches}, random.Random(1))
    tiers.trouble(watches[0])
    assert sum(watch.wake.is_set() for watch in watches) == len(watches) - 1
    provider = tiers._providers["p"]
    assert provider.left == [watches[0]]
    tiers.trouble(watches[1])
    assert watches[0].wake.is_set()
    # Nobody is left to be looked at, until the shortest interval has passed.
    assert provider.left == []
    tiers.trouble(watches[2])
    assert provider.left == []


def test_who_is_due_before_an_extra_round_sleeps_on() -> None:
    watches = family(300)
    for watch in watches:
        watch.due = now().mono + 1.0

    async def look(_check: Check) -> Attempt:
        raise AssertionError

    tiers = Tiers(look, {watch.check.name: watch for watch in watches}, random.Random(1))
    tiers.trouble(watches[0])
    woken = [watch for watch in watches if watch.wake.is_set()]
    assert woken
    assert all(watch.extra < watch.due for watch in woken)
    assert len(woken) < 100


ANSWERS: tuple[tuple[Verdict, Reason | None], ...] = (
    (Verdict.OK, None),
    (Verdict.LIMITED, Reason.AUTH),
    (Verdict.LIMITED, Reason.AUTH),
    (Verdict.LIMITED, Reason.AUTH),
    (Verdict.LIMITED, Reason.RATE_LIMITED),
    (Verdict.FAILED, Reason.SERVER_ERROR),
    (Verdict.FAILED, Reason.CONNECT),
    (Verdict.FAILED, Reason.TRUNCATED),
    (Verdict.FAILED, Reason.TRUNCATED),
    (Verdict.VOID, Reason.LOCAL_NETWORK),
)


def story(seed: int) -> Iterator[tuple[Check, Attempt] | str]:
    """Attempts at a handful of checks that share keys, hosts and providers; a name is removed."""
    rng = random.Random(seed)
    moods = rng.choices(range(len(ANSWERS)), k=3)
    at = 0.0
    for _ in range(400):
        at += rng.choice([0.1, 5.0, 30.0, 70.0, GOOD_FOR / 20])
        number = rng.randrange(7)
        if rng.random() < 0.04:
            yield f"c{number}"
            continue
        key = Secret(f"key-{number % 4 if rng.random() < 0.95 else 9}")
        url = f"http://host-{number % 3}/v1"
        check = chat_check(url, name=f"c{number}", provider=f"p{number % 2}", api_key=key)
        answer = ANSWERS[rng.choice(moods) if rng.random() < 0.8 else rng.randrange(10)]
        moment = Moment(1e9 + at, at)
        yield check, Attempt(check.name, moment, moment, *answer, "said")


def refused_by_definition(heard: dict[str, tuple[Check, Attempt, float | None]], own: Check) -> int:
    """The definition of an outage of keys, over all that was heard last."""
    mine = [one for one in heard.values() if one[0].provider == own.provider]
    untold = {Verdict.FAILED}
    if any(a.verdict not in untold and a.reason is not Reason.AUTH for _, a, _ in mine):
        return 0
    at = heard[own.name][1].ended.mono
    vouched = {c.api_key for c, _, good in mine if good is not None and at - good <= GOOD_FOR}
    refused = {
        c.api_key
        for c, a, _ in mine
        if a.reason is Reason.AUTH and at - a.ended.mono <= 2 * c.interval
    }
    both = vouched & refused
    return len(both) if own.api_key in both else 0


@pytest.mark.parametrize("seed", range(40))
def test_keys_are_refused_as_the_definition_says(seed: int) -> None:
    ring = KeyRing()
    heard: dict[str, tuple[Check, Attempt, float | None]] = {}
    for step in story(seed):
        if isinstance(step, str):
            ring.forget(step)
            heard.pop(step, None)
            continue
        check, attempt = step
        seen = ring.judged(check, attempt)
        if attempt.verdict is Verdict.VOID:
            continue
        before = heard.get(check.name)
        good = before[2] if before and before[0].api_key == check.api_key else None
        good = attempt.ended.mono if attempt.verdict is Verdict.OK else good
        heard[check.name] = check, attempt, good
        outage = attempt.reason is Reason.AUTH and refused_by_definition(heard, check) >= 2
        assert (seen.reason is Reason.AUTH_OUTAGE) is outage


@pytest.mark.parametrize("seed", range(40))
def test_failures_are_in_company_as_the_definition_says(seed: int) -> None:
    company = Company()
    failing: dict[str, tuple[Check, float]] = {}
    for step in story(seed):
        if isinstance(step, str):
            company.forget(step)
            failing.pop(step, None)
            continue
        check, attempt = step
        suspect = company.suspect(check, attempt)
        at = attempt.ended.mono
        if attempt.verdict is not Verdict.FAILED:
            failing.pop(check.name, None)
        alone = attempt.reason is not Reason.TRUNCATED or not any(
            at - when <= TOGETHER and other.provider != check.provider and other.url != check.url
            for other, when in failing.values()
        )
        if attempt.reason in NETWORK_REASONS or attempt.reason is Reason.TRUNCATED:
            failing[check.name] = check, at
        assert suspect is (attempt.reason in NETWORK_REASONS or not alone)

"""Notifications at work: real webhooks good and bad, Apprise itself, and no harm to the probes."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import random
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from unittest import mock

import pytest

from monitor.config import notify as configured
from monitor.judge.track import Track, begin
from monitor.model import Attempt, Check, Config, NotifyTarget, Reason, Secret, State, Verdict
from monitor.notify import book, send
from monitor.notify.channel import ROOM, TRIES, Channel
from monitor.notify.message import Message, message, trial
from monitor.notify.notifier import Notifier
from monitor.notify.plan import Notice, Scene, Told, step
from monitor.notify.send import Outcome, Sender
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.run import service as service_module
from monitor.run.memory import Memory
from monitor.run.service import Service
from monitor.show.metrics import Metrics
from tests.detecting import Seen
from tests.making import chat_check
from tests.noticing import WALL, World, outage_of
from tests.serving import always, free_port, serving
from tests.test_config import errors
from tests.virtual import VirtualTime, run

ROOT = Path(__file__).parent.parent
TOKEN = "canary-of-the-address"
OK, ERROR = (200, {}), (503, {})
Answer = tuple[int, dict[str, str]]


def target(url: str, kind: str = "webhook", **more: object) -> NotifyTarget:
    return replace(NotifyTarget("ops", kind, Secret(url)), **more)  # type: ignore[arg-type]


def opened(**changes: object) -> Notice:
    """One message that is due; `changes` are those of its outage."""
    world = World(checks=2)
    world.open = {"chat": outage_of("chat", 0, **changes)}
    world.look()
    return world.wait(60).notices[0]


class Receiver:
    """Answers webhooks with what is in `answers`, the last of them for ever; keeps what it got."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.got: list[bytes] = []

    async def __call__(
        self, request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.got.append(request)
        status, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        lines = [
            f"HTTP/1.1 {status} X",
            "Content-Length: 0",
            *(f"{k}: {v}" for k, v in headers.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in self.got]


class Post:
    """A channel at work: what it was asked to wait, and what became of each message."""

    def __init__(self, to: NotifyTarget, send: Callable[..., object]) -> None:
        self.pauses: list[float] = []
        self.results: list[str | None] = []
        write = functools.partial(message, monitor="1.0")
        self.channel = Channel(to, send, write, self.settled, random.Random(1))  # type: ignore[arg-type]
        self.channel._sleep = self.sleep  # type: ignore[method-assign]

    def settled(self, _target: NotifyTarget, _notice: Notice, result: str | None) -> None:
        self.results.append(result)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def deliver(self, *notices: Notice) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.channel.run())
            for notice in notices:
                self.channel.put(notice)
            await self.channel.idle.wait()
            task.cancel()


async def delivered(port: int, **more: object) -> Post:
    async with Sender(lambda: WALL) as sender:
        post = Post(target(f"http://127.0.0.1:{port}/{TOKEN}", **more), sender.send)
        await post.deliver(opened())
    return post


# ------------------------------------------------------------------------------------- webhooks


async def test_a_webhook_gets_the_documented_json() -> None:
    receiver = Receiver(OK)
    async with serving(receiver) as port:
        post = await delivered(port)
    assert (post.results, post.pauses) == (["delivered"], [])
    head = receiver.got[0].partition(b"\r\n\r\n")[0].decode()
    assert head.startswith(f"POST /{TOKEN} HTTP/1.1")
    assert "Content-Type: application/json" in head and "ai-chat-outage-monitor/" in head
    (body,) = receiver.bodies
    assert body == {
        "version": 1, "id": "chat-0/1", "event": "opened", "target": "ops", "monitor": "1.0",
        "sent": "2026-11-18T11:06:50.000Z",
        "title": "openai: 1 of 2 checks is down",
        "text": "chat (gpt): It says that it is overloaded (since 18 Nov 2026, 11:06 UTC)",
        "incident": {
            "id": "chat-0", "provider": "openai", "started": "2026-11-18T11:06:40.000Z",
            "ended": None, "end_known": None, "seconds": 10.0, "checks_down": 1,
            "checks_watched": 2, "checks": ["chat"],
        },
        "outages": [
            {"id": "chat-0", "check": "chat", "provider": "openai", "model": "gpt",
             "started": body["incident"]["started"], "ended": None, "seconds": 10.0,  # type: ignore[index]
             "reason": "overloaded", "detail": None},
        ],
    }  # fmt: skip
    told = (ROOT / "docs/notifications.md").read_text("utf-8")
    example = json.loads(re.findall(r"```json\n(.*?)```", told, re.DOTALL)[0])
    assert keys(example) == keys(body)


def keys(value: object) -> object:
    """The shape of some JSON."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return [keys(inner) for inner in value[:1]] if isinstance(value, list) else None


@pytest.mark.parametrize(
    ("answers", "results", "pauses"),
    [
        ([ERROR, OK], ["delivered"], [(0.8, 1.2)]),
        ([ERROR, (429, {}), OK], ["delivered"], [(0.8, 1.2), (1.6, 2.4)]),
        ([(429, {"Retry-After": "7"}), OK], ["delivered"], [(7, 7)]),
        ([(429, {"Retry-After": "86400"}), OK], ["delivered"], [(300, 300)]),
        ([(429, {"Retry-After": "nan"}), OK], ["delivered"], [(0, 0)]),
        ([(429, {"Retry-After": "soon"}), OK], ["delivered"], [(0.8, 1.2)]),
        (
            [(503, {"Retry-After": format_datetime(datetime.fromtimestamp(WALL + 20, UTC))}), OK],
            ["delivered"],
            [(20, 20)],
        ),
        ([(404, {})], ["failed"], []),
        ([(302, {"Location": "http://127.0.0.1:1/"})], ["failed"], []),
    ],
)
async def test_what_each_answer_of_a_webhook_leads_to(
    answers: list[Answer], results: list[str], pauses: list[tuple[float, float]]
) -> None:
    receiver = Receiver(*answers)
    async with serving(receiver) as port:
        post = await delivered(port)
    assert post.results == results
    assert len(receiver.got) == len(pauses) + 1
    for pause, (least, most) in zip(post.pauses, pauses, strict=True):
        assert least <= pause <= most


async def test_a_webhook_that_keeps_failing_is_given_up_and_the_address_is_never_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver = Receiver(ERROR)
    async with serving(receiver) as port:
        post = await delivered(port)
    assert (post.results, len(receiver.got)) == (["failed"], TRIES)
    assert 600 < sum(post.pauses) < 1500
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert record.fields["error"] == "HTTP 503"  # type: ignore[attr-defined]
    ours = [one for one in caplog.records if one.name.startswith("monitor")]
    assert TOKEN not in "".join(f"{one.getMessage()} {vars(one)}" for one in ours)


async def test_a_dead_webhook_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    post = await delivered(free_port())
    assert (post.results, len(post.pauses)) == (["failed"], TRIES - 1)
    assert "127.0.0.1" not in str([vars(one) for one in caplog.records])
    (record,) = caplog.records
    assert record.fields["error"] == "no connection (Connection refused)"  # type: ignore[attr-defined]


async def test_a_webhook_that_never_answers_is_given_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(send, "TIMEOUT", 0.05)

    async def hold(_: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(hold) as port, Sender(lambda: WALL) as sender:
        to = target(f"http://127.0.0.1:{port}/")
        outcome = await sender.send(to, trial(to, "1.0", World().now))
    assert outcome == Outcome("no answer within 0.05 s", again=True)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://nothing-here.invalid/", "the name cannot be resolved"),
        ("https://127.0.0.1:{port}/", "no secure connection can be made"),
    ],
)
async def test_why_there_is_no_connection_is_told_in_words(url: str, told: str) -> None:
    async with serving(always(b"no TLS"), raw=True) as port, Sender(lambda: WALL) as sender:
        to = target(url.format(port=port))
        outcome = await sender.send(to, trial(to, "1.0", World().now))
    assert outcome == Outcome(told, again=True)


# -------------------------------------------------------------------------------------- channels


async def test_a_full_queue_drops_the_oldest_and_counts_them() -> None:
    go_on, sent = asyncio.Event(), list[str]()

    async def hang(_target: NotifyTarget, message: Message) -> Outcome:
        await go_on.wait()
        sent.append(message.data["id"])
        return Outcome()

    post, notice = Post(target("http://h/"), hang), opened()
    for number in range(ROOM + 5):
        post.channel.put(replace(notice, number=number))
    assert post.results == ["dropped"] * 5
    go_on.set()
    await post.deliver()
    assert sent == [f"chat-0/{number}" for number in range(5, ROOM + 5)]


async def test_what_a_target_does_not_want_is_settled_without_a_message() -> None:
    receiver = Receiver(OK)
    async with serving(receiver) as port:
        post = await delivered(port, on=("resolved",))
    assert (post.results, receiver.got) == ([None], [])


async def test_at_a_stop_what_cannot_be_delivered_is_left_to_the_next_process() -> None:
    receiver = Receiver(ERROR)
    async with serving(receiver) as port, Sender(lambda: WALL) as sender:
        post = Post(target(f"http://127.0.0.1:{port}/"), sender.send)
        post.channel.stop()
        await post.deliver(opened())
    assert (post.results, len(receiver.got)) == ([], 1)


async def test_a_stop_ends_the_wait_for_the_next_try() -> None:
    tried = asyncio.Event()

    async def failing(_target: NotifyTarget, _message: Message) -> Outcome:
        tried.set()
        return Outcome("HTTP 503", again=True, wait=300.0)

    post = Post(target("http://h/"), failing)
    del post.channel._sleep  # its own
    async with asyncio.TaskGroup() as group:
        task = group.create_task(post.channel.run())
        post.channel.put(opened())
        await tried.wait()
        post.channel.stop()
        await post.channel.idle.wait()
        task.cancel()
    assert post.results == []


async def test_a_bug_of_ours_costs_one_message_only(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    async def buggy(_target: NotifyTarget, message: Message) -> Outcome:
        calls.append(message.event)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        return Outcome()

    post = Post(target("http://h/"), buggy)
    await post.deliver(opened(), opened())
    assert post.results == ["failed", "delivered"]
    assert "a bug of ours" in caplog.text


# --------------------------------------------------------------------------------------- apprise

#: Its plugins are loaded when the first address is added.
through_apprise = pytest.mark.filterwarnings("ignore::DeprecationWarning")
EVIL = "<b>x</b> [click](http://evil) @everyone `rm` **bold** \x1b[2J\u202e a\nb"


@through_apprise
async def test_apprise_sends_plain_text_in_which_nothing_is_markup() -> None:
    receiver = Receiver(OK)
    async with serving(receiver) as port, Sender(lambda: WALL) as sender:
        to = target(f"json://127.0.0.1:{port}/", "apprise")
        text = message(opened(detail=EVIL), to, "1.0")
        assert await sender.send(to, text) == Outcome()
    (body,) = receiver.bodies
    assert body["title"] == "openai: 1 of 2 checks is down"
    said = str(body["message"])
    assert "chat (gpt): It says that it is overloaded" in said
    assert not set("<>[]*@|~`\x1b\u202e") & set(said)
    assert body["type"] == "failure"


@through_apprise
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (503, Outcome("the service did not take it, HTTP 503", again=True)),
        (401, Outcome("the service did not take it, HTTP 401", again=False)),
    ],
)
async def test_what_apprise_could_not_deliver_is_told_by_its_status(
    answer: int, outcome: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver = Receiver((answer, {}))
    async with serving(receiver) as port, Sender(lambda: WALL) as sender:
        to = target(f"json://127.0.0.1:{port}/{TOKEN}", "apprise")
        assert await sender.send(to, trial(to, "1.0", World().now)) == outcome
    # urllib3 names the path at debug level, which the product's log does not show of libraries.
    shown = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert TOKEN not in str([vars(one) for one in shown])


@through_apprise
async def test_an_address_that_apprise_does_not_know_is_not_tried_again() -> None:
    async with Sender(lambda: WALL) as sender:
        to = target(f"nonsense://{TOKEN}", "apprise")
        outcome = await sender.send(to, trial(to, "1.0", World().now))
    assert outcome == Outcome("Apprise does not know such an address", again=False)


@through_apprise
async def test_a_service_that_hangs_holds_one_thread_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(send, "TIMEOUT", 0.2)

    async def hold(_: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(hold) as port, Sender(lambda: WALL) as sender:
        to = target(f"json://127.0.0.1:{port}/", "apprise")
        text = trial(to, "1.0", World().now)
        assert await sender.send(to, text) == Outcome("no answer within 0.2 s", again=True)
        assert await sender.send(to, text) == Outcome("the try before still hangs", again=True)


def test_without_apprise_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configured, "find_spec", lambda _: None)
    said = errors("notify: [{name: a, apprise: 'json://h/'}]\nchecks: [{provider: deepseek}]")
    assert said == [
        "1: notify[0].apprise: Apprise is not installed, expected it: "
        'pip install "ai-chat-outage-monitor[notify]"'
    ]


def test_the_product_starts_without_apprise() -> None:
    code = "import sys, monitor.cli, monitor.run.app; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# -------------------------------------------------------------------------------------- messages


def test_every_event_reads_like_a_sentence() -> None:
    world = World(checks=3, target=replace(target("http://h/"), repeat=3600.0))
    world.down("a").wait(60).down("b", "c").wait(2 * 3600).up("a", "b", "c").wait(60)
    world.down("a").wait(60)
    world.open.clear()
    world.look()
    world.wait(60)
    titles = [message(notice, world.target, "1").title for notice in world.notices]
    assert titles == [
        "openai: 1 of 3 checks is down",
        "openai is down now: all 3 checks",
        "openai is down, still, after 1 h 1 min: all 3 checks",
        "openai has recovered after 2 h 1 min",
        "openai: 1 of 3 checks is down",
        "openai: an outage was lost from sight",
    ]
    first, worse, *_, recovered, _, lost = [
        message(n, world.target, "1").text for n in world.notices
    ]
    assert first == "a (gpt): It says that it is overloaded (since 18 Nov 2026, 11:06 UTC)"
    assert worse.endswith("11:07 UTC)\nSince 18 Nov 2026, 11:06 UTC.")
    assert recovered.endswith("From 18 Nov 2026, 11:06 to 18 Nov 2026, 13:07 UTC.")
    assert "Nobody saw its end" in lost


def test_a_message_about_very_many_checks_stays_short() -> None:
    many = tuple(outage_of(f"c{number}", 0, detail="x" * 5000) for number in range(500))
    _, notice, _ = step(Told(), Scene("p", many, {}, 500), target("http://h/"), World().now)
    assert notice is None
    world = World(checks=500, at=60.0)
    world.open = {outage.check: outage for outage in many}
    world.look()
    said = message(world.wait(60).notices[0], target("http://h/"), "1")
    assert len(said.text) < 8000 and "… and 480 more" in said.text


# ------------------------------------------------------------------------------------ the whole


TAKEN = Outcome()


def notifier_of(folder: Path, sent: list[str], outcome: Outcome = TAKEN) -> Notifier:
    """A notifier whose messages go into `sent`, and whose book needs no thread."""

    async def take(_target: NotifyTarget, message: Message) -> Outcome:
        sent.append(f"{message.event} {message.data['incident']['provider']}")
        return outcome

    notifier = Notifier(folder, now, take, random.Random(1), "1.0")

    async def save() -> None:
        notifier._unsaved.clear()
        book.write(folder / book.FILE, notifier._settled, now())

    notifier._save = save  # type: ignore[method-assign]
    return notifier


CHECKS = [chat_check(name=name, provider=name[0]) for name in ("a1", "a2", "b1")]


def track(check: Check, state: State, started: float | None = None) -> Track:
    found = None if started is None else outage_of(check.name, started, provider=check.provider)
    return replace(begin(now()), state=state, outage=found)


def in_time(story: Callable[[Notifier], object], notifier: Callable[[], Notifier]) -> None:
    """Run `story`, a coroutine function, beside a notifier at work, in virtual time."""

    async def main(_clocks: VirtualTime) -> None:
        one = notifier()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(one.run())
            await story(one)  # type: ignore[misc]
            await one.drain()
            task.cancel()

    run(main)


def test_each_provider_is_one_message_to_each_target_and_counted(tmp_path: Path) -> None:
    sent: list[str] = []
    targets = (
        target("http://h/"),
        replace(target("http://i/"), name="b", checks=frozenset({"b1"})),
    )
    counts: dict[tuple[str, str, str], int] = {}

    async def story(notifier: Notifier) -> None:
        notifier.follow(targets)
        assert set(notifier.counts.values()) == {0} and len(notifier.counts) == 2 * 4 * 3
        for check in CHECKS:
            notifier.stands(check, track(check, State.DOWN, now().mono))
        await asyncio.sleep(60)
        counts.update(notifier.counts)

    in_time(story, lambda: notifier_of(tmp_path, sent))
    assert sorted(sent) == ["opened a", "opened b", "opened b"]
    assert {key: count for key, count in counts.items() if count} == {
        ("ops", "opened", "delivered"): 2,
        ("b", "opened", "delivered"): 1,
    }


def test_a_restart_in_the_middle_of_an_outage_tells_only_its_end(tmp_path: Path) -> None:
    sent: list[str] = []
    check = CHECKS[2]
    outage = outage_of("b1", 0, provider="b")

    async def first(notifier: Notifier) -> None:
        notifier.follow((target("http://h/"),))
        notifier.stands(check, replace(track(check, State.DOWN), outage=outage))
        await asyncio.sleep(60)

    async def second(notifier: Notifier) -> None:
        notifier.stands(check, replace(track(check, State.DOWN), outage=outage))
        notifier.follow((target("http://h/"),))
        await asyncio.sleep(60)
        notifier.ended(replace(outage, ended=now()))
        notifier.stands(check, track(check, State.UP))
        await asyncio.sleep(60)

    in_time(first, lambda: notifier_of(tmp_path, sent))
    in_time(second, lambda: notifier_of(tmp_path, sent))
    assert sent == ["opened b", "resolved b"]


def test_what_was_never_delivered_is_told_by_the_next_process(tmp_path: Path) -> None:
    sent: list[str] = []
    failing = Outcome("HTTP 503", again=True)

    async def story(notifier: Notifier) -> None:
        notifier.follow((target("http://h/"),))
        notifier.stands(CHECKS[2], track(CHECKS[2], State.DOWN, 0.0))
        await asyncio.sleep(60)

    in_time(story, lambda: notifier_of(tmp_path, sent, failing))
    tries = len(sent)
    assert tries > 1
    in_time(story, lambda: notifier_of(tmp_path, sent))
    assert sent[tries:] == ["opened b"]


def test_a_reload_adds_and_removes_targets_and_keeps_what_was_told(tmp_path: Path) -> None:
    sent: list[str] = []

    async def story(notifier: Notifier) -> None:
        notifier.follow((target("http://h/"),))
        notifier.stands(CHECKS[2], track(CHECKS[2], State.DOWN, 0.0))
        await asyncio.sleep(60)
        notifier.follow((target("http://elsewhere/"), replace(target("http://i/"), name="new")))
        await asyncio.sleep(60)
        assert sent == ["opened b"] * 2, "the new one is told, the other has heard of it"
        notifier.follow(())
        assert notifier.counts == {}
        notifier.ended(outage_of("b1", 0.0))
        notifier.gone(CHECKS[2])
        await asyncio.sleep(60)

    in_time(story, lambda: notifier_of(tmp_path, sent))
    assert sent == ["opened b"] * 2


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"version": 2}', b'{"version": 1, "told": {"a": {"p": {}}}}', b"\xff"]
)
def test_a_book_that_cannot_be_read_is_no_reason_not_to_start(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / book.FILE).write_bytes(content)
    assert book.read(tmp_path / book.FILE, World().now) == {}


def rounds(
    memory: Callable[[Seen], Memory], notifier: Callable[[], Notifier] | None
) -> list[float]:
    """When each round of three checks began, in an hour of which half an hour is an outage."""
    seen, starts = Seen([]), list[float]()

    async def attempt(_client: Client, check: Check, _rng: random.Random) -> Attempt:
        starts.append(now().mono)
        began = now()
        await asyncio.sleep(0.5)
        bad = 600 <= began.mono < 2400
        verdict = (Verdict.FAILED, Reason.SERVER_ERROR) if bad else (Verdict.OK, None)
        return Attempt(check.name, began, now(), *verdict)

    async def main(_clocks: VirtualTime) -> None:
        async with Client() as client:
            one = notifier() if notifier else None
            memory = Memory(seen, one)
            service = Service(
                client, None, lambda views: Metrics("t", views), random.Random(1), memory
            )
            service.apply(Config(tuple(replace(check, interval=30.0) for check in CHECKS), ()))
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(one.run()) if one else None
                if one:
                    one.follow((target("http://h/"),))
                task = group.create_task(service.run())
                await asyncio.sleep(3600)
                service.stop()
                await task
                if telling:
                    telling.cancel()

    with mock.patch.object(service_module, "attempt", attempt):
        run(main)
    return starts


def test_a_dead_webhook_changes_nothing_in_the_rhythm_of_the_rounds(tmp_path: Path) -> None:
    sent: list[str] = []
    dead = Outcome("no connection", again=True)
    alone = rounds(lambda seen: Memory(seen), None)
    beside = rounds(lambda seen: Memory(seen), lambda: notifier_of(tmp_path, sent, dead))
    assert len(sent) > 4, "it was tried again and again"
    assert beside == alone

"""Times and their honesty: when a stamp or a deadline is not to be believed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
import socket
import sys
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from monitor.model import Reason, Timeouts
from monitor.probe import client as client_module
from monitor.probe import poll as poll_module
from monitor.probe import wire as wire_module
from monitor.probe.chat import chat
from monitor.probe.client import Client, StampedResolver
from monitor.probe.deadlines import Deadlines
from monitor.probe.exchange import _expired
from monitor.probe.poll import NAP, STALL, PollClock
from monitor.probe.wire import (
    KERNEL_STAMPS,
    READ,
    StampedSocket,
    Wire,
    current,
    open_socket,
    stamping,
)
from tests.making import chat_check
from tests.serving import serving

INET = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ())
LIMITS = Timeouts(connect=5, first_byte=20, first_token=30, idle=15, total=60)


def test_a_clock_that_was_stepped_makes_the_token_clocks_doubtful(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire = Wire()
    certain = {"first_token": 0.0, "stall": 0.0}
    assert not wire.doubtful(certain)
    offset = wire_module.clock_offset()
    monkeypatch.setattr(wire_module, "clock_offset", lambda: offset + 3600.0)
    assert wire.clock_moved()
    assert wire.doubtful(certain) == ("first_token", "stall")


def test_only_a_clock_uncertain_by_more_than_five_milliseconds_is_doubtful() -> None:
    assert Wire().doubtful({"first_token": 0.0049, "stall": 0.0051}) == ("stall",)


def test_a_stamp_from_before_the_last_read_is_a_clock_set_back_and_not_believed() -> None:
    wire = Wire()
    wire.note_read(time.time())
    wire.note_read(time.time() - 3600.0)
    assert wire.stamp().at == wire.stamp().read


def test_a_deadline_that_fires_late_is_our_stall_and_nobodys_time_out() -> None:
    wire = Wire()
    deadlines = Deadlines(
        LIMITS, started=wire.started, streaming=True, sent=wire.started, head=wire.started
    )
    wire.clock = lambda: wire.started + 30.1
    assert _expired(deadlines, wire).reason is Reason.FIRST_TOKEN_TIMEOUT
    wire.clock = lambda: wire.started + 31.5
    assert _expired(deadlines, wire).reason is Reason.STALLED


def test_a_name_that_never_resolves_is_dns() -> None:
    wire = Wire()
    wire.dns_started = wire.started
    wire.clock = lambda: wire.started + 5.1
    assert _expired(Deadlines(LIMITS, wire.started, streaming=True), wire).reason is Reason.DNS


def test_without_kernel_times_a_read_is_stamped_by_the_monotonic_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire_module, "KERNEL_STAMPS", False)
    wire = Wire()
    token = current.set(wire)
    with socket.create_server(("127.0.0.1", 0)) as listener, open_socket(INET) as sock:
        current.reset(token)
        sock.setblocking(True)
        sock.connect(listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            peer.send(b"hello")
            assert sock.recv(16) == b"hello"
    stamp = wire.stamp()
    assert stamp.at == stamp.read > wire.started


async def test_a_dead_name_holds_up_no_other() -> None:
    """A hundred names whose server never answers, and one that is known: it does not wait."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        resolver = StampedResolver(nameservers=["127.0.0.1"], udp_port=port, tcp_port=port)
        async with asyncio.TaskGroup() as group:
            dead = [
                group.create_task(resolver.resolve(f"dead{n}.example", 443)) for n in range(100)
            ]
            await asyncio.sleep(0)
            found = await resolver.resolve("localhost", 80)
            assert not any(task.done() for task in dead)
            for task in dead:
                task.cancel()
        await resolver.close()
    assert found[0]["port"] == 80


def late_read(into: bool) -> tuple[int, float, float]:
    """Bytes read, and by how much the read and its stamp came after the bytes were sent."""
    wire = Wire()
    token = current.set(wire)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        StampedSocket(socket.AF_INET, socket.SOCK_STREAM, 0) as sock,
    ):
        current.reset(token)
        sock.connect(listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            peer.send(b"hello")
            sent = time.monotonic()
            time.sleep(0.05)  # the reader is late; the stamp is not
            data = bytearray(16)
            count = sock.recv_into(data, 16) if into else len(sock.recv(16))
    stamp = wire.stamp()
    return count, stamp.read - sent, abs(stamp.at - sent)


@pytest.mark.skipif(sys.platform != "linux", reason="kernel receive times are Linux's")
@pytest.mark.parametrize("into", [False, True])
def test_a_read_is_stamped_by_the_kernel_however_late_it_is(into: bool) -> None:
    with stamping():
        # The kernel switches stamping on some moments after the first socket asked for it.
        for _ in range(40):
            count, late, off = late_read(into)
            if off < 0.04:
                break
    assert count == 5
    assert late >= 0.05
    assert off < 0.04


def test_a_read_of_a_few_bytes_asks_for_no_more_memory_than_a_read_may_need() -> None:
    """asyncio asks for 256 KiB, which the kernel hands out and takes back for every token."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        StampedSocket(socket.AF_INET, socket.SOCK_STREAM, 0) as sock,
    ):
        sock.wire = Wire()
        sock.connect(listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            peer.send(b"hello")
            tracemalloc.start()
            assert sock.recv(256 * 1024) == b"hello"
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert not KERNEL_STAMPS or peak < 2 * READ


def test_a_connection_that_is_ready_lets_go_of_whoever_waited_for_it() -> None:
    """It knows the wire: the two would wait for the garbage collector, sockets and all."""
    wire, told = Wire(), []
    wire.on_connected = lambda: told.append(wire)
    wire.note_connected()
    assert told == [wire]
    assert wire.on_connected is None


async def test_a_client_keeps_stamping_switched_on_while_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[socket.socket] = []

    def held_open() -> socket.socket:
        held.append(stamping())
        return held[-1]

    monkeypatch.setattr(client_module, "stamping", held_open)
    async with Client():
        (sock,) = held
        if wire_module.KERNEL_STAMPS:
            assert sock.getsockopt(socket.SOL_SOCKET, wire_module.SO_TIMESTAMPNS) == 1
    assert sock.fileno() == -1


@pytest.mark.parametrize(
    ("after_the_beginning", "away"),
    [(-0.01, 0.0), (0.0, 2.0), (1.0, 2.0), (2.0 + STALL / 2, 2.0), (2.0 + 2 * STALL, 0.0)],
)
def test_the_loop_was_away_in_a_stretch_and_just_after_it(
    after_the_beginning: float, away: float
) -> None:
    poll = PollClock()
    began = poll.returned = time.monotonic()
    poll._stalls.append((began + 2.0, 2.0))
    assert poll.away(began + after_the_beginning) == away
    poll.close()


def test_the_poll_clock_sees_the_loop_kept_busy() -> None:
    with PollClock() as poll:
        poll.select(0)
        time.sleep(0.02)
        poll.select(0)
        assert poll.busiest() >= 0.02
        assert poll.busiest() == 0.0


class Polling:
    """A poll clock, what it was asked to sleep, and a socket that wakes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, waiting: int) -> None:
        self.poll = PollClock()
        self.poll.waiting = waiting
        self.ours, self.theirs = socket.socketpair()
        self.poll.register(self.ours, selectors.EVENT_READ)
        self.naps: list[float | None] = []
        self.wakes_in = 0
        select = selectors.DefaultSelector.select

        def counted(poll: selectors.DefaultSelector, timeout: float | None = None) -> object:
            """Sleeps for no time at all, and is woken after so many naps."""
            self.naps.append(timeout)
            if len(self.naps) == self.wakes_in:
                self.theirs.send(b"x")
            return select(poll, 0)

        monkeypatch.setattr(selectors.DefaultSelector, "select", counted)

    def close(self) -> None:
        for each in (self.poll, self.ours, self.theirs):
            each.close()

    def look(self, timeout: float | None, wakes_in: int = 1) -> tuple[float, float]:
        """When a poll began and returned that is woken in one of its naps."""
        self.naps, self.wakes_in = [], wakes_in
        before = time.monotonic()
        assert self.poll.select(timeout)
        self.ours.recv(9)
        return before, time.monotonic()


@pytest.fixture(params=[0, 3])
def polling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Polling]:
    with contextlib.closing(Polling(monkeypatch, request.param)) as made:
        yield made


@pytest.mark.parametrize("timeout", [0, 0.001, 10.0, None])
def test_what_a_poll_reports_came_after_the_poll_before_began(
    polling: Polling, timeout: float | None
) -> None:
    """However long it takes to report it, and whether or not it slept."""
    before, after = polling.look(timeout)
    polling.look(timeout)
    assert before <= polling.poll.floor <= after


def test_a_read_is_bounded_by_the_poll_that_reported_it_and_not_by_a_later_one(
    polling: Polling,
) -> None:
    """A task hears of bytes one turn of the loop after they were read, and a poll later."""
    wire = Wire(polling.poll)
    polling.look(0)
    wire.read_at = 0.0
    floor = polling.poll.floor
    wire.note_read(None)
    assert wire.stamp().since == floor
    polling.look(0)
    polling.look(0)
    assert polling.poll.floor > floor
    assert wire.stamp().since == floor


def test_a_poll_sleeps_as_long_as_it_may_where_nobody_waits_for_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with contextlib.closing(Polling(monkeypatch, waiting=0)) as polling:
        polling.look(10.0)
    assert polling.naps == [10.0]


@pytest.mark.parametrize("timeout", [10.0, None])
def test_a_poll_looks_up_every_now_and_then_while_somebody_waits(
    monkeypatch: pytest.MonkeyPatch, timeout: float | None
) -> None:
    with contextlib.closing(Polling(monkeypatch, waiting=1)) as polling:
        before, _ = polling.look(timeout, wakes_in=5)
    assert polling.naps == [NAP] * 5
    assert polling.poll.floor > before, "nothing had come by the end of the fourth"


def test_a_nap_does_not_make_a_timer_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A nap may take longer than it should; what is left of the whole is told by the clock."""
    now = 100.0

    def slow_nap(_poll: object, timeout: float) -> list[object]:
        nonlocal now
        now += 3 * timeout
        return []

    monkeypatch.setattr(selectors.DefaultSelector, "select", slow_nap)
    monkeypatch.setattr(poll_module.time, "monotonic", lambda: now)
    with PollClock() as poll:
        poll.waiting = 1
        assert not poll.select(10 * NAP)
    assert now == pytest.approx(100.0 + 10 * NAP, abs=3 * NAP)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 X\r\n\r\n", b"", b"nonsense"])
async def test_the_poll_knows_for_how_many_answers_somebody_waits(answer: bytes) -> None:
    seen: list[int] = []
    poll = PollClock()

    async def handler(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen.append(poll.waiting)
        writer.write(answer)

    async with Client(poll) as client, serving(handler) as port:
        await chat(client, chat_check(f"http://127.0.0.1:{port}/v1"), random.Random(1))
    assert (seen, poll.waiting) == ([1], 0)
    poll.close()

"""Times and their honesty: when a stamp or a deadline is not to be believed."""

from __future__ import annotations

import asyncio
import selectors
import socket
import sys
import time

import pytest

from monitor.model import Reason, Timeouts
from monitor.probe import client as client_module
from monitor.probe import poll as poll_module
from monitor.probe import wire as wire_module
from monitor.probe.client import Client, StampedResolver
from monitor.probe.deadlines import Deadlines
from monitor.probe.exchange import _expired
from monitor.probe.poll import STALL, PollClock, RunQueue
from monitor.probe.wire import StampedSocket, Wire, current, open_socket, stamping

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
    """A poll clock whose polls report a socket with bytes in it, or sleep until they may."""

    def __init__(self, queued: float = 0.0) -> None:
        self.queued = queued
        self.poll = PollClock(lambda: self.queued)
        self.ours, self.theirs = socket.socketpair()
        self.poll.register(self.ours, selectors.EVENT_READ)

    def __enter__(self) -> Polling:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.poll, self.ours, self.theirs):
            each.close()

    def look(self) -> tuple[float, float]:
        """When a poll that need not sleep, though it may, began and returned."""
        before = time.monotonic()
        self.theirs.send(b"x")
        assert self.poll.select(1.0)
        self.ours.recv(9)
        return before, self.poll.returned

    def sleep(self) -> tuple[float, float]:
        """When a poll that nothing wakes began and returned."""
        before = time.monotonic()
        assert not self.poll.select(0.01)
        return before, self.poll.returned


def test_what_a_poll_reports_at_once_came_after_the_poll_before_had_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However long the report takes: of a thousand sockets it is many times what a nap is.
    monkeypatch.setattr(poll_module, "LOOK", 10.0)
    with Polling() as polling:
        first, _ = polling.look()
        later, returned = polling.look()
        assert first <= polling.poll.since(returned) < later


def test_what_wakes_a_poll_came_just_now() -> None:
    with Polling() as polling:
        _, returned = polling.sleep()
        assert polling.poll.since(returned) == returned


def test_what_came_while_we_waited_for_a_processor_may_have_come_at_its_beginning() -> None:
    with Polling(queued=0.004) as polling:
        _, returned = polling.sleep()
        assert polling.poll.since(returned) == pytest.approx(returned - 0.004)


def test_what_came_before_a_poll_that_slept_cannot_have_woken_it() -> None:
    with Polling() as polling:
        before, _ = polling.look()
        entered, _ = polling.sleep()
        assert before <= polling.poll.since(entered - 1e-9) < entered


def test_a_kernel_that_does_not_tell_of_waiting_for_processors_tells_of_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr(poll_module.os, "open", refuse)
    assert RunQueue().waited() == 0.0

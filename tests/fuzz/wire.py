"""A whole probe against a server that breaks its answers: connection, HTTP, TLS, body and all."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace

from monitor.model import Attempt, Check, Reachability, Reason, Secret, Timeouts, Tls, WebExpect
from monitor.probe.chat import chat
from monitor.probe.client import Client
from monitor.probe.exchange import LATE
from monitor.probe.page import reach, web
from tests.fuzz.explore import Found, Tally
from tests.fuzz.mutate import TOKENS, mutated, reads
from tests.fuzz.targets import KEY, hold, sane_attempt
from tests.making import chat_check, web_check
from tests.serving import END, chunk, head, request
from tests.transcripts import TRANSCRIPTS

NAME = "wire"
SLICE = 2_500
AT_ONCE = 20
LIMITS = Timeouts(connect=2.0, first_byte=0.3, first_token=0.3, idle=0.2, total=0.6)
SLACK = LATE + 2.0
"""Seconds over the limits that are put down to a busy machine."""

#: What to break HTTP itself with.
WORDS: Sequence[bytes] = (
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    *(b"HTTP/1.1 204 X\r\n", b"HTTP/1.1 304 X\r\n", b"HTTP/0.9 200\r\n", b"HTTP/1.1 999 X\r\n"),
    *(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n", b"HTTP/1.1 301 Moved\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n"),
    *(b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Trailer: X\r\n"),
    *(b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n", b"Content-Encoding: br\r\n"),
    *(b"Content-Type: text/html\r\n", b"Content-Type: \xff\r\n", b"Set-Cookie: \x00=;;\r\n"),
    *(b"Location: //[::1\r\n", b"Location: http://\xff\r\n", b"Location: http:///x\r\n"),
    *(b"Location: /again\r\n", b"Location: http://127.0.0.1:1/\r\n", b"Location: http://a:b@c:d/\r\n"),
    *(b"Connection: keep-alive\r\n", b"Connection: close\r\n", b"X-Request-Id: \xff\x1b[2J\r\n"),
    *(b"Retry-After: Fri, 31 Dec 9999 23:59:59 -0000\r\n", b"X: " + b"y" * 70_000 + b"\r\n"),
    *(b"ffffffffffffffff\r\n", b"-1\r\n", b"5;ext=" + b"e" * 5000 + b"\r\n", b"0\r\nT: x\r\n\r\n"),
    *(b" : \r\n", b"\r\n \r\n", b":\r\n", b"A\x00B: c\r\n"),
)  # fmt: skip
TARGETS = [word.removesuffix(b"\r\n") for word in WORDS if word.startswith(b"Location")]
ENDS = ("end", "end", "end", "end", "reset", "hold")
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the server says to one probe, and what the probe is."""

    kind: str
    protocol: str
    said: bytes
    end: str
    tls: bool

    def told(self) -> bytes:
        """For the report: all that is needed to play it again."""
        return f"{self.kind} {self.protocol} {self.end} tls={self.tls}\n".encode() + self.said


def plan(rng: random.Random, pool: Sequence[bytes]) -> Plan:
    one = rng.choice(TRANSCRIPTS)
    kind = rng.choice(("chat",) * 7 + ("web", "web", "reach"))
    said = head(one.status, one.headers) + chunk(one.body) + END
    if kind == "web" and rng.random() < 0.5:
        said = head(302) + END
        said = said[:-7] + mutated(rng, rng.choice(TARGETS), TARGETS) + b"\r\n" + said[-7:]
    for _ in range(rng.randint(0, 2)):
        said = _http_broken(rng, said)
    if rng.random() < 0.8:
        said = mutated(rng, said, pool)
    return Plan(kind, one.dialect.name, said, rng.choice(ENDS), rng.random() < 0.04)


def _http_broken(rng: random.Random, said: bytes) -> bytes:
    """One of `WORDS` after some line of the head, or anywhere."""
    lines = said.split(b"\r\n")
    at = rng.randint(0, min(len(lines), 8))
    if rng.random() < 0.7:
        prefix = b"\r\n".join(lines[:at]) + (b"\r\n" if at else b"")
        return prefix + rng.choice(WORDS) + b"\r\n".join(lines[at:])
    place = rng.randint(0, len(said))
    return said[:place] + rng.choice((*WORDS, *TOKENS)) + said[place:]


class Breaker:
    """The server: what it says stands in the path it is asked for."""

    def __init__(self) -> None:
        self.plans: dict[int, Plan] = {}

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peek = await reader.readexactly(1)
            if peek == b"\x16":  # a TLS handshake: no path yet, any plan will do
                one = next(one for one in self.plans.values() if one.tls)
            else:
                asked = await request(reader)
                one = self.plans[int(asked.split(b"/", 2)[1].partition(b" ")[0])]
            for piece in reads(random.Random(len(one.said)), one.said):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if one.end == "hold":
                await reader.read()
            if one.end == "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                writer.transport.abort()
        except (OSError, ValueError, KeyError, StopIteration, asyncio.IncompleteReadError):
            pass  # the client went away, or followed a redirect to nowhere
        except asyncio.LimitOverrunError:
            pass
        finally:
            writer.close()


def check_of(one: Plan, port: int, number: int) -> Check:
    scheme = "https" if one.tls else "http"
    base = f"{scheme}://127.0.0.1:{port}/{number}"
    common = {"timeout": LIMITS, "api_key": Secret(KEY), "tls": Tls(insecure_skip_verify=True)}
    if one.kind == "web":
        page = WebExpect(contains="14", header={"X": "a"})
        return web_check(f"{base}/", page=page, follow_redirects=True, **common)
    check = chat_check(base, protocol=one.protocol, **common)
    if one.kind == "reach":
        return replace(check, reachability=Reachability(15.0, f"{base}/models"))
    return check


async def attempt(client: Client, check: Check, kind: str) -> Attempt:
    if kind == "web":
        return await web(client, check)
    if kind == "reach":
        return await reach(client, check)
    return await chat(client, check, random.Random(1))


def holds(seen: Attempt, kind: str) -> None:
    """Nothing but a verdict, within the deadline, without the key."""
    sane_attempt(seen)
    hold(KEY not in repr(seen), "the key in an attempt")
    if seen.reason is not Reason.STALLED:
        limit = LIMITS.total * (5 if kind == "web" else 1) + SLACK
        hold(seen.seconds <= limit, f"took {seen.seconds:.1f} s")


async def _probes(seed: str, count: int) -> list[Found]:
    rng = random.Random(f"{seed} {NAME}")
    pool = [one.body for one in TRANSCRIPTS]
    breaker, found, free = Breaker(), list[Found](), asyncio.Semaphore(AT_ONCE)
    server = await asyncio.start_server(breaker.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def one(number: int) -> None:
        planned = breaker.plans[number]
        try:
            holds(
                await attempt(client, check_of(planned, port, number), planned.kind), planned.kind
            )
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__} {str(error)[:80]} at {place.filename}:{place.lineno}"
            found.append(Found(NAME, planned.told(), told, traceback.format_exc()))
        finally:
            del breaker.plans[number]
            free.release()

    async with Client() as client, asyncio.TaskGroup() as group:
        for number in range(count):
            await free.acquire()
            breaker.plans[number] = plan(rng, pool)
            group.create_task(one(number))
    server.close()
    return found


def probe(seed: str, count: int) -> Tally:
    """`count` probes; the server's answers are the same for the same `seed`."""
    started = time.monotonic()
    found = asyncio.run(_probes(seed, count))
    distinct = {one.told: one for one in found}
    return Tally(NAME, count, time.monotonic() - started, found=[*distinct.values()])

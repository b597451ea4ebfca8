"""A provider that listens, plays its script and keeps account of who asked what."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
import sys
from collections import Counter, deque
from types import TracebackType
from typing import Any

from monitor.simulator.conversation import Host, converse
from monitor.simulator.exchange import Params, Seen
from monitor.simulator.flavours import FLAVOURS
from monitor.simulator.script import Script, always
from monitor.simulator.wire import GoneError, Inbox, Line

log = logging.getLogger(__name__)

#: Requests kept for tests to look at, and paths counted.
KEPT = 1000

_RETRY_SECONDS = 0.2


class SimulatedProvider:
    """One provider on one port of the loopback, unless told otherwise.

    `script` is a script or the name of a behaviour for ever.  `key` is the one accepted API key;
    without it none is needed.  `speed` makes the script and all pauses in it faster.
    """

    def __init__(
        self,
        script: Script | str = "healthy",
        *,
        flavour: str = "plain",
        key: str | None = None,
        models: tuple[str, ...] = (),
        speed: float = 1.0,
        seed: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: deque[Seen] = deque(maxlen=KEPT)
        """The last requests, oldest first."""
        self.counts: Counter[str] = Counter()
        """How many requests each path has had."""
        if not speed > 0:
            raise ValueError(f"seen speed {speed!r}, expected more than 0")
        look = FLAVOURS[flavour]
        rng = random.Random(seed)
        names = models or look.models
        self._host = Host(look, key, names, speed, rng, self._play, self._note)
        self._rng = rng
        self._tls = tls
        self._script = _script(script)
        self._began = 0.0
        self._address: tuple[str, int] | None = None
        self._held: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._turned = asyncio.Event()
        self._switching = asyncio.Lock()
        self._tasks: asyncio.TaskGroup | None = None
        self._follower: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> SimulatedProvider:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        assert self._address is not None, "not started"
        return self._address[1]

    @property
    def url(self) -> str:
        """Scheme, host and port; an OpenAI client takes `url + "/v1"`."""
        assert self._address is not None, "not started"
        host = f"[{self._address[0]}]" if ":" in self._address[0] else self._address[0]
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listens (port 0: one of the system's choice); raises OSError where it cannot."""
        self._held, self._address = await _reserve(host, port)
        self._began = asyncio.get_running_loop().time()
        try:
            await self._listen_or_not()
        except OSError:
            self._held.close()
            raise
        # By hand, since a fixture or a service starts and stops us in two different calls.
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._follower = self._tasks.create_task(self._follow())

    async def stop(self) -> None:
        """Closes the port and every connection at once, however busy; harmless when repeated."""
        group, self._tasks = self._tasks, None
        if group is None:
            return
        assert self._follower is not None
        self._follower.cancel()
        await group.__aexit__(None, None, None)
        async with self._switching:
            await self._close()
        if self._held is not None:
            self._held.close()

    async def behave(self, script: Script | str, **params: Any) -> None:
        """Plays another script from its start; a behaviour's name with parameters is one, too.

        When this returns, the port listens or refuses as the script says.
        """
        self._script = _script(script, **params)
        self._began = asyncio.get_running_loop().time()
        await self._listen_or_not()
        self._turned.set()

    @property
    def seconds(self) -> float:
        """How far the script has come."""
        return (asyncio.get_running_loop().time() - self._began) * self._host.speed

    def _play(self) -> tuple[str, Params]:
        return self._script.at(self.seconds, self._rng)

    def _note(self, seen: Seen) -> None:
        self.requests.append(seen)
        known = seen.path in self.counts or len(self.counts) < KEPT
        self.counts[seen.path if known else "other"] += 1

    async def _follow(self) -> None:
        """Opens and closes the port when the script says so."""
        while True:
            try:
                await self._listen_or_not()
                wait = self._script.until_turn(self.seconds) / self._host.speed
            except OSError as error:
                log.warning(
                    "the port cannot be opened again, trying on", extra={"error": str(error)}
                )
                wait = _RETRY_SECONDS
            self._turned.clear()
            try:
                async with asyncio.timeout(None if wait == float("inf") else wait):
                    await self._turned.wait()
            except TimeoutError:
                pass  # the next scene

    async def _listen_or_not(self) -> None:
        async with self._switching:
            refuses = self._script.refuses(self.seconds)
            if refuses and self._server is not None:
                await self._close()
            elif not refuses and self._server is None:
                await self._open()

    async def _open(self) -> None:
        assert self._address is not None
        sock = _socket(*self._address)
        try:
            options: dict[str, Any] = {"ssl_handshake_timeout": 5.0} if self._tls else {}
            self._server = await asyncio.start_server(
                self._accept, sock=sock, ssl=self._tls, backlog=512, **options
            )
        except OSError:
            sock.close()
            raise

    async def _close(self) -> None:
        """Nobody listens any more, and nobody who was being served is served on."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the port closes; Python 3.11 would log a connection that says so itself
        finally:
            self._connections.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await converse(self._host, Inbox(reader), Line(writer))
            writer.close()
            await writer.wait_closed()
        except (GoneError, OSError):
            pass  # the client left in the middle of something
        except Exception:
            log.exception("a behaviour failed")
        finally:
            await _drop(writer)


async def _drop(writer: asyncio.StreamWriter) -> None:
    """Closes now, whatever is still unsent."""
    writer.transport.abort()
    try:
        await writer.wait_closed()
    except OSError:
        pass  # however it ended, it has


def _script(script: Script | str, **params: Any) -> Script:
    return script if isinstance(script, Script) else always(script, **params)


async def _reserve(host: str, port: int) -> tuple[socket.socket, tuple[str, int]]:
    """A bound socket that never listens: it keeps the port ours while the provider refuses.

    Only Linux lets a second socket listen on an address that is bound so; elsewhere the port is
    merely chosen, and might be taken by another while nobody listens.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sock = _socket(*found[0][4][:2])
    address = sock.getsockname()
    if sys.platform != "linux":
        sock.close()
    return sock, (str(address[0]), int(address[1]))


def _socket(host: Any, port: Any) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in str(host) else socket.AF_INET)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock

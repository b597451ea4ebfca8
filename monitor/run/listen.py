"""From an address and an application to connections that the web configuration guards."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from monitor.run.address import Address
from monitor.run.connections import Connections, Limits
from monitor.run.web_config import WebFile
from monitor.show.access import Passwords, protect

BACKLOG = 128
LIMITS = Limits()


@contextlib.asynccontextmanager
async def bound(listen: Address) -> AsyncIterator[list[socket.socket]]:
    """Sockets that listen, one for each address of the host; raises OSError where one is taken."""
    loop = asyncio.get_running_loop()
    # It resolves and binds as any server does, and never accepts: that is for `Connections`.
    server = await loop.create_server(
        asyncio.Protocol, listen.host, listen.port, start_serving=False
    )
    with contextlib.ExitStack() as stack:
        stack.callback(server.close)
        sockets = [stack.enter_context(opened.dup()) for opened in server.sockets]
        for listener in sockets:
            listener.setblocking(False)
            listener.listen(BACKLOG)
        yield sockets


@contextlib.asynccontextmanager
async def listening(
    app: web.Application,
    sockets: Sequence[socket.socket],
    rules: WebFile,
    group: asyncio.TaskGroup,
    limits: Limits = LIMITS,
) -> AsyncIterator[Connections]:
    """Serve `app` on the sockets until the end of the block; answers that run may finish."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    connections = Connections(lambda: rules.now.tls, rules.admits, limits)
    passwords = Passwords()
    protect(app, lambda: rules.now, passwords)
    app.middlewares.insert(0, connections.answered_in_time)
    await runner.setup()
    server = runner.server
    assert server is not None
    acceptors = [group.create_task(connections.accept(each, server, group)) for each in sockets]
    try:
        yield connections
    finally:
        for acceptor in acceptors:
            acceptor.cancel()
        await runner.cleanup()
        connections.abort()
        passwords.close()

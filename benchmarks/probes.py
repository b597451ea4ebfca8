"""CPU of whole `web` probes, beside blackbox_exporter on the same pages.

A new connection each, to 127.0.0.1 and its neighbours (literal addresses, so that neither side
looks a name up), ten at a time.  Ours is everything of a round: tracing, verdict, state, metrics,
log and ledger, its thread included.  The peer's is one request to its /probe.  The target and
whoever asks the peer are on the other core and in no figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import aiohttp

from benchmarks.measure import OTHERS, OURS, cpu_of, median, pin
from benchmarks.table import Row
from monitor.run.rounds import Watch
from monitor.run.service import Service
from tests.serving import free_port

PEER = "blackbox_exporter"
AT_ONCE = 10
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, AT_ONCE + 1))
"""One for each probe under way; closed ports rest for a while, and each host has its own."""
PAGE = "the page that a monitor fetches: fifty-five bytes of it"
assert len(PAGE) == 55


@dataclass(frozen=True, slots=True)
class Setting:
    """One kind of probe, and what it may cost."""

    name: str
    scheme: str
    goal: float
    """CPU per probe, ours ÷ the peer's."""
    rate: float
    """Probes a second on one core."""
    count: int
    """Probes a turn."""


SETTINGS = (
    Setting("plain", "http", 1.0, 1500, 2000),
    Setting("TLS 1.3, verified", "https", 1.3, 500, 1000),
)


def rows(quick: bool) -> Iterator[Row]:
    rounds = 1 if quick else 7
    pin(OTHERS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _certificates(folder)
        with _target(folder) as ports:
            for setting in SETTINGS:
                urls = [f"{setting.scheme}://{host}:{ports[setting.scheme]}/" for host in HOSTS]
                count = 50 if quick else setting.count
                with _ours(folder, urls) as ours, _blackbox(folder) as peer:
                    yield from _compared(setting, ours, peer, urls, count, rounds)


def _compared(
    setting: Setting, ours: Ours, peer: Blackbox | None, urls: list[str], count: int, rounds: int
) -> Iterator[Row]:
    mine, theirs = [], []
    for turn in range(-1, rounds):
        cost = ours.probe(count)
        if turn < 0:
            # The first turn of each is warming up.
            peer and peer.probe(urls, count)
            continue
        mine.append(cost * 1e6)
        if peer:
            theirs.append(peer.probe(urls, count) * 1e6)
    ratio = median([a / b for a, b in zip(mine, theirs, strict=True)]) if peer else None
    yield Row(
        f"CPU per {setting.name} probe",
        median(mine),
        "µs",
        goal=setting.goal,
        peer=PEER,
        theirs=median(theirs) if peer else None,
        ratio=ratio,
    )
    rate = 1e6 / median(mine)
    yield Row(f"{setting.name} probes on one core", rate, "/s", goal=setting.rate, more=True)


# ------------------------------------------------------------------------------------- the target


def _certificates(folder: Path) -> None:
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert(*HOSTS).private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")


@contextlib.contextmanager
def _target(folder: Path) -> Iterator[dict[str, int]]:
    """An nginx with one page, or else a server of ours; yields its port for each scheme."""
    ports = {"http": free_port(), "https": free_port()}
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off;
            client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
            uwsgi_temp_path {folder}; scgi_temp_path {folder};
            server {{
                listen {ports["http"]}; listen {ports["https"]} ssl;
                ssl_protocols TLSv1.3;
                ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
                default_type text/plain;
                location / {{ return 200 "{PAGE}"; }}
            }}
        }}
        """
    )
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
    ours = [
        sys.executable,
        "-m",
        "benchmarks.probes",
        "serve",
        str(folder),
        *map(str, ports.values()),
    ]
    with _program([nginx, "-c", str(folder / "nginx.conf")] if nginx else ours, OTHERS):
        _await_answer(f"http://127.0.0.1:{ports['http']}/")
        yield ports


async def _serve(folder: Path, plain: int, tls: int) -> None:
    """The same page from a server that costs more, where there is no nginx."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(PAGE)}\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write((head + PAGE).encode())
            await reader.read()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "server.pem")
    await asyncio.start_server(answer, "0.0.0.0", tls, ssl=context)
    await (await asyncio.start_server(answer, "0.0.0.0", plain)).serve_forever()


@contextlib.contextmanager
def _program(command: list[str], core: int, **options: object) -> Iterator[subprocess.Popen[str]]:
    """A process on one core from its beginning, ended with the block."""
    process = subprocess.Popen(command, text=True, preexec_fn=lambda: pin(core), **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            urlopen(url, timeout=5).close()
            return
        except (URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


# --------------------------------------------------------------------------------------- the peer


class Blackbox:
    """A blackbox_exporter at work."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self._port = port

    def probe(self, urls: list[str], count: int) -> float:
        """CPU seconds per probe of `count` of them."""
        before = cpu_of(self._process.pid)
        asyncio.run(self._asked(urls, count))
        return (cpu_of(self._process.pid) - before) / count

    async def _asked(self, urls: list[str], count: int) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            for url in urls:
                group.create_task(self._ask(session, url, count // len(urls)))

    async def _ask(self, session: aiohttp.ClientSession, url: str, count: int) -> None:
        query = urlencode({"module": "page", "target": url})
        for _ in range(count):
            async with session.get(f"http://127.0.0.1:{self._port}/probe?{query}") as answer:
                page = await answer.text()
                assert "\nprobe_success 1\n" in page, page


@contextlib.contextmanager
def _blackbox(folder: Path) -> Iterator[Blackbox | None]:
    """None where it is not installed."""
    names = ("prometheus-blackbox-exporter", "blackbox_exporter")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        yield None
        return
    http = {"preferred_ip_protocol": "ip4", "tls_config": {"ca_file": str(folder / "ca.pem")}}
    config = folder / "blackbox.yml"
    # JSON is YAML.
    config.write_text(json.dumps({"modules": {"page": {"prober": "http", "http": http}}}))
    port = free_port()
    command = [
        found,
        f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with _program(command, OURS, stderr=subprocess.DEVNULL) as process:
        _await_answer(f"http://127.0.0.1:{port}/-/healthy")
        yield Blackbox(process, port)


# -------------------------------------------------------------------------------------------- ours


class Ours:
    """The service in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def probe(self, count: int) -> float:
        """CPU seconds per probe of `count` of them."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        before = cpu_of(self._process.pid)
        stdin.write(f"{count}\n")
        stdin.flush()
        assert stdout.readline() == "done\n", self._log.read_text()
        return (cpu_of(self._process.pid) - before) / count


@contextlib.contextmanager
def _ours(folder: Path, urls: list[str]) -> Iterator[Ours]:
    command = [sys.executable, "-m", "benchmarks.probes", "work", str(folder), *urls]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    path = folder / "log"
    with path.open("w") as log, _program(command, OURS, stderr=log, **pipes) as process:
        try:
            yield Ours(process, path)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def _work(folder: Path, urls: list[str]) -> None:
    """Run the product, with rounds one after the other when the input says how many."""
    from monitor.model import Check, Config, Mode, Tls
    from monitor.run import app
    from monitor.run.address import Address
    from monitor.show import logs

    class Driven(app.Service):
        async def run(self) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(super().run())
                await _driven(self)
                self.stop()

    logs.configure("info", "logfmt", tuple, sys.stderr)
    tls = Tls(ca_file=str(folder / "ca.pem"))
    checks = tuple(
        # One round at the start, and no other but ours.
        Check(f"page-{number}", Mode.WEB, f"host-{number}", url, tls=tls, interval=86_400.0)
        for number, url in enumerate(urls)
    )
    config = Config(checks, ())
    app.Service = Driven  # type: ignore[misc]
    data_dir = Path(tempfile.mkdtemp(dir=folder))
    app.serve(config, lambda: config, app.Settings(Address("127.0.0.1", free_port()), data_dir))


async def _driven(service: Service) -> None:
    """As many rounds as each line of the input says; the output says when they are done."""
    watches = [*service._watches.values()]
    while not all(watch.waiting and watch.last for watch in watches):
        await asyncio.sleep(0.1)

    async def rounds(watch: Watch, count: int) -> None:
        for _ in range(count):
            await service._round(watch, 0.0)
            assert watch.last is not None
            seen = watch.last.last
            assert seen.verdict == "ok" and seen.status == 200, seen

    while line := await asyncio.to_thread(sys.stdin.readline):
        async with asyncio.TaskGroup() as group:
            for watch in watches:
                group.create_task(rounds(watch, int(line) // len(watches)))
        # What waits for the ledger's thread belongs to these probes as well.
        await asyncio.sleep(1.0)
        print("done", flush=True)


def _process(role: str, folder: Path, *about: str) -> None:
    """The other processes of this benchmark begin here."""
    if role == "serve":
        asyncio.run(_serve(folder, *map(int, about)))
    else:
        _work(folder, list(about))


if __name__ == "__main__":
    _process(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])

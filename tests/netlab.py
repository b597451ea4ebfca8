"""A small internet in network namespaces: our monitor, a router, two providers, a guard with DNS.

    monitor 11.0.0.2 ── router ── provider a 11.0.1.2, provider b 11.0.2.2, guard 11.0.3.2

Nothing of it touches the machine's own network; the addresses are public ones, because private
ones skip the guard, and they lead nowhere but here.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
HOSTS = ("monitor", "a", "b", "guard")
NAMES = {
    "a.chatworks.com": "11.0.1.2",
    "b.talkative.net": "11.0.2.2",
    "guard.example.org": "11.0.3.2",
}
TARGETS = ["tcp://11.0.3.2:8080", "http://guard.example.org:8080/web"]
URLS = {"a": "http://a.chatworks.com:8080/v1", "b": "http://b.talkative.net:8080/v1"}
HASTY = {
    **dict.fromkeys(("first_byte", "first_token", "idle"), "900ms"),
    "connect": "600ms",
    "total": "4s",
}
LISTEN = "127.0.0.1:9817"


def why_not() -> str | None:
    """Why namespaces cannot be made here, or None."""
    missing = [tool for tool in ("ip", "nft", "unshare") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not installed"
    if os.geteuid() != 0:
        return "no right to make network namespaces"
    name = f"lab{os.getpid()}try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        return f"no namespaces: {made.stderr.decode().strip()}"
    run("ip", "netns", "del", name)
    return None


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


class Lab:
    """The namespaces and the processes in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prefix = f"lab{os.getpid()}-"
        self._processes: list[subprocess.Popen[bytes]] = []

    def name(self, host: str) -> str:
        return self._prefix + host

    def at(self, host: str, *words: str) -> None:
        """Run a short command there."""
        run("ip", "netns", "exec", self.name(host), *words)

    def link(self, host: str, state: str) -> None:
        self.at("router", "ip", "link", "set", f"to-{host}", state)

    def forward(self, *rule: str) -> None:
        """Add a rule to what the router forwards."""
        self.at("router", "nft", "add", "rule", "inet", "lab", "forward", *rule)

    def heal(self) -> None:
        """Take all rules away."""
        self.at("router", "nft", "flush", "chain", "inet", "lab", "forward")

    def names(self, answer: str) -> None:
        """What the name server answers: `good`, `servfail`, or `without NAME`."""
        (self.folder / "names").write_text(answer)

    # ------------------------------------------------------------------------------ building

    def build(self) -> None:
        for host in ("router", *HOSTS):
            run("ip", "netns", "add", self.name(host))
            self.at(host, "ip", "link", "set", "lo", "up")
        for number, host in enumerate(HOSTS):
            self.at("router", "ip", "link", "add", f"to-{host}", "type", "veth", "peer", "name",
                    "up0", "netns", self.name(host))  # fmt: skip
            self.at("router", "ip", "addr", "add", f"11.0.{number}.1/24", "dev", f"to-{host}")
            self.link(host, "up")
            self.at(host, "ip", "addr", "add", f"11.0.{number}.2/24", "dev", "up0")
            self.at(host, "ip", "link", "set", "up0", "up")
            self.at(host, "ip", "route", "add", "default", "via", f"11.0.{number}.1")
        self.at("router", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.at("router", "nft", "add", "table", "inet", "lab")
        chain = "{ type filter hook forward priority 0; }"
        self.at("router", "nft", "add", "chain", "inet", "lab", "forward", chain)
        self.names("good")
        self.start("guard", sys.executable, str(ROOT / "tests" / "nameserver.py"), str(self.folder))
        for host in ("a", "b", "guard"):
            scenario = "slow_but_whole" if host == "b" else "healthy"
            self.start(host, sys.executable, "-m", "monitor", "simulate", "--listen",
                       "0.0.0.0:8080", self.scenario(scenario))  # fmt: skip

    def scenario(self, name: str) -> str:
        if name == "healthy":
            return name
        path = self.folder / "scenario.yaml"
        path.write_text("scenes: [{from: 0s, behaviour: healthy, params: {gap: 200ms}}]\n")
        return str(path)

    def start(self, host: str, *words: str) -> subprocess.Popen[bytes]:
        """Run something there until the end."""
        resolv = self.folder / "resolv.conf"
        resolv.write_text("nameserver 11.0.3.2\noptions timeout:1 attempts:3\n")
        bound = f'mount --bind {resolv} /etc/resolv.conf && exec "$@"'
        command = ["ip", "netns", "exec", self.name(host), "unshare", "-m", "sh", "-c", bound, "sh"]
        with (self.folder / f"{host}.log").open("ab") as log:
            process = subprocess.Popen([*command, *words], stdout=log, stderr=log, cwd=ROOT)
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for host in ("router", *HOSTS):
            subprocess.run(
                ["ip", "netns", "del", self.name(host)], capture_output=True, check=False
            )

    # ------------------------------------------------------------------------------- watching

    def watch(self, *, hasty: bool = True, **more: Any) -> None:
        """Start the product in its namespace; `more` are further keys of the checks, by name.

        `hasty` deadlines make for quick tests, but leave TCP no time to send a lost packet again.
        """
        checks = [
            {"name": name, "url": url, "model": "m", "api_key": "${LAB_KEY:-none-at-all}", "group": "lab",
             **more.get(name, {})}
            for name, url in URLS.items()
        ]  # fmt: skip
        checks += [{"name": name, **keys} for name, keys in more.items() if name not in URLS]
        config = {
            "defaults": {
                "interval": "1s",
                **({"timeout": HASTY} if hasty else {}),
                "confirm": {"recheck": "100ms"},
            },
            "guard": {"targets": TARGETS},
            "checks": checks,
        }  # fmt: skip
        path = self.folder / "checks.yaml"
        path.write_text(json.dumps(config))
        self.start("monitor", sys.executable, "-m", "monitor", "run", "--config", str(path),
                   "--data-dir", str(self.folder / "data"), "--listen", LISTEN)  # fmt: skip

    def metrics(self) -> dict[str, float]:
        """Series and values as the product tells them now; empty while it does not answer."""

        def fetch() -> str:
            with urlopen(f"http://{LISTEN}/metrics", timeout=5) as answer:
                return str(answer.read().decode())

        try:
            text = self.inside("monitor", fetch)
        except OSError:
            return {}
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#")
        return {series: float(value) for series, value in lines}

    def inside(self, host: str, work: Callable[[], str]) -> str:
        """Do `work` in the network of `host`; a namespace belongs to a thread."""
        found: list[str] = []
        failed: list[OSError] = []

        def there() -> None:
            with Path(f"/run/netns/{self.name(host)}").open() as namespace:
                assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) == 0
            try:
                found.append(work())
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return found[0]

    def until(
        self, good: Callable[[dict[str, float]], bool], what: str, seconds: float = 60
    ) -> None:
        """Wait for the metrics to be so."""
        deadline = time.monotonic() + seconds
        while True:
            seen = self.metrics()
            if seen and good(seen):
                return
            if time.monotonic() > deadline:
                log = (self.folder / "monitor.log").read_text(errors="replace")
                raise AssertionError(f"never came: {what}\n{log[-3000:]}")
            time.sleep(0.2)


def total(seen: dict[str, float], name: str, **labels: str) -> float:
    """The sum of all series of that name with these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        value
        for series, value in seen.items()
        if series.split("{")[0] == name and all(pair in series for pair in wanted)
    )


def state(seen: dict[str, float], check: str, state: str) -> bool:
    return total(seen, "aichat_check_state", check=check, state=state) == 1


@contextlib.contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    built = Lab(folder)
    try:
        built.build()
        yield built
    finally:
        built.close()

"""Secrets: canaries in every place a key can be given, endpoints that say all they were sent, and
everything that the product ever says searched for them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import yaml

from monitor.config import load, secrets
from monitor.model import Check, Config, Secret
from monitor.probe.chat import chat, check_secrets
from monitor.probe.client import Client
from monitor.redact import MARK, redact, redact_cut
from tests.making import chat_check
from tests.serving import always, free_port, serving

ROOT = Path(__file__).parent.parent
WINDOW = 9
"""So many characters of a canary in a row are a leak."""


def canary(place: str, extra: str = "") -> str:
    """Unlike any other text, and no two share a piece."""
    return f"{extra}{sha256(place.encode()).hexdigest()[:40]}"


CANARIES = {
    "variable": canary("variable", "sk-proj-"),
    "file": canary("file", "sk-"),
    "literal": canary("literal", "gsk_"),
    "bearer": canary("bearer"),
    "header": canary("header"),
    "cookie": canary("cookie"),
    "password": canary("password") + "/ä+=&\"\\",
    "aws": canary("aws"),
    "session": canary("session"),
    "proxy": canary("proxy") + "+/%",
    "environment": canary("environment"),
    "web": canary("web"),
    "reload": canary("reload"),
    # These are refused, and not told.
    "query": canary("query"),
    "guard": canary("guard"),
    "reachability": canary("reachability"),
}  # fmt: skip
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"


def leaks(text: str) -> list[str]:
    """Which canaries are in `text`, in whole or in part, in any spelling."""
    unescaped = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    plain = [text, unquote(text), re.sub(r"\\(.)", r"\1", unescaped)]
    found = []
    for place, secret in CANARIES.items():
        pieces = {secret[at : at + WINDOW] for at in range(8, len(secret) - WINDOW)}
        pieces |= _in_base64(secret)
        if any(piece in one for one in plain for piece in pieces):
            found.append(place)
    return found


def _in_base64(secret: str) -> set[str]:
    """Pieces of the secret's base64 at each of the places that it can begin at."""
    found = set[str]()
    for before in range(3):
        text = b64encode(b"x" * before + secret.encode()).decode()[8:48]
        for one in (text, text.replace("+", "-").replace("/", "_")):
            found |= {one[at : at + 12] for at in range(len(one) - 12)}
    return found


def test_the_search_itself_finds() -> None:
    secret, long = CANARIES["password"], "x" * 50
    for spelling in (
        secret,
        secret[:20],
        secret[10:24],
        f"{long}{quote(secret, safe='')}{long}",
        json.dumps({"a": secret}),
        b64encode(f"monitor:{secret}".encode()).decode(),
        b64encode(f"a:{secret}".encode()).decode()[6:40],
        repr(secret),
    ):
        assert "password" in leaks(spelling), spelling
    assert leaks(f"level=info msg=fine key={MARK} {sha256(b'other').hexdigest()}") == []


# ------------------------------------------------------------------------------------ the stage


def configured(folder: Path, port: int) -> Path:
    """A configuration with a canary in every place that can hold one."""
    base, c = f"http://127.0.0.1:{port}", CANARIES
    (folder / "key").write_text(f"  {c['file']}\n")
    password = quote(c["password"], safe="")
    proxy = f"http://proxyuser:{quote(c['proxy'], safe='')}@127.0.0.1:{port}"
    aws = f"{ACCESS_KEY}:{c['aws']}:{c['session']}"
    other = f"http://model.example:{port}"
    checks = [
        {"name": "variable", "url": f"{base}/v1", "api_key": "${CANARY_KEY}"},
        {"name": "file", "url": f"{base}/v1", "api_key_file": "key", "protocol": "anthropic"},
        {"name": "literal", "url": f"{base}/v1", "api_key": c["literal"], "protocol": "cohere"},
        {"name": "headers", "url": f"{base}/v1", "protocol": "ollama",
         "headers": {"Authorization": f"Bearer {c['bearer']}", "X-Own": c["header"],
                     "Cookie": f"session={c['cookie']}"}},
        {"name": "password", "url": f"http://monitor:{password}@127.0.0.1:{port}/v1"},
        {"name": "aws", "url": base, "protocol": "bedrock", "api_key": aws},
        {"name": "proxy", "url": f"{other}/v1", "api_key": "${CANARY_KEY}", "proxy": proxy},
        {"name": "environment", "url": f"{other}/v1", "api_key": "k-unimportant", "proxy": "env"},
        {"name": "web", "type": "web", "url": f"{base}/", "headers": {"X-Web": c["web"]},
         "expect": {"contains": "never there"}},
        {"name": "private", "url": f"{base}/private/v1", "api_key": "k-private", "evidence": "private"},
    ]  # fmt: skip
    for check in checks:
        chats = check.get("type") != "web"
        check |= {"model": "m", "reachability": False} if chats else {}
        check |= {"interval": "1s", "confirm": {"recheck": "200ms"}, "timeout": "3s"}
    path = folder / "checks.yaml"
    path.write_text(yaml.safe_dump({"checks": checks, "guard": False}))
    return path


def environment(port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MONITOR_")}
    proxy = f"http://envuser:{CANARIES['environment']}@127.0.0.1:{port}"
    return {
        **kept, "CANARY_KEY": CANARIES["variable"], "HTTP_PROXY": proxy, "http_proxy": proxy,
        "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip


class Echo:
    """An endpoint, or a proxy, that repeats all it was sent, in ever another way."""

    def __init__(self) -> None:
        self._turn = count()
        self.heard = ""

    async def answer(
        self, request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        said = request.partition(b"\r\n\r\n")[0].decode("latin-1")
        said += "".join(self._decoded(said))
        self.heard += said
        if "/private/" in said.partition("\r\n")[0]:
            writer.write(page(500, "private-evidence-of-the-provider"))
            return
        answers = list(echoes(said))
        writer.write(answers[next(self._turn) % len(answers)])

    @staticmethod
    def _decoded(said: str) -> Iterator[str]:
        for line in said.splitlines():
            _, basic, credentials = line.partition(": Basic ")
            if basic:
                yield f"\nX-Decoded: {b64decode(credentials).decode()}"


def echoes(said: str) -> Iterator[bytes]:
    """Answers that hold `said`: as every kind of text, in every place, cut wherever one cuts."""
    line = " ".join(said.split())
    tokens = [part.partition(": ")[2] for part in said.splitlines()[1:]]
    bare = " ".join(token.rpartition(" ")[2] for token in tokens)
    for words in (
        line,
        bare,
        quote(line),
        b64encode(said.encode()).decode(),
        bare[::-1][::-1] * 50,
    ):
        yield page(401, json.dumps({"error": {"message": words, "code": words[:90]}}))
        yield page(502, f"<html><title>{words}</title>{words}</html>", "text/html")
    for before in (40, 60, 80, 100, 110, 250, 280, 900, 980, 2000, 4000, 4080):
        # Each key begins a little before one of the places where texts are cut.
        for token in tokens:
            key = token.rpartition(" ")[2]
            if len(key) > 20:
                yield page(500, "x" * before + key)
                yield events({"error": {"message": "y" * before + key}})
                yield events(delta("z" * before + key), end=True)
    latin = line.encode("utf-8", "replace")[:4000]
    for name in (
        "X-Request-Id",
        "Location",
        "Retry-After",
        "Content-Type",
        "X-RateLimit-Limit-Tokens",
    ):
        for value in (latin, bare.encode()[:4000]):
            status = 302 if name == "Location" else 400
            yield b"HTTP/1.1 %d X\r\n%s: %s\r\nContent-Length: 0\r\n\r\n" % (
                status, name.encode(), value,
            )  # fmt: skip
    yield b"HTTP/1.1 418 " + latin + b"\r\nContent-Length: 0\r\n\r\n"
    yield b"HTTP/1.1 200 OK\r\nContent-Encoding: " + bare.encode()[:300] + b"\r\n\r\n"
    yield latin + b"\r\n\r\n"
    yield events({"model": bare, "id": bare, **delta("5")})
    yield events({**delta("5"), "choices": [{"delta": {}, "finish_reason": bare}]})


def delta(text: str) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


def page(status: int, body: str, media: str = "application/json") -> bytes:
    data = body.encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def events(document: dict[str, object], end: bool = False) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    tail = f"data: {json.dumps(finish)}\n\ndata: [DONE]\n\n" if end else ""
    return head + f"data: {json.dumps(document)}\n\n{tail}".encode()


# --------------------------------------------------------------------------------- the whole show


async def monitor(port: int, folder: Path, *arguments: str) -> str:
    """All that one command says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", *arguments, env=environment(port), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode in {0, 1, 2}, said.decode()
    return said.decode()


PAGES = (
    "/metrics", "/", "/-/healthy", "/-/ready", "/api/v1/checks", "/api/v1/checks/variable",
    "/api/v1/checks/private", "/api/v1/outages?since=30d", "/outages.atom", "/badge/variable.svg",
    "/openapi.json", "/nothing-here",
)  # fmt: skip


def fetched(port: int) -> dict[str, str]:
    """What the running service serves; pages that this version lacks are short answers, too."""
    found = {}
    for path in PAGES:
        for accept in ("*/*", "application/openmetrics-text;version=1.0.0"):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}{path}", headers={"Accept": accept}
            )
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    request, timeout=10
                ) as answer:
                    found[f"{path} as {accept}"] = answer.read().decode()
            except urllib.error.HTTPError as error:
                found[f"{path} as {accept}"] = error.read().decode()
    return found


async def served(folder: Path, config: Path, echo: Echo, port: int) -> dict[str, str]:
    """Everything that `monitor run` says while and after it runs."""
    listen, log = free_port(), folder / "log"
    command = [sys.executable, "-m", "monitor", "run", "--config", str(config), "--log-level",
               "debug", "--listen", f"127.0.0.1:{listen}", "--data-dir", str(folder / "data"),
               "--enable-lifecycle"]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment(port), cwd=ROOT, stdout=out, stderr=out)
    said: dict[str, str] = {}
    try:
        said["process arguments"] = Path(f"/proc/{process.pid}/cmdline").read_text()
        for turn in range(200):
            await asyncio.sleep(0.05)
            if turn > 60 and echo.heard.count("HTTP/1.1") > 120:
                break
        said |= {
            f"while running {k}": v for k, v in (await asyncio.to_thread(fetched, listen)).items()
        }
        good = config.read_text()
        config.write_text(good + f"\nnonsense: {CANARIES['reload']}\n")
        process.send_signal(1)
        await asyncio.sleep(0.5)
        config.write_text(good)
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert process.returncode == 0, log.read_text()
    said["its log"] = log.read_text()
    for path in (folder / "data").rglob("*"):
        said[f"file {path.name}"] = path.read_bytes().decode("latin-1")
    return said


@pytest.mark.timeout(180)
async def test_no_canary_is_ever_said(tmp_path: Path) -> None:
    echo = Echo()
    async with serving(echo.answer) as port:
        config = configured(tmp_path, port)
        said = await served(tmp_path, config, echo, port)
        data, c = str(tmp_path / "data"), ("--config", str(config))
        for arguments in (
            ("validate", *c),
            ("validate", "--json", *c),
            ("once", *c, "--log-level", "debug"),
            ("once", "--json", *c),
            ("once", "--trace", *c),
            ("once", "--trace", "--json", *c),
            *(
                ("outages", "--data-dir", data, "--format", form)
                for form in ("table", "json", "csv")
            ),
            ("outages", "--data-dir", data, "--incidents"),
            ("export", "--data-dir", data, "--since", "1d"),
        ):
            said[" ".join(arguments[:2])] = await monitor(port, tmp_path, *arguments)
    refused = {"query", "guard", "reachability", "reload"}
    assert set(leaks(echo.heard)) | {"aws"} == set(CANARIES) - refused, "not all keys were used"
    found = {where: leaks(text) for where, text in said.items() if leaks(text)}
    assert not found
    assert MARK in said["while running / as */*"], "the echoes were never shown"
    # What a private check's provider said is for the ledger and for nobody who only can see pages.
    shown = "".join(text for where, text in said.items() if where.startswith("while running"))
    assert "private-evidence" not in shown
    assert any("private-evidence" in text for where, text in said.items() if "file" in where)


@pytest.mark.parametrize(
    ("place", "entry"),
    [
        ("query", {"url": "http://a.example/v1?api_key={}"}),
        ("query", {"url": "http://a.example/v1?x=1&Signature={}"}),
        ("guard", {"guard": {"targets": ["https://user:{}@a.example"]}}),
        ("guard", {"guard": {"targets": ["tcp://user:{}@a.example:1"]}}),
        ("reachability", {"reachability": {"url": "http://user:{}@a.example/v1"}}),
        ("literal", {"api_keyy": "{}"}),
        ("literal", {"timeout": "{}"}),
        ("file", {"api_key_file": "{}"}),
        ("header", {"headers": ["{}"]}),
        ("bearer", {"headers": {"Authorization": {"x": "Bearer {}"}}}),
        ("proxy", {"proxy": "socks5://user:{}@a.example"}),
        ("web", {"name": "{}" * 2}),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
async def test_what_is_refused_is_not_told(
    place: str, entry: dict[str, object], form: tuple[str, ...], tmp_path: Path
) -> None:
    text = json.dumps(entry).replace("{}", json.dumps(CANARIES[place])[1:-1])
    check = {"name": "c", "url": "http://a.example/v1", "model": "m", **json.loads(text)}
    top = {"guard": check.pop("guard", False), "checks": [check]}
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(top))
    said = await monitor(1, tmp_path, "validate", *form, "--config", str(path))
    assert "c.yaml" in said
    assert leaks(said) == []


async def test_a_bug_of_ours_tells_no_secret(tmp_path: Path) -> None:
    """An exception that holds the key, in a probe, where it is logged, and where nobody looks."""
    path = tmp_path / "c.yaml"
    check = {"name": "c", "url": "http://127.0.0.1:9/v1", "model": "m", "api_key": "${CANARY_KEY}"}
    path.write_text(json.dumps({"checks": [check], "guard": False}))
    for place in ("monitor.probe.chat.now", "monitor.once.table"):
        module = place.rpartition(".")[0]
        script = (
            f"import sys, {module}\n"
            "from monitor.cli import main\n"
            "def bug(*a, **k): raise KeyError('a bug ' + __import__('os').environ['CANARY_KEY'])\n"
            f"{place} = bug\n"
            f"sys.exit(main(['once', '--config', {str(path)!r}]))\n"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, env=environment(1), cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await process.communicate())[0].decode()
        assert "Traceback" in said, said
        assert "a bug" in said
        assert leaks(said) == []


# ------------------------------------------------------------------------------------- the parts


def all_secrets(folder: Path) -> tuple[Config, list[Check]]:
    path = configured(folder, 9)
    config = load(path, {"CANARY_KEY": CANARIES["variable"]})
    return config, list(config.checks)


def test_no_repr_of_a_configuration_tells_one(tmp_path: Path) -> None:
    config, checks = all_secrets(tmp_path)
    assert leaks(repr(config)) == []
    assert leaks("".join(f"{check!r} {check}" for check in checks)) == []
    assert leaks("\n".join(config.warnings)) == []


def test_the_log_and_the_probe_know_every_secret(tmp_path: Path) -> None:
    config, checks = all_secrets(tmp_path)
    known = {"variable", "file", "literal", "bearer", "header", "cookie", "password", "aws",
             "session", "proxy", "web"}  # fmt: skip
    for secret in (CANARIES[place] for place in known):
        for text in (
            secret,
            quote(secret, safe=""),
            json.dumps(secret),
            b64encode(secret.encode()).decode(),
        ):
            by_log = redact(f"a {text} b", secrets(config))
            by_probe = redact(
                f"a {text} b", [one for check in checks for one in check_secrets(check)]
            )
            assert leaks(by_log) == []
            assert leaks(by_probe) == []


@pytest.mark.parametrize("size", [8, 9, 20, 43])
@pytest.mark.parametrize("after", ["", "…", "…'", "… (cut)", "…' and 'sk-a…"])
def test_a_secret_that_lost_its_end_is_one(size: int, after: str) -> None:
    key = canary("cut", "sk-")
    cut = redact_cut(f"seen 'Bearer {key[:size]}{after}", (f"Bearer {key}",))
    assert key[:8] not in cut
    assert cut.startswith("seen '")
    assert cut.endswith(after)


def test_a_text_that_only_begins_like_a_secret_is_left_alone() -> None:
    key = canary("cut", "sk-")
    for text in ("sk-", f"{key[:7]}", f"{key[:12]} and more", "", "…", "a…b"):
        assert redact_cut(text, (key,)) == text


def test_what_follows_a_scheme_or_a_name_is_a_secret_too() -> None:
    assert redact("x hunter2-hunter2 y", ("user:hunter2-hunter2",)) == f"x {MARK} y"
    assert redact("x abcdefgh1 y", ("Bearer abcdefgh1",)) == f"x {MARK} y"
    assert redact("x secret/key1 token-12 y", (f"{ACCESS_KEY}:secret/key1:token-12",)) == (
        f"x {MARK} {MARK} y"
    )


@pytest.mark.parametrize("before", range(0, 330, 3))
async def test_no_place_where_a_text_is_cut_shows_a_piece(before: int, client: Client) -> None:
    """Wherever a key stands in a plain error page, and in the answer of a stream."""
    key = canary("cut", "sk-proj-") * 4
    check = chat_check(api_key=Secret(key))
    for said in (page(500, "x" * before + key), events(delta("x" * before + key), end=True)):
        async with serving(always(said)) as port:
            url = f"http://127.0.0.1:{port}/v1"
            seen = await chat(client, replace(check, url=url), random.Random(1))
        assert key[:16] not in repr(seen)

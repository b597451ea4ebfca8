"""The web configuration: what is refused, TLS over real sockets, passwords, reloads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
import pytest
import trustme

from monitor import healthcheck
from monitor.config import ConfigErrors
from monitor.config.server_tls import CIPHERS, CURVES
from monitor.config.web import Rate, WebConfig, load
from monitor.run.address import Address
from monitor.run.listen import bound, listening
from monitor.run.web_config import WebFile
from monitor.show import access
from monitor.show.access import Bucket, Passwords
from monitor.show.metrics import Metrics
from monitor.show.server import HEADERS, build_app
from tests.serving import free_port
from tests.test_cli import ROOT, environment, monitor

BAD = sorted((ROOT / "tests/configs/web/bad").glob("*.yml"))
PASSWORD = "correct horse"
#: The salt is fixed: names of tests that hold the hash have to be the same in every worker.
HASH = bcrypt.hashpw(PASSWORD.encode(), b"$2b$04$" + b"saltsaltsaltsaltsaltse").decode()
TLS = "cert_file: server.pem, key_file: server.pem"
MUTUAL = f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates: ours, two clients', and a stranger's."""
    folder = tmp_path_factory.mktemp("pki")
    ours, strange = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(folder / "ca.pem")
    for name, ca, identity in [
        ("server", ours, "localhost"),
        ("next", ours, "localhost"),
        ("client", ours, "prometheus.example"),
        ("guest", ours, "guest.example"),
        ("strange", strange, "prometheus.example"),
    ]:
        issued = ca.issue_cert(identity, "::1")
        issued.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    return folder


@pytest.fixture
def home(pki: Path, tmp_path: Path) -> Path:
    """A folder of one's own with these certificates."""
    return shutil.copytree(pki, tmp_path / "web")


def written(home: Path, text: str) -> Path:
    file = home / "web.yml"
    file.write_text(text)
    return file


def tls_only(options: str) -> str:
    return f"tls_server_config: {{{options}}}"


def users(**stored: str) -> str:
    return f"basic_auth_users: {json.dumps(stored)}"


@contextlib.asynccontextmanager
async def site(file: Path, **changes: Any) -> AsyncIterator[tuple[WebFile, str]]:
    """The product's HTTP surface behind the web configuration of a file, and its address."""
    told: dict[str, Any] = {
        "scrape": Metrics("1.2.3").scrape,
        "ready": lambda: True,
        "views": list,
        "version": "1.2.3",
    }
    rules = WebFile(file)
    async with (
        bound(Address("127.0.0.1", 0)) as sockets,
        asyncio.TaskGroup() as group,
        listening(build_app(**(told | changes)), sockets, rules, group),
    ):
        yield rules, f"{rules.scheme}://localhost:{sockets[0].getsockname()[1]}"


def trusting(home: Path, certificate: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(home / "ca.pem"))
    if certificate:
        context.load_cert_chain(home / f"{certificate}.pem")
    return context


async def get(url: str, context: ssl.SSLContext | None = None, **more: Any) -> Any:
    async with aiohttp.ClientSession() as session:
        response = await session.get(url, ssl=context or True, **more)
        await response.read()
        return response


async def status(url: str, context: ssl.SSLContext | None = None, **more: Any) -> int:
    return int((await get(url, context, **more)).status)


async def refused(url: str, context: ssl.SSLContext) -> bool:
    """Whether the connection is ended without an answer."""
    try:
        await status(url, context)
    except aiohttp.ClientError:
        return True
    return False


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_files_are_refused_with_exactly_these_messages(path: Path, home: Path) -> None:
    text = path.read_text()
    file = written(home, text)
    with pytest.raises(ConfigErrors) as caught:
        load(file)
    told = [str(error).removeprefix(f"{file}:") for error in caught.value.errors]
    assert told == re.findall(r"^# expect: (.*)$", text, re.MULTILINE)


def test_nothing_is_asked_where_nothing_is_written(home: Path) -> None:
    for text in ("", "tls_server_config:\nbasic_auth_users: {}\n", "http_server_config: {}"):
        config = load(written(home, text))
        assert (config.tls, config.users, config.headers, config.rate) == (None, {}, {}, None)
        assert [warning.partition(": ")[2] for warning in config.warnings] == [
            "nothing is asked of clients: neither TLS nor a password"
        ]


def test_what_acts_otherwise_than_elsewhere_is_told(home: Path) -> None:
    file = written(home, f"http_server_config: {{http2: true}}\n{users(ada=HASH)}")
    http2, plain = load(file).warnings
    assert "HTTP/1.1 only" in plain + http2
    assert "readably" in plain + http2
    assert not load(written(home, f"{tls_only(TLS)}\n{users(ada=HASH)}")).warnings


def test_no_secret_is_in_a_message_or_repr(home: Path) -> None:
    key = (home / "server.pem").read_text()
    secret = "correct-horse"
    texts = [
        users(ada=secret),
        users(ada=HASH.replace("$04$", "$31$")),
        json.dumps({"basic_auth_users": {HASH: "ada"}}),
        json.dumps({"basic_auth_users": secret}),
        json.dumps({"tls_server_config": {"cert_file": key, "key_file": secret, "key": [key]}}),
        json.dumps({"tls_server_config": {"cert": secret, "key": key.replace("M", "N")}}),
        json.dumps({HASH: 1, "key": key}),
    ]
    for text in texts:
        with pytest.raises(ConfigErrors) as caught:
            load(written(home, text))
        told = str(caught.value)
        assert HASH[10:] not in told
        assert key[60:90] not in told
        assert secret not in told
    assert HASH not in repr(load(written(home, users(ada=HASH))))


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(home: Path) -> None:
    from cryptography.hazmat.primitives import serialization as s

    key = s.load_pem_private_key((home / "server.pem").read_bytes(), None)
    sealed = key.private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"pass")
    )
    (home / "sealed.pem").write_bytes(sealed)
    with pytest.raises(ConfigErrors, match=r"key_file: seen a key with a passphrase"):
        load(written(home, tls_only("cert_file: server.pem, key_file: sealed.pem")))


@pytest.mark.parametrize("name", CIPHERS)
def test_every_cipher_suite_that_is_accepted_exists(name: str, home: Path) -> None:
    config = load(written(home, tls_only(f"{TLS}, cipher_suites: [{name}]")))
    assert config.tls is not None
    enabled = {
        suite["name"] for suite in config.tls.get_ciphers() if suite["protocol"] != "TLSv1.3"
    }
    # Suites of TLS 1.3 are always on; with nothing else, no older version is spoken.
    assert CIPHERS[name] in enabled or config.tls.minimum_version is ssl.TLSVersion.TLSv1_3


# ------------------------------------------------------------------------------------------ TLS


async def test_pages_are_served_by_tls_and_not_without(home: Path) -> None:
    async with site(written(home, tls_only(TLS))) as (_, url):
        assert url.startswith("https://")
        response = await get(f"{url}/metrics", trusting(home))
        assert response.status == 200
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        with pytest.raises(aiohttp.ClientError):
            await status(url.replace("https", "http"))


async def test_certificate_and_key_may_stand_in_the_file_itself(home: Path) -> None:
    pem = (home / "server.pem").read_text()
    text = json.dumps({"tls_server_config": {"cert": pem, "key": pem}})
    async with site(written(home, text)) as (_, url):
        assert await status(f"{url}/-/healthy", trusting(home)) == 200


def versions(home: Path, low: ssl.TLSVersion, high: ssl.TLSVersion) -> ssl.SSLContext:
    context = trusting(home)
    context.set_ciphers("ALL:@SECLEVEL=0")  # or OpenSSL would not even try the old ones
    context.minimum_version, context.maximum_version = low, high
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("options", "spoken"),
    [
        ("", {"TLSv1_2", "TLSv1_3"}),
        ("min_version: TLS13", {"TLSv1_3"}),
        ("max_version: TLS12", {"TLSv1_2"}),
        ("cipher_suites: [TLS_AES_128_GCM_SHA256]", {"TLSv1_3"}),
    ],
)
async def test_only_these_versions_of_tls_are_spoken(
    options: str, spoken: set[str], home: Path
) -> None:
    async with site(written(home, tls_only(f"{TLS}, {options}"))) as (_, url):
        for name in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"):
            only = ssl.TLSVersion[name]
            assert await refused(url, versions(home, only, only)) is (name not in spoken), name


@pytest.mark.parametrize(
    ("options", "client", "welcome"),
    [
        (MUTUAL, None, False),
        (MUTUAL, "strange", False),
        (MUTUAL, "client", True),
        (MUTUAL, "guest", True),
        (f"{MUTUAL}, client_allowed_sans: [other.example, prometheus.example]", "client", True),
        (f"{MUTUAL}, client_allowed_sans: [other.example, prometheus.example]", "guest", False),
        (f"{MUTUAL}, client_allowed_sans: [example]", "client", False),
        (f"{MUTUAL}, client_allowed_sans: ['0:0:0:0:0:0:0:1']", "client", True),
        (MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), None, True),
        (MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), "client", True),
        (MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), "strange", False),
        (f"{TLS}, client_auth_type: NoClientCert", "strange", True),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_who_is_let_in_by_certificate(
    options: str, client: str | None, welcome: bool, version: ssl.TLSVersion, home: Path
) -> None:
    context = trusting(home, client)
    context.maximum_version = version
    async with site(written(home, tls_only(options))) as (_, url):
        assert await refused(f"{url}/-/healthy", context) is not welcome


async def test_authorities_of_clients_may_stand_in_the_file_itself(home: Path) -> None:
    options = {"cert_file": "server.pem", "key_file": "server.pem"}
    options |= {"client_auth_type": "RequireAndVerifyClientCert"}
    text = json.dumps(
        {"tls_server_config": {**options, "client_ca": (home / "ca.pem").read_text()}}
    )
    async with site(written(home, text)) as (_, url):
        assert await refused(url, trusting(home))
        assert not await refused(url, trusting(home, "client"))


async def test_the_cipher_suites_are_those_listed_in_that_order(home: Path) -> None:
    listed = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    for more, spoken in [
        ("", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (", prefer_server_cipher_suites: false", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ]:
        options = f"{TLS}, max_version: TLS12, cipher_suites: [{listed}]{more}"
        async with site(written(home, tls_only(options))) as (_, url):
            context = trusting(home)
            context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
            port = int(url.rpartition(":")[2])
            _, writer = await asyncio.open_connection("localhost", port, ssl=context)
            assert writer.get_extra_info("cipher")[0] == spoken
            writer.transport.abort()
            context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
            assert await refused(url, context)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(("curve", "other"), [("X25519", "P-256"), ("CurveP256", "X25519")])
async def test_the_curve_is_the_one_named(curve: str, other: str, home: Path) -> None:
    same = {"CurveP256": "P-256"}.get(curve, curve)
    assert curve in CURVES
    async with site(written(home, tls_only(f"{TLS}, curve_preferences: [{curve}]"))) as (_, url):
        place = url.removeprefix("https://")
        for group, good in [(same, True), (other, False)]:
            command = ("openssl", "s_client", "-groups", group, "-connect", place)
            process = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            said, _ = await process.communicate()
            assert (b"Cipher is (NONE)" not in said) is good, said


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_gets_in_with_all_that_is_asked_for(home: Path) -> None:
    async with site(written(home, f"{tls_only(MUTUAL)}\n{users(ada=HASH)}")) as (_, url):
        sure = ("--cacert", home / "ca.pem", "--cert", home / "client.pem")
        for more, want in [(("-u", f"ada:{PASSWORD}"), b"200 1.1"), ((), b"401 1.1")]:
            process = await asyncio.create_subprocess_exec(
                "curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{http_version}",
                *sure, *more, f"{url}/metrics", stdout=subprocess.PIPE,
            )  # fmt: skip
            assert (await process.communicate())[0] == want


# ------------------------------------------------------------------------------------ passwords


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def auth(name: str = "ada", password: str = PASSWORD) -> dict[str, Any]:
    return {"headers": {"Authorization": basic(name, password)}}


@pytest.mark.parametrize(
    ("headers", "want"),
    [
        (None, 401),
        (basic("ada", PASSWORD), 200),
        (basic("ada", PASSWORD).replace("Basic", "bAsIc"), 200),
        (basic("ada", PASSWORD + "x"), 401),
        (basic("ada", ""), 401),
        (basic("Ada", PASSWORD), 401),
        (basic("eve", PASSWORD), 401),
        (basic("", ""), 401),
        ("Bearer " + basic("ada", PASSWORD)[6:], 401),
        ("Basic", 401),
        ("Basic !!!!", 401),
        (basic("ada", PASSWORD).replace(" ", " !"), 401),
        ("Basic YWRh", 401),  # a name without a colon
        ("Basic /////w==", 401),  # no UTF-8
        (basic("ada", HASH), 401),
    ],
)
async def test_who_is_let_in_by_password(headers: str | None, want: int, home: Path) -> None:
    async with site(written(home, users(ada=HASH, bob=HASH))) as (_, url):
        sent = {"Authorization": headers} if headers else {}
        for path in ("/metrics", "/-/healthy", "/"):
            response = await get(f"{url}{path}", headers=sent)
            assert response.status == want, path
            assert ("WWW-Authenticate" in response.headers) is (want == 401)
            assert response.headers["X-Frame-Options"] == HEADERS["X-Frame-Options"]


async def test_who_is_not_let_in_learns_nothing_of_what_there_is(home: Path) -> None:
    async with site(written(home, users(ada=HASH))) as (_, url), aiohttp.ClientSession() as client:
        for method, path in [("GET", "/no/such/page"), ("POST", "/metrics"), ("PUT", "/-/reload")]:
            assert (await client.request(method, url + path)).status == 401


async def test_a_password_is_as_long_as_bcrypt_sees(home: Path) -> None:
    long = "é" * 36 + "seen by nobody"
    stored = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()
    async with site(written(home, users(ada=stored))) as (_, url):
        assert await status(url, **auth(password=long)) == 200
        assert await status(url, **auth(password=long[1:])) == 401


@pytest.mark.parametrize("kind", ["2a", "2b", "2y"])
async def test_hashes_of_all_makers_are_known(kind: str, home: Path) -> None:
    async with site(written(home, users(ada=HASH.replace("2b", kind, 1)))) as (_, url):
        assert await status(url, **auth()) == 200


class Checker:
    """Counts what bcrypt is asked; says yes to the right password."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []
        self.threads: set[int] = set()
        self.running = self.most = 0
        self.lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, password: bytes, stored: bytes) -> bool:
        with self.lock:
            self.asked.append((password, stored))
            self.threads.add(threading.get_ident())
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.gate.wait(20)
        with self.lock:
            self.running -= 1
        return password == PASSWORD.encode()


@pytest.fixture
def checker() -> Checker:
    return Checker()


@pytest.fixture
async def passwords(checker: Checker) -> AsyncIterator[Passwords]:
    made = Passwords(checker)
    yield made
    checker.gate.set()
    made.close()


KNOWN = {"ada": HASH}


async def test_each_verdict_is_found_once_and_off_the_loop(
    passwords: Passwords, checker: Checker
) -> None:
    for _ in range(3):
        assert await passwords.right(KNOWN, "ada", PASSWORD.encode())
        assert not await passwords.right(KNOWN, "ada", b"wrong")
    assert [password for password, _ in checker.asked] == [PASSWORD.encode(), b"wrong"]
    assert threading.get_ident() not in checker.threads


async def test_an_unknown_name_costs_what_a_wrong_password_costs(
    passwords: Passwords, checker: Checker
) -> None:
    assert not await passwords.right(KNOWN, "ada", b"wrong")
    # Not even the right password of another one lets a name in.
    assert not await passwords.right(KNOWN, "eve", PASSWORD.encode())
    (_, real), (_, decoy) = checker.asked
    assert decoy[:7] == real[:7] == b"$2b$04$"
    assert not bcrypt.checkpw(b"", decoy)


async def test_the_same_question_at_the_same_time_is_asked_once_and_others_two_at_a_time(
    passwords: Passwords, checker: Checker
) -> None:
    checker.gate.clear()
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            for _ in range(3):
                group.create_task(passwords.right(KNOWN, "ada", b"%d" % number))
        while checker.running < access.AT_ONCE:
            await asyncio.sleep(0)  # and the loop runs on
        checker.gate.set()
    assert len(checker.asked) == 8
    assert checker.most == access.AT_ONCE


async def test_what_is_remembered_is_bounded_and_holds_no_password(
    passwords: Passwords, checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "REMEMBERED", 10)
    for number in range(50):
        await passwords.right(KNOWN, "ada", b"secret-%d" % number)
        assert await passwords.right(KNOWN, "ada", PASSWORD.encode())
    kept = passwords._verdicts
    assert len(kept) == 10
    assert "secret" not in repr(kept)
    # What is asked for often is remembered for long.
    assert sum(password == PASSWORD.encode() for password, _ in checker.asked) == 1
    other = Passwords(checker)
    await other.right(KNOWN, "ada", PASSWORD.encode())
    assert not set(other._verdicts) & set(kept)
    other.close()


async def test_a_new_hash_or_a_lost_user_is_judged_anew(passwords: Passwords) -> None:
    assert await passwords.right(KNOWN, "ada", PASSWORD.encode())
    assert not await passwords.right({}, "ada", PASSWORD.encode())
    assert not await passwords.right({"bob": HASH}, "ada", PASSWORD.encode())
    renewed = {"ada": bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode()}
    real = Passwords()
    assert await real.right(KNOWN, "ada", PASSWORD.encode())
    assert not await real.right(renewed, "ada", PASSWORD.encode())
    real.close()


# --------------------------------------------------------------------------- headers and rates


async def test_headers_of_the_operator_replace_ours(home: Path) -> None:
    text = """http_server_config:
      headers:
        X-Frame-Options: sameorigin
        Content-Security-Policy: ""
        Strict-Transport-Security: max-age=31536000
    """
    async with site(written(home, text)) as (_, url):
        for path in ("/", "/no/such/page"):
            headers = (await get(url + path)).headers
            assert headers.getall("X-Frame-Options") == ["sameorigin"]
            assert "Content-Security-Policy" not in headers
            assert headers["Strict-Transport-Security"] == "max-age=31536000"
            assert headers["Referrer-Policy"] == "no-referrer"


async def test_requests_over_the_rate_are_turned_away(home: Path) -> None:
    async with site(written(home, "rate_limit: {interval: 1h, burst: 3}")) as (rules, url):
        assert [await status(f"{url}/-/healthy") for _ in range(5)] == [200, 200, 200, 429, 429]
        rules.now = WebConfig()
        assert await status(f"{url}/-/healthy") == 200


@pytest.mark.parametrize("interval", ["0", "0s"])
def test_a_rate_of_zero_is_no_limit(interval: str, home: Path) -> None:
    assert load(written(home, f"rate_limit: {{interval: {interval}, burst: 1}}")).rate is None


def test_tokens_come_back_with_time_and_no_more_than_the_burst() -> None:
    at = [0.0]
    bucket, limit = Bucket(lambda: at[0]), Rate(interval=2.0, burst=3)

    def taken() -> int:
        return next(count for count in range(10) if not bucket.take(limit))

    assert taken() == 3
    at[0] += 3.9
    assert taken() == 1
    at[0] += 0.1
    assert taken() == 1
    at[0] += 1000
    assert taken() == 3


# -------------------------------------------------------------------------------------- reloads


async def serial(url: str, home: Path) -> str:
    port = int(url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("localhost", port, ssl=trusting(home))
    try:
        return str(writer.get_extra_info("peercert")["serialNumber"])
    finally:
        writer.transport.abort()


async def test_a_rotated_certificate_is_shown_to_the_next_client(home: Path) -> None:
    async with site(written(home, tls_only(TLS))) as (rules, url):
        before = await serial(url, home)
        await rules.look()
        assert await serial(url, home) == before
        async with aiohttp.ClientSession() as session:
            assert (await session.get(url, ssl=trusting(home))).status == 200
            shutil.copy(home / "next.pem", home / "server.pem")
            await rules.look()
            assert await serial(url, home) != before
            # Who is connected stays so.
            assert (await session.get(url, ssl=trusting(home))).status == 200


async def test_certificates_are_followed_through_links(home: Path) -> None:
    """As a mounted Secret is: its files are links, and one link is swapped under them."""
    for name in ("server", "next"):
        (home / f"..{name}").mkdir()
        shutil.copy(home / f"{name}.pem", home / f"..{name}/tls.pem")
    (home / "..data").symlink_to("..server")
    (home / "tls.pem").symlink_to("..data/tls.pem")
    options = "cert_file: tls.pem, key_file: tls.pem"
    async with site(written(home, tls_only(options))) as (rules, url):
        before = await serial(url, home)
        (home / "..swap").symlink_to("..next")
        (home / "..swap").rename(home / "..data")
        await rules.look()
        assert await serial(url, home) != before


async def test_a_bad_file_changes_nothing_and_is_told_once(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(written(home, f"{tls_only(TLS)}\n{users(ada=HASH)}")) as (rules, url):
        file = written(
            home, "tls_server_config: {cert_fil: x}\nbasic_auth_users: {ada: plain-word}"
        )
        for _ in range(3):
            await rules.look()
        assert await status(url, trusting(home), **auth()) == 200
        assert await status(url, trusting(home)) == 401
        told = [record.fields["error"] for record in caplog.records if record.levelname == "ERROR"]  # type: ignore[attr-defined]
        assert len(told) == 2
        assert all(line.startswith(f"{file}:") for line in told)
        assert "plain-word" not in "".join(told)
        # A user who goes loses access with the next request.
        written(home, f"{tls_only(TLS)}\n{users(bob=HASH)}")
        await rules.look()
        assert await status(url, trusting(home), **auth()) == 401
        assert await status(url, trusting(home), **auth("bob")) == 200


async def test_a_key_that_comes_after_its_certificate_is_waited_for(home: Path) -> None:
    options = "cert_file: new.pem, key_file: new.key"
    async with site(written(home, tls_only(TLS))) as (rules, url):
        before = await serial(url, home)
        written(home, tls_only(options))
        await rules.look()
        shutil.copy(home / "next.pem", home / "new.pem")
        await rules.look()
        assert await serial(url, home) == before
        shutil.copy(home / "next.pem", home / "new.key")
        await rules.look()
        assert await serial(url, home) != before


async def test_who_need_not_be_trusted_any_more_is_turned_away(home: Path) -> None:
    async with site(written(home, tls_only(MUTUAL))) as (rules, url):
        assert not await refused(url, trusting(home, "client"))
        trustme.CA().cert_pem.write_to_path(home / "other.pem")
        shutil.move(home / "ca.pem", home / "old-ca.pem")
        shutil.move(home / "other.pem", home / "ca.pem")
        await rules.look()
        shutil.copy(home / "old-ca.pem", home / "trusted.pem")
        context = ssl.create_default_context(cafile=str(home / "old-ca.pem"))
        context.load_cert_chain(home / "client.pem")
        assert await refused(url, context)


# ------------------------------------------------------------------------------ the health check


async def health(url: str, **env: str) -> int:
    told = {"MONITOR_LISTEN": f"127.0.0.1:{url.rpartition(':')[2]}", **env}
    return await asyncio.to_thread(healthcheck.main, told)


@pytest.mark.parametrize(
    "text",
    [
        "",
        users(ada=HASH),
        tls_only(TLS),
        f"{tls_only(TLS)}\n{users(ada=HASH)}",
        tls_only(MUTUAL),
        tls_only(f"{MUTUAL}, max_version: TLS12"),
        tls_only(MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")),
    ],
)
async def test_the_health_check_tells_a_guarded_service_from_a_dead_one(
    text: str, home: Path
) -> None:
    file = written(home, text)
    async with site(file) as (_, url):
        assert await health(url, MONITOR_WEB_CONFIG=str(file)) == 0
    assert await health(url, MONITOR_WEB_CONFIG=str(file)) == 1


async def test_the_health_check_takes_a_plea_for_patience_as_a_sign_of_life(home: Path) -> None:
    file = written(home, "rate_limit: {interval: 1h, burst: 1}")
    async with site(file) as (_, url):
        for _ in range(2):
            assert await health(url, MONITOR_WEB_CONFIG=str(file)) == 0


async def test_the_health_check_does_not_believe_a_guarded_service_that_is_ill(home: Path) -> None:
    file = written(home, tls_only(TLS))
    async with site(file, healthy=lambda: False) as (_, url):
        assert await health(url, MONITOR_WEB_CONFIG=str(file)) == 1


async def test_the_health_check_does_not_wait_for_tls_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(healthcheck, "PATIENCE", 0.1)
    async with bound(Address("127.0.0.1", 0)) as sockets:
        port = sockets[0].getsockname()[1]
        assert await health(f":{port}", MONITOR_WEB_CONFIG="x") == 1


# ------------------------------------------------------------------------------ the command line


def one_check(home: Path) -> Path:
    config = home / "checks.yaml"
    check = {"name": "x", "type": "web", "url": "http://127.0.0.1:1/"}
    config.write_text(json.dumps({"guard": False, "checks": [check]}))
    return config


@pytest.mark.parametrize("command", ["run", "validate"])
async def test_errors_of_both_files_are_told_at_once(command: str, home: Path) -> None:
    config = one_check(home)
    config.write_text("chekcs: []")
    file = written(home, "tls: {}")
    code, out, err = await monitor(command, "--config", str(config), MONITOR_WEB_CONFIG=str(file))
    assert code == 2
    assert f"{config}:1: chekcs: unknown key" in err
    assert f"{file}:1: tls: unknown key" in err
    assert not out


async def test_validate_tells_errors_of_the_web_configuration_to_machines(home: Path) -> None:
    file = written(home, "\n\ntls: {}")
    code, out, _ = await monitor(
        "validate", "--json", "--config", str(one_check(home)), "--web-config", str(file)
    )
    assert code == 2
    (error,) = json.loads(out)["errors"]
    assert (error["file"], error["line"], error["path"]) == (str(file), 3, "tls")


async def test_the_service_runs_by_its_web_configuration(home: Path) -> None:
    file = written(home, f"{tls_only(TLS)}\n{users(ada=HASH)}")
    port = free_port()
    url = f"https://localhost:{port}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", "run", "--config", str(one_check(home)),
        "--data-dir", str(home / "data"), "--listen", f"127.0.0.1:{port}",
        env=environment(MONITOR_WEB_CONFIG=str(file)), cwd=ROOT, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        said = b""
        while b"msg=serving" not in said:
            line = await asyncio.wait_for(process.stderr.readline(), 30)
            assert line, said
            said += line
        assert f"url=https://127.0.0.1:{port}/".encode() in said
        assert await status(f"{url}/metrics", trusting(home), **auth()) == 200
        assert await status(f"{url}/metrics", trusting(home)) == 401
        assert await health(url, MONITOR_WEB_CONFIG=str(file)) == 0
        # Within two seconds a new certificate is found, by itself.
        before = await serial(url, home)
        shutil.copy(home / "next.pem", home / "server.pem")
        async with asyncio.timeout(30):
            while await serial(url, home) == before:
                await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        rest = await asyncio.wait_for(process.stderr.read(), 30)
        assert await process.wait() == 0
        assert HASH.encode() not in said + rest
        assert PASSWORD.encode() not in said + rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# --------------------------------------------------------------------------------- the example


def example() -> str:
    text = (ROOT / "docs/web.md").read_text("utf-8")
    (found,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return str(found)


@pytest.fixture
def shown(home: Path) -> Path:
    """The example of the manual, with the files that it names."""
    for name, source in [("tls.crt", "server"), ("tls.key", "server"), ("clients-ca.crt", "ca")]:
        shutil.copy(home / f"{source}.pem", home / name)
    return written(home, example())


def test_the_example_of_the_manual_loads(shown: Path) -> None:
    config = load(shown)
    assert config.tls is not None
    assert config.users
    assert not config.warnings


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_example_of_the_manual(shown: Path) -> None:
    done = subprocess.run(
        ["promtool", "check", "web-config", str(shown)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_key_is_in_the_manual() -> None:
    from monitor.config import server_tls
    from monitor.config import web as shapes

    text = (ROOT / "docs/web.md").read_text("utf-8")
    keys = [*shapes._FileShape.__annotations__, *server_tls.TlsShape.__annotations__]
    keys += [*shapes._HeadersShape.__annotations__, *shapes._RateShape.__annotations__, "http2"]
    assert [key for key in keys if f"`{key}`" not in text] == []

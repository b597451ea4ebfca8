"""The log: one event is one line, whatever it contains, and a secret is in none of them."""

from __future__ import annotations

import io
import json
import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from monitor.model import Reason
from monitor.redact import MARK, redact
from monitor.show import logs

KEY = "sk-Pa/ss+wörd=01"
log = logging.getLogger("monitor.test")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Handlers and levels are the process's own; other tests want them back."""
    root, ours = logging.getLogger(), logging.getLogger("monitor")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def logging_to(
    format: logs.Format = "logfmt", secrets: tuple[str, ...] = (), level: str = "debug"
) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, format, lambda: secrets, stream)
    return stream


def line(stream: io.StringIO) -> str:
    """The one line that was logged, without its time stamp."""
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    return text[:-1].split(" ", 1)[1]


def test_a_line_is_time_level_message_and_fields() -> None:
    stream = logging_to()
    log.info("state changed", extra={"fields": {"check": "gpt", "reason": Reason.DNS, "n": 3}})
    assert line(stream) == 'level=info msg="state changed" check=gpt reason=dns n=3'


def test_the_time_stamp_is_utc_with_milliseconds() -> None:
    stream = logging_to("json")
    record = log.makeRecord("monitor", logging.INFO, "f", 1, "m", (), None)
    record.created = 1_800_000_000.1239
    logging.getLogger().handle(record)
    assert json.loads(stream.getvalue())["ts"] == "2027-01-15T08:00:00.123Z"


def test_fields_that_are_not_known_are_left_out() -> None:
    stream = logging_to()
    log.warning("probe", extra={"fields": {"detail": None, "good": False, "seconds": 0.25}})
    assert line(stream) == "level=warning msg=probe good=false seconds=0.25"


def test_json_keeps_the_types() -> None:
    stream = logging_to("json")
    log.error("probe", extra={"fields": {"ok": True, "n": 2, "s": 0.5, "nan": float("nan")}})
    found = json.loads(stream.getvalue())
    del found["ts"]
    expected = {"level": "error", "msg": "probe", "ok": True, "n": 2, "s": 0.5, "nan": "nan"}
    assert found == expected


HOSTILE = [
    'x\nts=2026-01-01 level=info msg="all is well"',
    "x\r\nlevel=error",
    '" check=forged "',
    "back\\slash\\",
    "bell\x07 escape\x1b[2J nul\x00 delete\x7f",
    "line\u2028separator paragraph\u2029 next\x85line",
    "right-to-left\u202egnp.exe",
    "",
    "a=b",
    "ünïcode ☃ 😀",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["field", "message", "key"])
@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_no_text_forges_a_line_or_reaches_the_terminal(
    text: str, place: str, format: logs.Format
) -> None:
    stream = logging_to(format)
    message = "%s" if place == "message" else "constant"
    fields = {"detail": text} if place == "field" else {text: "v"} if place == "key" else {}
    log.info(message, *([text] if place == "message" else []), extra={"fields": fields})
    written = stream.getvalue()
    assert len(written.splitlines()) == 1
    assert written[:-1].isprintable()
    if place != "key":
        assert unescaped(written, format, "detail" if place == "field" else "msg") == text


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_a_lone_surrogate_is_spelled_out(format: logs.Format) -> None:
    # Formatted by hand: a logger would hand it on to the test runner, which cannot encode it.
    record = log.makeRecord("monitor", logging.INFO, "f", 1, "m", (), None)
    record.fields = {"detail": "lone \udcff"}
    written = logs.LineFormatter(format, tuple).format(record)
    assert written.isascii()
    assert unescaped(written, format, "detail") == "lone \udcff"


def unescaped(written: str, format: str, key: str) -> str:
    """The value that a reader of the line gets back."""
    if format == "json":
        return str(json.loads(written)[key])
    quoted = written.split(f"{key}=", 1)[1]
    if not quoted.startswith('"'):
        return quoted.split()[0]
    decoder = json.JSONDecoder()
    plain = quoted.replace("\\U0001f600", "😀")
    return str(decoder.raw_decode(plain)[0])


def test_fields_cannot_pass_for_the_fixed_ones() -> None:
    stream = logging_to("json")
    log.info("real", extra={"fields": {"msg": "forged", "level": "debug", "a b": 1}})
    found = json.loads(stream.getvalue())
    assert (found["msg"], found["level"]) == ("real", "info")
    assert (found["msg_"], found["level_"], found["a_b"]) == ("forged", "debug", 1)


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_a_traceback_is_one_escaped_field(format: logs.Format) -> None:
    stream = logging_to(format, secrets=(KEY,))
    try:
        raise ValueError(f"two\nlines and {KEY}")
    except ValueError:
        log.exception("a bug of ours")
    text = line(stream)
    assert "Traceback (most recent call last):\\n" in text
    assert "two\\nlines" in text
    assert MARK in text
    assert "sk-Pa" not in text


def test_libraries_are_named_and_only_heard_from_warning_on() -> None:
    stream = logging_to(level="debug")
    logging.getLogger("asyncio").info("chatter")
    logging.getLogger("aiohttp.server").warning("trouble with %s", "x")
    assert line(stream) == 'level=warning msg="trouble with x" logger=aiohttp.server'


def test_what_is_below_the_level_is_silent() -> None:
    stream = logging_to(level="warning")
    log.info("not heard")
    assert stream.getvalue() == ""


def test_configuring_again_replaces_the_first_setup_and_no_other_handler() -> None:
    mine = logging.NullHandler()
    logging.getLogger().addHandler(mine)
    first, second = logging_to(), logging_to()
    log.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
    assert mine in logging.getLogger().handlers


def test_a_stream_with_a_narrow_encoding_loses_nothing() -> None:
    raw = io.BytesIO()
    logs.configure("info", "logfmt", tuple, io.TextIOWrapper(raw, "ascii", write_through=True))
    log.info("snow ☃")
    assert raw.getvalue().endswith(b'level=info msg="snow \\u2603"\n')


# -------------------------------------------------------------------------------------- secrets


def spellings() -> dict[str, str]:
    basic = f"user:{KEY}".encode()
    return {
        "as it is": KEY,
        "url-encoded": quote(KEY, safe=""),
        "url-encoded path": quote(KEY),
        "url-encoded form": quote_plus(KEY),
        "url-encoded in lower case": quote(KEY, safe="").replace("%2F", "%2f").replace("C3", "c3"),
        "base64": b64encode(KEY.encode()).decode(),
        "base64 without padding": b64encode(KEY.encode()).decode().rstrip("="),
        "url-safe base64": urlsafe_b64encode(KEY.encode()).decode(),
        "basic credentials": b64encode(basic).decode(),
        "base64 one byte later": b64encode(b"x" + KEY.encode()).decode(),
        "base64 two bytes later": b64encode(b"xy" + KEY.encode() + b"z").decode(),
        "json": json.dumps({"key": KEY}),
    }


@pytest.mark.parametrize("spelling", spellings().values(), ids=spellings().keys())
@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_no_spelling_of_a_secret_is_logged(spelling: str, format: logs.Format) -> None:
    stream = logging_to(format, secrets=(KEY, "another-secret"))
    log.info("seen %s", spelling, extra={"fields": {"detail": f"<{spelling}>"}})
    text = line(stream)
    assert text.count(MARK) == 2
    for piece in (KEY, spelling, KEY[3:9], b64encode(KEY.encode()).decode()[4:14]):
        assert piece not in text


def test_a_secret_in_a_key_is_redacted_too() -> None:
    stream = logging_to(secrets=("topsecret1",))
    log.info("m", extra={"fields": {"topsecret1": 1}})
    assert line(stream) == f"level=info msg=m {MARK}=1"


def test_new_secrets_count_from_the_next_line_on() -> None:
    secrets: list[str] = []
    stream = io.StringIO()
    logs.configure("info", "logfmt", lambda: secrets, stream)
    log.info("before-hand")
    secrets.append("before-hand")
    log.info("before-hand")
    assert [text.split("msg=")[1] for text in stream.getvalue().splitlines()] == [
        "before-hand",
        f'"{MARK}"',
    ]


def test_short_secrets_are_not_searched_for() -> None:
    assert redact("none of the above", ("none", "of", "")) == "none of the above"
    assert redact("seven77 eight888", ("seven77", "eight888")) == f"seven77 {MARK}"


def test_a_secret_that_begins_like_another_leaves_no_tail() -> None:
    assert redact("sk-12345678-tail", ("sk-12345678", "sk-12345678-tail")) == MARK


def test_text_without_secrets_is_left_alone() -> None:
    assert redact("a normal line", (KEY,)) == "a normal line"
    assert redact("a normal line", ()) == "a normal line"

"""The command line: `monitor run | once | validate | notify-test | demo | outages | …`."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monitor import __version__, commands, duration
from monitor.run.address import Address

PREFIX = "MONITOR_"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser(os.environ).parse_args(argv)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


class _Options:
    """Adds options that have an environment twin `MONITOR_…`; the command line wins."""

    def __init__(self, parser: argparse.ArgumentParser, env: Mapping[str, str]) -> None:
        self._parser = parser
        self._env = env

    def add(self, name: str, default: str, text: str, **more: Any) -> None:
        twin = _twin(name)
        # An empty variable is an unset one: compose files write `MONITOR_X=${X:-}`.
        value = self._env.get(twin) or default
        self._parser.add_argument(
            name, default=value, help=f"{text} (default {default or 'none'}; env {twin})", **more
        )

    def plain(self, *names: str, **more: Any) -> None:
        """An argument or option without a twin: it is about this one call."""
        self._parser.add_argument(*names, **more)

    def flag(self, name: str, text: str) -> None:
        twin = _twin(name)
        on = self._env.get(twin, "").lower() in {"1", "true", "yes", "on"}
        self._parser.add_argument(
            name, action="store_true", default=on, help=f"{text} (env {twin})"
        )

    def config(self) -> None:
        self.add("--config", "checks.yaml", "the checks: a file, or a directory of *.yaml")

    def logging(self, level: str) -> None:
        levels = ("debug", "info", "warning", "error")
        self.add("--log-level", level, "what to log", choices=levels)
        self.add("--log-format", "logfmt", "how to log", choices=("logfmt", "json"))

    def listen(self) -> None:
        self.add("--listen", "127.0.0.1:9817", "where to serve HTTP", type=Address.parse)

    def data_dir(self, text: str) -> None:
        self.add("--data-dir", "./data", text)

    def web_config(self) -> None:
        self.add("--web-config", "", "TLS and passwords: a file as Prometheus exporters take it")

    def serving(self) -> None:
        self.listen()
        self.web_config()
        self.data_dir("what has to survive a restart; one service each")
        self.flag("--enable-lifecycle", "allow POST /-/reload")


def _twin(name: str) -> str:
    return PREFIX + name.strip("-").replace("-", "_").upper()


Command = Callable[[argparse.Namespace], int]
Adder = Callable[[str, Command, str], _Options]


def _parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="monitor",
        description="Talks to AI chat endpoints on a schedule and tells up from down.",
        epilog="`monitor COMMAND --help` lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"monitor {__version__}")
    group = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Command, text: str) -> _Options:
        sub = group.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(command=run)
        return _Options(sub, env)

    _add_probing(command)
    _add_history(command)
    _add_rehearsal(command)
    command("schema", commands.schema, "print the JSON Schema of checks.yaml for editors")
    return parser


def _add_probing(command: Adder) -> None:
    options = command("run", commands.run, "the service: probe on schedule and serve the results")
    options.config()
    options.serving()
    options.logging("info")

    options = command("once", commands.once, "probe each check one time, now, and print a table")
    options.config()
    options.plain("names", nargs="*", metavar="NAME", help="only these checks")
    options.plain("--json", action="store_true", help="print JSON instead")
    options.plain(
        "--trace",
        action="store_true",
        help="show what was on the wire, secrets removed, and the rule that decided",
    )
    options.logging("warning")

    options = command(
        "notify-test", commands.notify_test, "send a test message to the targets of notify"
    )
    options.config()
    options.plain("names", nargs="*", metavar="NAME", help="only to these targets")
    options.logging("warning")

    options = command("validate", commands.validate, "check the configuration and price it")
    options.config()
    options.web_config()
    options.plain("--json", action="store_true", help="print JSON instead")


def _add_history(command: Adder) -> None:
    options = command("outages", commands.outages, "the outage history, from the ledger")
    options.data_dir("where the service keeps its ledger; it may be running")
    options.plain("--since", default="30d", type=_moment, metavar="WHEN", help=_WHEN)
    options.plain("--check", metavar="NAME", help="only this check")
    options.plain("--format", default="table", choices=("table", "json", "csv"))
    options.plain(
        "--incidents",
        action="store_true",
        help="JSON, rolled up: outages of one provider that overlap are one incident",
    )

    options = command("export", commands.export, "history as OpenMetrics, for promtool")
    options.data_dir("where the service keeps its ledger; it may be running")
    options.plain("--format", default="openmetrics", choices=("openmetrics",))
    options.plain("--since", default="90d", type=_moment, metavar="WHEN", help=_WHEN)
    options.plain("--until", default="0s", type=_moment, metavar="WHEN", help="the same (now)")
    options.plain(
        "--label",
        action="append",
        default=[],
        type=_label,
        metavar="NAME=VALUE",
        help="put on every series, as your Prometheus does with job and instance; repeatable",
    )
    options.plain(
        "--step",
        default="1m",
        type=_step,
        metavar="DURATION",
        help="between two samples; less than 5m, for Prometheus forgets by then (1m)",
    )


def _add_rehearsal(command: Adder) -> None:
    options = command("demo", commands.demo, "the whole product on simulated providers, no key")
    options.listen()
    options.add("--speed", "1", "how much faster the story runs", type=_positive)
    options.logging("info")

    options = command("simulate", commands.simulate, "just the simulated providers")
    options.plain(
        "scenario",
        nargs="?",
        default="healthy",
        metavar="SCENARIO",
        help="a behaviour, a provider of the demo's story, or a YAML file (default healthy)",
    )
    options.add("--listen", "127.0.0.1:9818", "where to listen", type=Address.parse)
    options.add("--speed", "1", "how much faster the scenario runs", type=_positive)
    options.logging("info")


_WHEN = "so long ago (30d), or a moment as 2026-11-24 or 2026-11-24T08:00:00Z, UTC"


def _moment(text: str) -> float:
    """Unix seconds."""
    try:
        return duration.since(text, time.time())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"seen {text!r}, expected {error}") from None


def _step(text: str) -> float:
    try:
        seconds = duration.seconds(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds < 300:
        wanted = "a duration from 1s to less than 5m"
        raise argparse.ArgumentTypeError(f"seen {text!r}, expected {wanted}")
    return seconds


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    taken = {"check", "provider", "model", "state", "outage", "reason"}
    if not equals or not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) or name in taken:
        raise argparse.ArgumentTypeError(f"seen {text!r}, expected NAME=VALUE, NAME not ours")
    return name, value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 10_000:
        raise argparse.ArgumentTypeError(f"seen {text!r}, expected a number above 0")
    return value

"""What each command does; `cli` only parses options."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from monitor import config as configuration
from monitor import terminal
from monitor.config import ConfigError, ConfigErrors
from monitor.dialects import DIALECTS
from monitor.judge.cost import estimate_per_day
from monitor.ledger import LedgerError
from monitor.model import Config, Mode, Moment
from monitor.probe.clock import now
from monitor.probe.poll import PollClock
from monitor.run.lock import DataDirError
from monitor.run.settings import Settings
from monitor.run.wanted import watchable
from monitor.run.web_config import WebFile
from monitor.show import logs
from monitor.show.records import attempt_record

log = logging.getLogger("monitor")

BAD_CONFIG = 2
T = TypeVar("T")


def run(options: argparse.Namespace) -> int:
    """The service; 0 after a clean stop, 2 for a bad configuration."""
    path = Path(options.config)

    secrets = _log_to_stderr(options)

    latest: Config | None = None

    def load() -> Config:
        nonlocal latest
        latest = _load(path, latest)
        # Kept for good: what was a secret before a reload must not surface in a log after it.
        secrets.update(configuration.secrets(latest))
        return latest

    config, web = _loaded(load), _loaded(lambda: _web_file(options))
    if config is None or web is None:
        return BAD_CONFIG
    for warning in (*config.warnings, *not_yet(config)):
        log.warning("configuration", extra={"fields": {"warning": warning}})
    data_dir, lifecycle = Path(options.data_dir), options.enable_lifecycle
    settings = Settings(options.listen, data_dir, lifecycle, path, _revision(), web)
    return served(config, load, settings)


def once(options: argparse.Namespace) -> int:
    """One attempt at each check; 0 when all are ok, 1 when any is not, 2 for bad input."""
    from monitor import once as job
    from monitor.trace import trace

    config = _loaded(lambda: _load(Path(options.config)))
    if config is None:
        return BAD_CONFIG
    _log_to_stderr(options).update(configuration.secrets(config))
    known = watchable(config)
    checks = [check for check in known if not options.names or check.name in options.names]
    unknown = sorted(set(options.names) - {check.name for check in checks})
    if unknown or not checks:
        names = ", ".join(check.name for check in known)
        seen = ", ".join(unknown) or "no check"
        print(f"monitor once: seen {seen}, expected some of: {names}", file=sys.stderr)
        return BAD_CONFIG
    poll, tapes = PollClock(), job.Tapes() if options.trace else None
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poll)) as runner:
        progress = terminal.Progress(sys.stderr, os.environ)
        attempts = runner.run(job.probe_all(config, checks, poll, progress, tapes))
    if tapes is not None:
        # With --json, what machines read stays alone on stdout.
        out = sys.stderr if options.json else sys.stdout
        for check, result in zip(checks, attempts, strict=True):
            print(trace(check, tapes.get(check.name, ()), result), file=out)
    if options.json:
        rows = [attempt_record(c, seen) for c, seen in zip(checks, attempts, strict=True)]
        print(json.dumps({"checks": rows}, indent=2))
    else:
        print(job.table(attempts, terminal.Look.of(sys.stdout, os.environ)))
    return job.exit_code(attempts)


def validate(options: argparse.Namespace) -> int:
    """All errors of the configuration, or what it will cost; 0 or 2."""
    faults: list[ConfigError] = []
    config = _loaded(lambda: _load(Path(options.config)), faults)
    web = _loaded(lambda: _web_file(options), faults)
    if config is None or web is None:
        if options.json:
            errors = [
                {"file": e.file, "line": e.line, "path": e.path, "message": e.message}
                for e in faults
            ]
            print(json.dumps({"errors": errors, "checks": 0, "cost_usd_per_day": None}, indent=2))
        else:
            print(*faults, sep="\n", file=sys.stderr)
        return BAD_CONFIG
    costs = [estimate_per_day(check) for check in config.checks]
    total = sum(cost for cost in costs if cost is not None)
    if options.json:
        result = {"errors": [], "checks": len(config.checks), "cost_usd_per_day": round(total, 6)}
        print(json.dumps(result, indent=2))
        return 0
    for warning in (*config.warnings, *not_yet(config), *web.now.warnings):
        print(f"warning: {warning}", file=sys.stderr)
    print(_price_list(config, costs, total))
    return 0


def notify_test(options: argparse.Namespace) -> int:
    """A test message to every target, or those named; 0 all delivered, 1 any not, 2 bad input."""
    config = _loaded(lambda: _load(Path(options.config)))
    if config is None:
        return BAD_CONFIG
    _log_to_stderr(options).update(configuration.secrets(config))
    targets = [one for one in config.notify if not options.names or one.name in options.names]
    unknown = sorted(set(options.names) - {target.name for target in targets})
    if unknown or not targets:
        names = ", ".join(target.name for target in config.notify) or "targets under notify"
        seen = ", ".join(unknown) or "no target"
        print(f"monitor notify-test: seen {seen}, expected some of: {names}", file=sys.stderr)
        return BAD_CONFIG
    # Imported here, as in `served`: HTTP takes longer to import than most commands to run.
    from monitor.notify.send import try_out

    outcomes = asyncio.run(try_out(targets, now()))
    columns = [terminal.Column(title) for title in ("target", "kind", "result")]
    rows = [
        [
            terminal.Cell(target.name),
            terminal.Cell(target.kind),
            terminal.Cell(outcome.error or "ok", terminal.RED if outcome.error else terminal.GREEN),
        ]
        for target, outcome in zip(targets, outcomes, strict=True)
    ]
    print(terminal.table(columns, rows, terminal.Look.of(sys.stdout, os.environ)))
    return 1 if any(outcome.error for outcome in outcomes) else 0


def not_yet(config: Config) -> list[str]:
    """What the file asks for that this version reads and checks, but does not do yet."""
    asked = {
        "type: status-page": any(check.mode is Mode.STATUS_PAGE for check in config.checks),
        "budget": config.budget_usd_per_day is not None
        or any(check.budget is not None for check in config.checks),
    }
    return [f"{key} is not acted on by this version yet" for key, used in asked.items() if used]


def _price_list(config: Config, costs: list[float | None], total: float) -> str:
    columns = [terminal.Column(title) for title in ("check", "mode", "every", "a day")]
    rows = []
    for check, cost in zip(config.checks, costs, strict=True):
        price = "no price known" if cost is None else f"${cost:.4f}"
        rows.append((check.name, check.mode.value, f"{check.interval:g} s", price))
    rows.append((f"{len(config.checks)} checks", "", "", f"${total:.4f}"))
    cells = [[terminal.Cell(text) for text in row] for row in rows]
    return terminal.table(columns, cells, terminal.Look.of(sys.stdout, os.environ))


def demo(options: argparse.Namespace) -> int:
    """The whole product on simulated providers."""
    # Imported here: the simulator is no part of the service.
    from monitor.demo import KEY, stage

    _log_to_stderr(options).add(KEY)
    with stage(options.speed) as (config, folder):
        print(f"Open {options.listen.url} and watch: the first outage begins in 20 s.", flush=True)
        settings = Settings(options.listen, folder / "data", revision=_revision())
        return served(config, lambda: config, settings)


def simulate(options: argparse.Namespace) -> int:
    """Just the simulated providers."""
    from monitor.demo import simulate as act

    return act(options)


def schema(options: argparse.Namespace) -> int:
    """The JSON Schema of `checks.yaml`."""
    print(json.dumps(configuration.json_schema(), indent=2, ensure_ascii=False))
    return 0


def served(config: Config, load: Callable[[], Config], settings: Settings) -> int:
    """Serve until told to stop; 2 where the data directory or the address is taken."""
    # Imported here: HTTP and all that goes with it takes longer than most commands.
    from monitor.run.app import serve

    try:
        serve(config, load, settings)
    except DataDirError as error:
        print(f"monitor: {error}", file=sys.stderr)
        return BAD_CONFIG
    except OSError as error:
        print(f"monitor: cannot listen on {settings.listen.url}: {error}", file=sys.stderr)
        return BAD_CONFIG
    return 0


def outages(options: argparse.Namespace) -> int:
    """The outages that the ledger remembers; 2 where there is no ledger to read."""
    from monitor import history

    wall = time.time()
    at = Moment(wall, wall)
    look = terminal.Look.of(sys.stdout, os.environ)
    forms: dict[str, Callable[..., str]] = {
        "table": partial(history.as_table, look=look),
        "json": history.as_json,
        "csv": history.as_csv,
    }
    data_dir = Path(options.data_dir)
    try:
        found = history.outages(data_dir, options.since, options.check)
        if options.incidents:
            since = min((one.started.wall for one in found), default=options.since)
            text = history.as_incidents(found, history.timeline(data_dir, since), at)
        else:
            text = forms[options.format](found, at)
    except LedgerError as error:
        print(f"monitor outages: {error}", file=sys.stderr)
        return BAD_CONFIG
    print(text)
    return 0


def export(options: argparse.Namespace) -> int:
    """History as OpenMetrics; 2 where there is no ledger to read."""
    from monitor import history

    labels = dict(options.label)
    try:
        lines = history.export(
            Path(options.data_dir), options.since, options.until, labels, options.step, sys.stderr
        )
        sys.stdout.writelines(lines)
    except LedgerError as error:
        print(f"monitor export: {error}", file=sys.stderr)
        return BAD_CONFIG
    return 0


def _revision() -> str:
    """The commit that the image was built from; its Dockerfile sets the variable."""
    return os.environ.get("MONITOR_REVISION", "")


def _load(path: Path, before: Config | None = None) -> Config:
    return configuration.load(path, os.environ, frozenset(DIALECTS), before)


def _web_file(options: argparse.Namespace) -> WebFile:
    return WebFile(Path(options.web_config) if options.web_config else None)


def _loaded(load: Callable[[], T], faults: list[ConfigError] | None = None) -> T | None:
    """None where it is bad; the errors are added to `faults`, or printed."""
    try:
        return load()
    except ConfigErrors as bad:
        if faults is None:
            print(bad, file=sys.stderr)
        else:
            faults += bad.errors
        return None


def _log_to_stderr(options: argparse.Namespace) -> set[str]:
    """Set the log up; what is put into the returned set never appears in it."""
    secrets: set[str] = set()
    logs.configure(options.log_level, options.log_format, lambda: secrets, sys.stderr)
    sys.excepthook = _told_by_the_log
    return secrets


def _told_by_the_log(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Also what nobody catches may hold a secret: Python's own way would print it as it is."""
    log.critical("a bug of ours ends the process", exc_info=(kind, error, trace))

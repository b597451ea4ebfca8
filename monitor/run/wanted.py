"""Which checks a configuration has watched, and whether two of them are one.  Pure."""

from __future__ import annotations

from dataclasses import replace

from monitor.model import Check, Config, Mode


def watchable(config: Config) -> list[Check]:
    """The checks that are probed: somebody else's status page is a claim, not an endpoint."""
    return [check for check in config.checks if check.mode is not Mode.STATUS_PAGE]


def probed(config: Config) -> list[Check]:
    """The checks as they are probed: a keyless chat check has the rhythm of its free tier."""
    return [_effective(check) for check in watchable(config)]


def _effective(check: Check) -> Check:
    if check.mode is Mode.REACHABILITY and check.reachability:
        return replace(check, interval=check.reachability.interval)
    return check


def same_question(one: Check, other: Check) -> bool:
    """Whether what is known of `one` holds for `other`; otherwise it starts from nothing."""
    return _asks(one) == _asks(other)


def _asks(check: Check) -> tuple[object, ...]:
    return check.labels3, check.mode, check.url, check.protocol

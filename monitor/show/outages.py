"""Which outages are still shown.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from monitor.model import Outage

KEPT_SECONDS = 30 * 86400.0
KEPT_OF_CHECK = 20
KEPT_IN_ALL = 500


def remembered(outages: Iterable[Outage], now: float) -> list[Outage]:
    """Open ones and those that ended in the last 30 days (`now` is Unix time), newest first.

    At most 20 of one check and 500 in all: each one is a pair of series.
    """
    young = {outage.id: outage for outage in outages if _is_young(outage, now)}
    shown: list[Outage] = []
    of_check: Counter[str] = Counter()
    for outage in sorted(young.values(), key=_newest_first):
        if of_check[outage.check] < KEPT_OF_CHECK and len(shown) < KEPT_IN_ALL:
            of_check[outage.check] += 1
            shown.append(outage)
    return shown


def _is_young(outage: Outage, now: float) -> bool:
    return outage.ended is None or now - outage.ended.wall <= KEPT_SECONDS


def _newest_first(outage: Outage) -> tuple[bool, float]:
    return outage.ended is not None, -outage.started.wall

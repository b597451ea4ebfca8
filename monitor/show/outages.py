"""Which outages are still shown.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from monitor.model import Outage, OutageSeries

DEFAULT = OutageSeries()


def remembered(
    outages: Iterable[Outage], now: float, limits: OutageSeries = DEFAULT
) -> list[Outage]:
    """Open ones and those that ended lately (`now` is Unix time), newest first.

    No more than `limits` says: each one is a pair of series.
    """
    young = {outage.id: outage for outage in outages if _is_young(outage, now - limits.keep)}
    shown: list[Outage] = []
    of_check: Counter[str] = Counter()
    for outage in sorted(young.values(), key=_newest_first):
        if of_check[outage.check] < limits.per_check and len(shown) < limits.total:
            of_check[outage.check] += 1
            shown.append(outage)
    return shown


def _is_young(outage: Outage, since: float) -> bool:
    return outage.ended is None or outage.ended.wall >= since


def _newest_first(outage: Outage) -> tuple[bool, float]:
    return outage.ended is not None, -outage.started.wall

"""How soon an outage is told: the product's own schedule in virtual time."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from monitor.model import State
from tests.detecting import FAST, HANGING, Seen, Setting, drawn, result, watched
from tests.virtual import VirtualTime

COUNT = 25
SETTINGS = {
    "alone": Setting(60.0, noise=0.0),
    "hanging": Setting(60.0, HANGING, noise=0.0),
    "seeing tier": Setting(300.0, FAST, tier=15.0, noise=0.0),
    "blind tier": Setting(300.0, FAST, tier=15.0, sees=False, noise=0.0),
    "siblings": Setting(300.0, FAST, checks=5, noise=0.0),
}
by_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())


def seen_in(setting: Setting, count: int = COUNT) -> Seen:
    return watched(setting, drawn(setting, count, random.Random(5)), 5)


@by_setting
def test_every_outage_is_told_once_and_within_the_bound(setting: Setting) -> None:
    seen = seen_in(setting)
    told = result(setting, seen)
    assert (told.missed, told.invented, seen.overlaps) == (0, 0, 0)
    assert len(told.first) > COUNT // 2
    assert max(one.detected for one in told.first) <= setting.bound
    for one in told.first:
        assert 0.0 <= one.started <= setting.interval, "the start is that of the first bad attempt"


def test_a_tier_that_sees_and_siblings_make_it_sooner() -> None:
    median = {}
    for name in ("blind tier", "seeing tier", "siblings"):
        found = sorted(
            one.detected for one in result(SETTINGS[name], seen_in(SETTINGS[name])).first
        )
        median[name] = found[len(found) // 2]
    assert median["seeing tier"] < median["blind tier"] / 2
    assert median["siblings"] < median["blind tier"] / 2


def test_failures_of_chance_are_no_outages() -> None:
    """One in a hundred attempts fails, for some days; one outage at the end, to see it work."""
    setting = Setting(60.0, noise=0.01)
    seen = watched(setting, [(4 * 86_400.0, 4 * 86_400.0 + 600.0)], 3)
    failures = sum(a.reason is not None for p in seen.probes for a in p.attempts)
    assert failures > 50
    told = result(setting, seen)
    assert (len(told.first), told.missed, told.invented) == (1, 0, 0)


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_stepped_wall_clock_breaks_neither_rhythm_nor_lengths(step: float) -> None:
    setting = Setting(60.0, noise=0.0)

    def meddle(clocks: VirtualTime) -> None:
        clocks.stepped = step

    # Half-way through the whole time, which is in the middle of the outage.
    seen = watched(setting, [(1_000.0, 2_200.0)], 2, meddle)
    (outage,) = seen.outages()
    assert outage.ended is not None
    assert outage.started.mono < 1_500.0 < outage.ended.mono
    assert outage.seconds(outage.ended) == pytest.approx(1_200.0, abs=62.0)
    told = outage.ended.wall - outage.started.wall
    assert told == pytest.approx(outage.seconds(outage.ended) + step), (
        "moments are the wall clock's"
    )
    starts = [probe.attempts[0].started.mono for probe in seen.probes]
    assert max(b - a for a, b in pairwise(starts)) < 61.0


def test_an_endpoint_that_flaps_is_no_storm_of_outages() -> None:
    """Half of all attempts fail, for two hours: partly out, not out and back a hundred times."""
    setting = Setting(60.0, noise=0.5)
    seen = watched(setting, [(7_200.0, 7_201.0)], 4)
    changes = [change for change in seen.changes if change.after is State.DOWN]
    assert len(changes) <= 8
    assert len(seen.probes) > 100


def test_a_seed_tells_the_same_story_twice() -> None:
    first, second = (seen_in(SETTINGS["siblings"], 4) for _ in range(2))
    assert [change.at for change in first.changes] == [change.at for change in second.changes]
    assert len(first.changes) > 8

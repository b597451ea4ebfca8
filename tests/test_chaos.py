"""The judge of `make chaos` sees every kind of fault, and a few real kills leave none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model import Moment
from tests import chaos
from tests.chaos import Answer, Lane
from tests.ledgers import outage_of


def at(wall: float) -> Moment:
    return Moment(wall, wall)


def lane() -> Lane:
    """Up at 0…9, down at 10…19, up at 20…29; the booked outage says just that."""
    answers = [Answer(float(second), not 10 <= second < 20) for second in range(30)]
    booked = outage_of(started=at(10.0), confirmed=at(12.0), ended=at(20.0))
    return Lane(answers, [], [booked])


def lost(found: Lane) -> None:
    found.outages.clear()


def split(found: Lane) -> None:
    (one,) = found.outages
    found.outages[:] = [
        replace(one, ended=at(14.0)),
        replace(one, id="b" * 12, started=at(16.0)),
    ]


def doubled(found: Lane) -> None:
    found.outages.append(replace(found.outages[0], id="b" * 12))


def begun_late(found: Lane) -> None:
    found.outages[0] = replace(found.outages[0], started=at(11.0))


def begun_early(found: Lane) -> None:
    found.outages[0] = replace(found.outages[0], started=at(9.0))


def ended_late(found: Lane) -> None:
    found.outages[0] = replace(found.outages[0], ended=at(21.0))


def never_ended(found: Lane) -> None:
    found.outages[0] = replace(found.outages[0], ended=None)


def lost_from_sight(found: Lane) -> None:
    found.outages[0] = replace(found.outages[0], end_known=False)


def invented(found: Lane) -> None:
    found.outages.insert(0, outage_of(7, started=at(3.0), ended=at(5.0)))


FAULTS = (
    lost, split, doubled, begun_late, begun_early, ended_late, never_ended, lost_from_sight,
    invented,
)  # fmt: skip


def test_a_true_ledger_has_no_faults() -> None:
    assert chaos.faults(lane()) == []


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_every_fault_is_seen(spoil: Callable[[Lane], None]) -> None:
    spoiled = lane()
    spoil(spoiled)
    assert chaos.faults(spoiled)


def test_what_was_seen_in_the_last_second_of_a_process_may_be_lost() -> None:
    found = lane()
    begun_late(found)
    found.kills.append(10.5)
    assert chaos.faults(found) == []
    found.kills[:] = [11.5]
    assert chaos.faults(found), "that answer was a second and a half old"


def test_real_kills_leave_every_outage_rightly_dated(tmp_path: Path) -> None:
    played = chaos.play(tmp_path, 8, 3, lambda _: None)
    assert chaos.faults(played) == []
    assert len(played.kills) == 8
    assert played.outages

"""What a target is told of a provider's outages, and when.  Pure: the clock is an argument.

Outages of one provider that overlap are one incident, as in `judge.incidents`, and of an incident
there is one message per step:

    opened      once, GATHER seconds after it was first seen, so that siblings come along,
                and not before it has lasted `after`; at most LIMIT times in WINDOW seconds
    escalated   twice as many checks are down as were last told, or all of them for the first time
    repeated    where the target asks for it, while it lasts
    resolved    once, GATHER seconds after its last outage ended, if it was told at all

It looks at what is, not at what changed: a restart, a reload or a lost message need no rules of
their own.  What was told before is in `Told`; `step` compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf

from monitor.model import Moment, NotifyTarget, Outage

GATHER = 10.0
LIMIT, WINDOW = 4, 3600.0


class Event(StrEnum):
    """What a message says has happened."""

    OPENED = "opened"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Scene:
    """A provider as it stands, as far as one target is about it."""

    provider: str
    open: tuple[Outage, ...]
    """By start; one a check."""
    ended: Mapping[str, Outage]
    """Those of earlier scenes that ended, by id."""
    watched: int
    """How many checks there are about which something is claimed, those that are down included."""


@dataclass(frozen=True, slots=True)
class Story:
    """One incident, and how far it was told."""

    id: str
    """That of its first outage."""
    started: Moment
    seen: float
    """When it was first seen; like all times here without a unit, monotonic seconds."""
    members: Mapping[str, str]
    """The checks by the ids of their outages, in the order in which they were seen."""
    told: int = 0
    """How many checks were down as last told; 0 while nothing was."""
    whole: bool = False
    """Whether it was told that all are."""
    count: int = 0
    """How many messages there were."""
    last: float = -inf
    """When the last one was."""
    worse: float | None = None
    """Since when there is more to tell."""
    over: float | None = None
    """Since when no outage of it is open."""


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that a target was told of a provider, as far as it still matters."""

    story: Story | None = None
    openings: tuple[float, ...] = ()
    """When incidents were told as opened, the last LIMIT of them."""
    unsaid: int = 0
    """How many incidents went by since, for there had been too many."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one target, before it is put into words."""

    event: Event
    provider: str
    incident: str
    number: int
    """Counts the messages of the incident, from 1."""
    at: Moment
    started: Moment
    ended: Moment | None
    """Only of what is resolved; None there where nobody saw the end."""
    end_known: bool
    down: int
    watched: int
    outages: tuple[Outage, ...]
    """Open ones, or all of what is resolved, by start; those that nobody remembers are missing."""
    checks: tuple[str, ...]
    """Names of all checks that were ever part of it."""
    silent_until: Moment | None = None
    """It happens so often that further incidents are not told until then."""
    unsaid: int = 0
    told: Told = Told()
    """What was told, this included."""


Step = tuple[Told, Notice | None, float]
"""What was told now, the message to send, and when to look again (infinity: at the next change)."""


def step(told: Told, scene: Scene, target: NotifyTarget, now: Moment) -> Step:
    """The next message, if one is due.  To be asked again until there is none."""
    story = told.story
    if story is None:
        if not scene.open:
            return told, None, inf
        first = scene.open[0]
        story = Story(first.id, first.started, now.mono, {})
    if not _goes_on(story, scene):
        return _over(story, told, scene, now)
    joined = {outage.id: outage.check for outage in scene.open}
    story = replace(story, members={**story.members, **joined}, over=None)
    if not story.told:
        return _opening(story, told, scene, target, now)
    return _ongoing(story, told, scene, target, now)


def _goes_on(story: Story, scene: Scene) -> bool:
    """Whether any outage is open that is part of the incident, or overlaps with one that was."""
    if not story.members:
        return True
    last = max((one.ended.wall for one in _ended(story, scene) if one.ended), default=-inf)
    return any(one.id in story.members or one.started.wall <= last for one in scene.open)


def _ended(story: Story, scene: Scene) -> list[Outage]:
    return [scene.ended[id] for id in story.members if id in scene.ended]


def _opening(story: Story, told: Told, scene: Scene, target: NotifyTarget, now: Moment) -> Step:
    free = _free_from(told, now.mono)
    due = max(story.seen + GATHER, story.started.mono + target.after, free)
    if now.mono < due:
        return replace(told, story=story), None, due
    openings = (*told.openings, now.mono)[-LIMIT:]
    then = _free_from(Told(openings=openings), now.mono)
    silent = now.plus(then - now.mono) if then > now.mono else None
    after = Told(_said(story, scene, now), openings)
    notice = _notice(Event.OPENED, after, scene, now)
    return after, replace(notice, silent_until=silent, unsaid=told.unsaid), now.mono


def _free_from(told: Told, now: float) -> float:
    """When the next incident may be told; long ago where there were few."""
    return told.openings[-LIMIT] + WINDOW if len(told.openings) >= LIMIT else -inf


def _ongoing(story: Story, told: Told, scene: Scene, target: NotifyTarget, now: Moment) -> Step:
    down, whole = len(scene.open), _is_whole(scene)
    if down >= 2 * story.told or (whole and not story.whole and down > story.told):
        since = now.mono if story.worse is None else story.worse
        if now.mono >= since + GATHER:
            return _again(Event.ESCALATED, story, told, scene, now)
        return replace(told, story=replace(story, worse=since)), None, since + GATHER
    story = replace(story, worse=None)
    due = story.last + target.repeat if target.repeat else inf
    if now.mono >= due:
        return _again(Event.REPEATED, story, told, scene, now)
    return replace(told, story=story), None, due


def _again(event: Event, story: Story, told: Told, scene: Scene, now: Moment) -> Step:
    after = replace(told, story=_said(story, scene, now))
    return after, _notice(event, after, scene, now), now.mono


def _said(story: Story, scene: Scene, now: Moment) -> Story:
    """The story once a message about the present scene is under way."""
    return replace(
        story,
        told=max(story.told, len(scene.open)),
        whole=story.whole or _is_whole(scene),
        count=story.count + 1,
        last=now.mono,
        worse=None,
    )


def _is_whole(scene: Scene) -> bool:
    return len(scene.open) >= scene.watched


def _over(story: Story, told: Told, scene: Scene, now: Moment) -> Step:
    if not story.told:
        unsaid = told.unsaid + (now.mono < _free_from(told, now.mono))
        return Told(None, told.openings, unsaid), None, now.mono if scene.open else inf
    over = now.mono if story.over is None else story.over
    story = replace(story, over=over)
    if now.mono < over + GATHER and not scene.open:  # what is open now is another incident
        return replace(told, story=story), None, over + GATHER
    after = replace(told, story=replace(story, count=story.count + 1))
    notice = _notice(Event.RESOLVED, after, scene, now)
    gone = replace(after, story=None)
    return gone, replace(notice, told=gone), now.mono


def _notice(event: Event, told: Told, scene: Scene, now: Moment) -> Notice:
    story = told.story
    assert story is not None
    ended, end_known, outages = None, False, scene.open
    if event is Event.RESOLVED:
        outages = tuple(sorted(_ended(story, scene), key=lambda one: one.started.wall))
        last = max(outages, key=lambda one: one.ended.wall if one.ended else -inf, default=None)
        # The end is known only if that of every member is.
        if last and len(outages) == len(story.members):
            ended, end_known = last.ended, last.end_known
    return Notice(
        event=event,
        provider=scene.provider,
        incident=story.id,
        number=story.count,
        at=now,
        started=story.started,
        ended=ended,
        end_known=end_known,
        down=story.told if event is Event.RESOLVED else len(scene.open),
        watched=scene.watched,
        outages=outages,
        checks=tuple(dict.fromkeys(story.members.values())),
        told=told,
    )

"""A notice in words, and as the JSON of a webhook.  Pure.

What a provider said is hostile.  In the texts nothing is left that a chat service would take for
markup, a mention or a link of another name; in JSON it is data, as it was said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monitor import words
from monitor.model import Moment, NotifyTarget, Outage
from monitor.notify.plan import Event, Notice

VERSION = 1
"""Of the JSON; keys may be added to it, but none is changed or removed."""
LISTED = 20
"""So many outages are spelled out."""
DETAIL = 200
JSON_DETAIL = 2000

#: What Markdown, HTML and the mentions of chat services are made of, and what looks like it.
_HARMLESS = str.maketrans("<>[]*@|~`", "‹›()∗＠¦∼'")


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: words for people, and the same for machines."""

    event: str
    title: str
    text: str
    data: dict[str, Any]


def message(notice: Notice, target: NotifyTarget, monitor: str) -> Message:
    """`monitor` is the version that is running."""
    title, text = _harmless(_title(notice)), "\n".join(map(_harmless, _lines(notice)))
    data = {
        "version": VERSION,
        "id": f"{notice.incident}/{notice.number}",
        "event": notice.event.value,
        "target": target.name,
        "monitor": monitor,
        "sent": _precise(notice.at),
        "title": title,
        "text": text,
        "incident": {
            "id": notice.incident,
            "provider": notice.provider,
            "started": _precise(notice.started),
            "ended": _precise(notice.ended),
            "end_known": notice.end_known if notice.event is Event.RESOLVED else None,
            "seconds": _rounded(_seconds(notice)),
            "checks_down": notice.down,
            "checks_watched": notice.watched,
            "checks": list(notice.checks),
        },
        "outages": [_plain(outage, notice.at) for outage in notice.outages],
    }
    return Message(notice.event.value, title, text, data)


def trial(target: NotifyTarget, monitor: str, at: Moment) -> Message:
    """What `monitor notify-test` sends: like the others, with event `test` and no incident."""
    title = "Test message of the AI chat outage monitor"
    text = "Whoever reads this will be told of outages. Nothing is down because of it."
    data = {
        "version": VERSION,
        "id": f"test/{at.wall:.3f}",
        "event": "test",
        "target": target.name,
        "monitor": monitor,
        "sent": _precise(at),
        "title": title,
        "text": text,
        "incident": None,
        "outages": [],
    }
    return Message("test", title, text, data)


# ------------------------------------------------------------------------------------ the words


def _title(notice: Notice) -> str:
    who = notice.provider
    if notice.event is Event.RESOLVED:
        if notice.end_known:
            return f"{who} has recovered after {_lasted(notice)}"
        least = f" after {_lasted(notice)} or more" if notice.ended else ""
        return f"{who}: an outage was lost from sight{least}"
    after = f", still, after {_lasted(notice)}"
    now = {Event.ESCALATED: " now", Event.REPEATED: after}.get(notice.event, "")
    if notice.down < notice.watched:
        verb = "is" if notice.down == 1 else "are"
        return f"{who}: {notice.down} of {notice.watched} checks {verb} down{now}"
    return f"{who} is down{now}" + (f": all {notice.down} checks" if notice.down > 1 else "")


def _lines(notice: Notice) -> list[str]:
    resolved = notice.event is Event.RESOLVED
    lines = [_of_one(outage, notice) for outage in notice.outages[:LISTED]]
    more = len(notice.outages) - LISTED
    lines += [f"… and {more} more"] if more > 0 else []
    if resolved and not notice.outages:
        lines.append("Checks: " + ", ".join(notice.checks[:LISTED]))
    began = words.moment(notice.started.wall)
    if resolved and notice.ended:
        lines.append(f"From {began} to {words.moment(notice.ended.wall)} UTC.")
    elif resolved or len(notice.outages) > 1:
        lines.append(f"Since {began} UTC.")
    if resolved and not notice.end_known:
        lines.append("Nobody saw its end: it was not watched any more, or could not be seen.")
    if notice.unsaid:
        lines.append(f"{notice.unsaid} more came and went since, of which nothing was told.")
    if notice.silent_until:
        until = words.moment(notice.silent_until.wall)
        lines.append(f"It comes and goes: further outages are told from {until} UTC on.")
    return lines


def _of_one(outage: Outage, notice: Notice) -> str:
    model = f" ({outage.model})" if outage.model else ""
    lasted = words.length(outage.seconds(notice.at))
    when = lasted if outage.ended else f"since {words.moment(outage.started.wall)} UTC"
    detail = _short(outage.detail or "", DETAIL)
    said = f" – {detail}" if detail else ""
    return f"{outage.check}{model}: {words.REASONS[outage.reason]} ({when}){said}"


def _lasted(notice: Notice) -> str:
    return words.length(_seconds(notice) or 0.0)


def _seconds(notice: Notice) -> float | None:
    """How long it lasted, or lasts so far; None where nobody saw when it ended."""
    until = notice.ended if notice.event is Event.RESOLVED else notice.at
    return max(0.0, until.mono - notice.started.mono) if until else None


# ----------------------------------------------------------------------------------- the pieces


def _plain(outage: Outage, now: Moment) -> dict[str, Any]:
    """As `monitor outages --format json` writes it."""
    return {
        "id": outage.id,
        "check": outage.check,
        "provider": outage.provider,
        "model": outage.model or None,
        "started": _precise(outage.started),
        "ended": _precise(outage.ended),
        "seconds": _rounded(outage.seconds(now)),
        "reason": outage.reason.value,
        "detail": _short(outage.detail, JSON_DETAIL) if outage.detail else None,
    }


def _precise(moment: Moment | None) -> str | None:
    return words.precise_moment(moment.wall) if moment else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _short(text: str, most: int) -> str:
    """One printable line of at most so many characters."""
    line = words.printable(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def _harmless(text: str) -> str:
    return text.translate(_HARMLESS)

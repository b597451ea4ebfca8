"""The outages as an Atom feed (RFC 4287).  Pure.

The text of an entry changes once, when its outage ends: readers show it again then.  Links are
relative to the feed, so that no request can tell us where they lead.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring

from monitor import words
from monitor.model import Moment, Outage
from monitor.show.past import HOUR24
from monitor.show.snapshot import Snapshot

ENTRIES = 100
NAMESPACE = "http://www.w3.org/2005/Atom"
PRODUCT = "AI chat outage monitor"

#: Entries are recognised by ids made of it: it must never change.
_ROOT = UUID("6f0c1c9e-5b0e-4d57-9d0c-3a6b5f1c7a42")


def feed(snapshot: Snapshot, vantage: str) -> bytes:
    """The whole document.  `vantage` makes its id another one than those of other monitors."""
    outages = [outage for outage, _ in snapshot.outages]
    outages = sorted(outages, key=_updated, reverse=True)[:ENTRIES]
    # Without outages the feed is as new as the day.
    quiet = snapshot.now.wall - snapshot.now.wall % HOUR24
    root = Element("feed", {"xmlns": NAMESPACE, "xml:lang": "en"})
    _add(root, "id", _id("feed", vantage))
    _add(root, "title", "Outages of AI chat endpoints")
    _add(root, "updated", words.precise_moment(_updated(outages[0]) if outages else quiet))
    SubElement(
        root, "link", {"rel": "self", "type": "application/atom+xml", "href": "outages.atom"}
    )
    SubElement(root, "link", {"rel": "alternate", "type": "text/html", "href": "./"})
    _add(SubElement(root, "author"), "name", PRODUCT)
    _add(root, "generator", PRODUCT)
    for outage in outages:
        _entry(root, outage, snapshot)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _entry(root: Element, outage: Outage, snapshot: Snapshot) -> None:
    entry = SubElement(root, "entry")
    _add(entry, "id", _id("outage", outage.id))
    _add(entry, "title", _title(outage))
    _add(entry, "published", words.precise_moment(outage.confirmed.wall))
    _add(entry, "updated", words.precise_moment(_updated(outage)))
    _link(entry, "alternate", "text/html", f"outages/{outage.id}")
    SubElement(entry, "category", {"term": outage.reason.value})
    _add(entry, "content", _content(outage, snapshot.quoted(outage.check, outage.detail)))


def _title(outage: Outage) -> str:
    if outage.ended is None:
        return f"{outage.check} is down: {_reason(outage)}"
    return f"{outage.check} was down for {_length(outage, outage.ended)}: {_reason(outage)}"


def _content(outage: Outage, detail: str | None) -> str:
    lines = [
        f"Began {_in_words(outage.started)}, confirmed {_in_words(outage.confirmed)}.",
        _end(outage),
        f"Check {outage.check}, provider {outage.provider}"
        + (f", model {outage.model}." if outage.model else "."),
        f"{words.REASONS[outage.reason]}." + (f" {detail}" if detail else ""),
    ]
    return "\n".join(lines)


def _end(outage: Outage) -> str:
    if outage.ended is None:
        return "It goes on."
    if not outage.end_known:
        return f"Last seen down {_in_words(outage.ended)}; when it ended is not known."
    return f"Ended {_in_words(outage.ended)}."


def _length(outage: Outage, ended: Moment) -> str:
    more = "" if outage.end_known else " or more"
    return words.length(outage.seconds(ended)) + more


def _reason(outage: Outage) -> str:
    text = words.REASONS[outage.reason]
    return text[0].lower() + text[1:]


def _updated(outage: Outage) -> float:
    known = outage.confirmed.wall
    return known if outage.ended is None else max(known, outage.ended.wall)


def _in_words(moment: Moment) -> str:
    return f"{datetime.fromtimestamp(moment.wall, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _id(kind: str, name: str) -> str:
    return uuid5(_ROOT, f"{kind} {name}").urn


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = words.printable(text)


def _link(parent: Element, relation: str, type: str, href: str) -> None:
    SubElement(parent, "link", {"rel": relation, "type": type, "href": href})

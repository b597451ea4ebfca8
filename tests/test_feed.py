"""The Atom feed: valid by what RFC 4287 demands, read by a reader, stable over time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import feedparser
import pytest
from lxml import etree

from monitor.model import Outage, Reason, State
from monitor.show.feed import ENTRIES, feed
from monitor.show.past import Past
from monitor.show.snapshot import Snapshot
from tests.making import chat_check
from tests.snapshots import HOSTILE, NOW, crowd, ended, outage, page, remembered, served, snapshot

GRAMMAR = etree.RelaxNG(etree.parse(Path(__file__).parent / "schemas" / "atom.rng"))


def of(*outages: Outage, private: bool = False) -> Snapshot:
    past = Past(0.0, {}, tuple(remembered(one) for one in outages))
    return snapshot([page(chat_check(evidence_private=private))], past)


def read(told: Snapshot) -> Any:
    """As a feed reader reads it; what is no valid Atom is an error."""
    text = feed(told, "here")
    GRAMMAR.assertValid(etree.fromstring(text))
    found = feedparser.parse(text)
    assert not found.bozo
    assert found.version == "atom10"
    return found


@pytest.mark.parametrize(
    "told",
    [of(), of(outage()), of(ended()), snapshot(*crowd())],
    ids=["none", "open", "ended", "crowd"],
)
def test_the_feed_is_valid(told: Snapshot) -> None:
    found = read(told)
    assert len(found.entries) == len(told.outages)
    assert found.feed.author == "AI chat outage monitor"
    ids = [found.feed.id, *(entry.id for entry in found.entries)]
    assert len(set(ids)) == len(ids)
    assert all(id.startswith("urn:uuid:") for id in ids)


def test_the_grammar_finds_what_is_wrong() -> None:
    text = feed(of(outage()), "here").replace(b"<updated>", b"<update>", 1)
    text = text.replace(b"</updated>", b"</update>", 1)
    assert not GRAMMAR.validate(etree.fromstring(text))


def test_an_open_outage_has_its_reason_in_plain_words() -> None:
    (entry,) = read(of(outage())).entries
    assert entry.title == ("c is down: the response began, but no word of an answer came in time")
    assert entry.published == entry.updated == "2027-01-15T07:00:20.250Z"
    assert entry.content[0].type == "text/plain"
    assert entry.content[0].value.splitlines() == [
        "Began 2027-01-15 07:00:00 UTC, confirmed 2027-01-15 07:00:20 UTC.",
        "It goes on.",
        "Check c, provider p, model m-1.",
        "The response began, but no word of an answer came in time. no token within 30 s",
    ]
    assert entry.tags[0].term == "first_token_timeout"


def test_an_outage_that_ended_is_the_same_entry_updated() -> None:
    (before,), (after,) = read(of(outage())).entries, read(of(ended())).entries
    assert after.id == before.id
    assert after.published == before.published
    assert after.updated == "2027-01-15T07:12:00.250Z"
    assert after.title.startswith("c was down for 12 min: ")
    assert "Ended 2027-01-15 07:12:00 UTC." in after.content[0].value


def test_an_end_that_nobody_saw_is_said() -> None:
    (entry,) = read(of(ended(end_known=False))).entries
    assert entry.title.startswith("c was down for 12 min or more: ")
    assert "when it ended is not known" in entry.content[0].value


def test_a_feed_in_which_nothing_happened_is_the_same() -> None:
    told = of(outage(), ended(9))
    later = replace(told, now=NOW.plus(3600))
    assert feed(told, "here") == feed(later, "here")
    empty = of()
    assert feed(empty, "here") == feed(replace(empty, now=NOW.plus(3600)), "here")


def test_what_is_newest_comes_first_and_the_feed_is_as_new_as_that() -> None:
    long_ago_until_now = ended(50, seconds=49.9 * 3600)
    found = read(of(ended(2), long_ago_until_now, ended(30)))
    updated = [entry.updated for entry in found.entries]
    assert updated == sorted(updated, reverse=True)
    assert found.entries[0].id == read(of(long_ago_until_now)).entries[0].id
    assert found.feed.updated == updated[0]


def test_an_old_outage_makes_room() -> None:
    many = [ended(number) for number in range(1, ENTRIES + 20)]
    found = read(of(*many))
    assert len(found.entries) == ENTRIES
    assert found.entries[0].id == read(of(many[0])).entries[0].id


def test_links_are_relative_and_lead_to_the_pages() -> None:
    (entry,) = read(of(outage())).entries
    assert entry.link == f"outages/{outage().id}"
    tree = etree.fromstring(feed(of(outage()), "here"))
    targets = {link.get("href") for link in tree.iter("{http://www.w3.org/2005/Atom}link")}
    assert targets == {"outages.atom", "./", entry.link}


def test_two_monitors_have_two_feeds() -> None:
    ids = {feedparser.parse(feed(of(), vantage)).feed.id for vantage in ("here", "there")}
    assert len(ids) == 2


def test_hostile_texts_are_texts() -> None:
    found = read(of(outage(detail=HOSTILE, model=HOSTILE)))
    said = found.entries[0].content[0].value
    assert "<script>alert('&\"1')</script>]]>" in said
    assert not {"\u202e", "\x1b", "\ufffe", "\uffff"} & set(said)


def test_private_words_stay_private() -> None:
    told = ended(detail="inner words", evidence="inner words")
    assert b"inner words" in feed(of(told), "here")
    assert b"inner words" not in feed(of(told, private=True), "here")
    assert b"inner words" not in feed(of(replace(told, check="gone")), "here")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_makes_a_title(reason: Reason) -> None:
    (entry,) = read(of(outage(reason=reason))).entries
    said = entry.title.removeprefix("c is down: ")
    assert said[0].islower()
    assert said[0].upper() + said[1:] + "." in entry.content[0].value


async def test_the_host_that_a_request_names_is_nowhere_in_it() -> None:
    async with served() as client:
        response = await client.get("/outages.atom", headers={"Host": "evil.example"})
        text = await response.text()
    assert response.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    assert "evil.example" not in text
    assert State.DOWN.value in text

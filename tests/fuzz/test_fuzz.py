"""A bounded run of the fuzzer, and that it finds what is there to find."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.dialects import DIALECTS, complaints, openai_chat
from monitor.dialects.sse import Lines
from monitor.judge import reply as reply_module
from monitor.judge.verdict import OK, Finding
from monitor.probe import chat as chat_module
from tests.fuzz import targets as targets_module
from tests.fuzz import wire
from tests.fuzz.explore import explore
from tests.fuzz.mutate import LONGEST, MUTATIONS, mutated, reads, sealed
from tests.fuzz.targets import facts, fed, targets
from tests.transcripts import STREAMS, transcript

BOUNDED = {"config": 25}
"""Inputs in the suite; of the other targets a few hundred."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", targets())
def test_nothing_but_verdicts_comes_out(name: str) -> None:
    tally = explore(targets()[name], "suite", BOUNDED.get(name, 250))
    assert not tally.found, tally.found[0].trace
    assert tally.steps > 40, "it reached nothing"


@pytest.mark.parametrize("name", targets())
def test_what_the_fuzzer_starts_from_is_good(name: str) -> None:
    target = targets()[name]
    assert len(target.seeds) >= 15
    for seed in target.seeds:
        target.feed(seed)


def test_whole_probes_end_in_verdicts() -> None:
    tally = wire.probe("suite", 150)
    assert not tally.found, tally.found[0].trace


# ------------------------------------------------------------------- every split, the same verdict


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_split_of_every_broken_stream_is_the_same_answer(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(STREAMS), label="transcript")
    body = bytearray(one.body[:6000])
    for at, byte in data.draw(
        st.lists(st.tuples(st.integers(0, 5999), st.integers(0, 255)), max_size=4)
    ):
        if at < len(body):
            body[at] = byte
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12), label="cuts")
    points = sorted({0, len(body), *cuts})
    pieces = [bytes(body[a:b]) for a, b in pairwise(points)]
    whole = facts(fed(one.dialect, [bytes(body)]))
    assert facts(fed(one.dialect, pieces)) == whole


# --------------------------------------------------------------------- the fuzzer itself can find

Plant = Callable[[pytest.MonkeyPatch], None]


def _deep(patch: pytest.MonkeyPatch) -> None:
    def text(value: object) -> str:
        if isinstance(value, list):
            return "".join(text(part.get("text")) for part in value if isinstance(part, dict))
        return value if isinstance(value, str) else ""

    patch.setattr(openai_chat, "_text", text)


def _long_number(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        complaints, "_number", lambda v: int(v) if isinstance(v, str) and v.isdigit() else None
    )


def _forgetful_lines(patch: pytest.MonkeyPatch) -> None:
    """A CR LF that is cut in two counts twice."""
    feed = Lines.feed

    def broken(self: Lines, data: bytes) -> list[bytes]:
        self._skip_lf = False
        return feed(self, data)

    patch.setattr(Lines, "feed", broken)


def _raw_words(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(targets_module, "told", lambda _check, detail: detail)


def _uncaught(patch: pytest.MonkeyPatch) -> None:
    """Events that do not decode are nobody's business."""

    def events(self: reply_module.Reply, found: list, stamp: reply_module.Stamp) -> bool:
        for event in found:
            for signal in self.dialect.read(event):
                self._take(signal, stamp, alone=True)
                if self.done or self.problem:
                    return True
        return False

    patch.setattr(reply_module.Reply, "_events", events)


def _always_ok(patch: pytest.MonkeyPatch) -> None:
    def good(*_args: object) -> tuple[Finding, None]:
        return OK, None

    patch.setattr(targets_module, "chat_finding", good)


PLANTS: list[tuple[Plant, str]] = [
    (_deep, "openai-chat"),
    (_long_number, "pages"),
    (_forgetful_lines, "gemini"),
    (_raw_words, "pages"),
    (_uncaught, "anthropic"),
    (_always_ok, "cohere"),
]


@pytest.mark.parametrize(("plant", "name"), PLANTS, ids=[one[0].__name__ for one in PLANTS])
def test_a_planted_bug_is_found(plant: Plant, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    target = targets()[name]
    # Slice by slice, as the long run does, but never for long.
    found = next((t.found for n in range(30) if (t := explore(target, f"p{n}", 200)).found), [])
    assert found, "6,000 inputs missed it"


def test_a_planted_bug_of_the_probe_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "named", lambda _check, name: name)
    assert any(
        "UnicodeEncodeError" in one.told or "control" in one.told
        for n in range(20)
        for one in wire.probe(f"p{n}", 100).found
    )


# ------------------------------------------------------------------------------------ its parts


def test_the_same_seed_gives_the_same_inputs() -> None:
    seen: list[list[bytes]] = [[], []]
    for inputs in seen:
        target = targets_module.Target("x", [b'{"a": 1}\n' * 3], inputs.append)
        explore(target, "seed", 50)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 40


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.__name__)
def test_a_mutation_changes_something_and_never_for_want_of_bytes(mutation: Callable) -> None:
    healthy = transcript("bedrock", "healthy").body
    pool = [healthy, b"", b"x"]
    changed = 0
    for number in range(60):
        rng = random.Random(number)
        changed += mutation(rng, healthy, pool) != healthy
        for short in (b"", b"x", b"\n"):
            assert isinstance(mutation(rng, short, pool), bytes)
    assert changed > 20


def test_inputs_are_bounded_and_reads_lose_nothing() -> None:
    for number in range(100):
        rng = random.Random(number)
        data = mutated(rng, b'{"a": 1}\n' * 200, [b"y"])
        assert len(data) <= LONGEST
        assert b"".join(reads(rng, data)) == data


def test_a_frame_that_is_sealed_again_is_read() -> None:
    body = sealed(b"", 0)
    (event,) = DIALECTS["bedrock"].framing().feed(body)
    assert event.name == "event:"


def test_a_finding_is_told_small() -> None:
    def feed(data: bytes) -> None:
        if b"9" in data:
            raise KeyError("nine")

    tally = explore(targets_module.Target("x", [b"abc" * 100], feed), "1", 300)
    assert [len(one.data) for one in tally.found] == [1]

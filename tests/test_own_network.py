"""Whose network is dead?  The whole product among real namespaces whose links are really cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.netlab import URLS, Lab, lab, state, total, why_not

WHY_NOT = why_not()
pytestmark = [
    pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or ""),
    pytest.mark.timeout(300),
]
ROUNDS = 4
"""More than a streak needs."""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path) as built:
        yield built


def all_up(seen: dict[str, float]) -> bool:
    return all(state(seen, name, "up") for name in URLS)


def cut(net: Lab) -> None:
    net.link("monitor", "down")


def lose_routes(net: Lab) -> None:
    net.at("monitor", "ip", "route", "del", "default")


def swallow(net: Lab) -> None:
    net.forward("iifname", "to-monitor", "drop")


def refuse(net: Lab) -> None:
    net.forward("iifname", "to-monitor", "reject", "with", "icmp", "type", "host-unreachable")


def mute_names(net: Lab) -> None:
    net.forward("udp", "dport", "53", "drop")
    net.forward("tcp", "dport", "53", "drop")


def fail_names(net: Lab) -> None:
    net.names("servfail")


def mend(net: Lab) -> None:
    net.heal()
    net.names("good")
    net.link("monitor", "up")
    net.at("monitor", "ip", "route", "replace", "default", "via", "11.0.0.1")


Fault = Callable[[Lab], None]


@pytest.mark.parametrize(
    "faults",
    [(cut, lose_routes, refuse), (swallow, mute_names, fail_names)],
    ids=["links", "filters"],
)
def test_our_own_failures_are_nobodys_outage(net: Lab, faults: tuple[Fault, ...]) -> None:
    net.watch()
    net.until(all_up, "both up")
    net.until(lambda seen: seen.get("aichat_guard_up") == 1, "a guard that has passed")
    for fault in faults:
        before = net.metrics()
        fault(net)

        def ours(seen: dict[str, float], before: dict[str, float] = before) -> bool:
            name = "aichat_probe_failures_total"
            counts = [
                total(now, name, check=check, reason="local_network")
                for now in (before, seen)
                for check in URLS
            ]
            grown = zip(counts[: len(URLS)], counts[len(URLS) :], strict=True)
            return all(later - earlier >= ROUNDS for earlier, later in grown)

        net.until(ours, f"{ROUNDS} rounds of each check that were ours, {fault.__name__}", 120)
        seen = net.metrics()
        assert all(state(seen, name, "unknown") for name in URLS), fault.__name__
        assert total(seen, "aichat_check_up") == 0, "absent, not 0"
        mend(net)
        net.until(all_up, f"both up again after {fault.__name__}")
    seen = net.metrics()
    assert total(seen, "aichat_outages_total") == 0
    assert total(seen, "aichat_check_state_seconds_total", state="down") == 0
    assert total(seen, "aichat_check_state_seconds_total", state="degraded") == 0


def unplug_a(net: Lab) -> None:
    net.link("a", "down")


def filter_a(net: Lab) -> None:
    net.forward("ip", "daddr", "11.0.1.2", "tcp", "dport", "8080", "drop")


def unname_a(net: Lab) -> None:
    net.names("without a.chatworks.com")


def mend_a(net: Lab) -> None:
    net.heal()
    net.names("good")
    net.link("a", "up")


def test_a_providers_failures_are_not_missed(net: Lab) -> None:
    net.watch()
    net.until(all_up, "both up")
    for number, fault in enumerate((unplug_a, filter_a, unname_a), start=1):
        fault(net)
        net.until(lambda seen: state(seen, "a", "down"), f"a down, {fault.__name__}")
        seen = net.metrics()
        assert state(seen, "b", "up")
        assert total(seen, "aichat_guard_up") == 1
        assert total(seen, "aichat_outages_total", check="a") == number
        mend_a(net)
        net.until(all_up, f"up again after {fault.__name__}", 90)
    assert total(net.metrics(), "aichat_outages_total", check="b") == 0


def test_a_third_of_our_packets_lost_is_no_outage(net: Lab) -> None:
    net.watch(hasty=False)
    net.until(all_up, "both up")
    before = total(net.metrics(), "aichat_probes_total")
    net.forward("iifname", "to-monitor", "numgen", "random", "mod", "100", "<", "30", "drop")
    net.until(lambda seen: total(seen, "aichat_probes_total") - before >= 24, "many rounds", 200)
    assert total(net.metrics(), "aichat_check_state_seconds_total", state="down") == 0


def test_guard_targets_that_are_blocked_for_good_hide_no_outage(net: Lab) -> None:
    """And a check that opted out of the guard goes down with our own network."""
    net.forward("ip", "daddr", "11.0.3.2", "tcp", "dport", "8080", "drop")
    net.watch(
        alone={"url": URLS["b"], "model": "m", "guard": False, "api_key": "${LAB_KEY:-none-at-all}"}
    )
    net.until(all_up, "both up")
    assert total(net.metrics(), "aichat_guard_up") == 0
    net.link("a", "down")
    net.until(lambda seen: state(seen, "a", "down"), "a down though no guard target ever answered")
    assert state(net.metrics(), "b", "up")
    net.link("b", "down")
    net.until(lambda seen: state(seen, "alone", "down"), "the one without a guard is down")

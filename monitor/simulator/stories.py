"""The demo's story: eight providers through four minutes of outages that have really happened.

It loops.  Within the first two minutes an outage begins and ends (DeepSeek, second 20 to 70), and
every kind of state is seen at least once in a loop.  Times suit checks that run every five seconds
with a first-token deadline of three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.simulator.script import Scene, Script

LOOP = 240.0


@dataclass(frozen=True, slots=True)
class Role:
    """One provider of a story."""

    name: str
    """Also the key of the provider's preset, but for the web front and the own server."""
    script: Script
    flavour: str = "plain"
    model: str = ""
    """Empty for a web front."""
    about: str = ""

    @property
    def web(self) -> bool:
        return not self.model


def _script(*scenes: Scene, **usual: Any) -> Script:
    return Script(scenes, LOOP, loop=True, usual={"jitter": 0.3, **usual})


#: The crisis of January 2025 (a queue that sends comments and no token), the quick 503 of
#: September 2026, and the relapses of March 2026: said to be over, and was not.
_DEEPSEEK = Role(
    "deepseek",
    _script(
        Scene(20, 55, "keepalive"),
        Scene(55, 70, "fast_503"),
        Scene(170, 185, "stall"),
        Scene(200, 220, "keepalive", params={"after": 2.0}),
        first_token=0.4,
    ),
    flavour="deepseek",
    model="deepseek-flash",
    about="queues with keep-alives, then answers 503; a relapse after the all-clear",
)

#: December 2024: control planes die one after another, so errors ramp up before all is lost.
_OPENAI = Role(
    "openai",
    _script(
        Scene(95, 110, "server_500", share=0.2),
        Scene(110, 120, "server_500", share=0.6),
        Scene(120, 140, "server_500"),
        first_token=0.3,
    ),
    flavour="openai",
    model="gpt-6-luna",
    about="errors ramp up from a fifth of the requests to all of them",
)

#: November 2025: one edge network fails, and providers that share nothing else fail together.
_EDGE = Scene(150, 180, "edge_502")

_MISTRAL = Role(
    "mistral",
    _script(_EDGE, first_token=0.2),
    flavour="mistral",
    model="ministral-3b-latest",
    about="goes down together with groq: they share an edge",
)

_GROQ = Role(
    "groq",
    _script(_EDGE, first_token=0.08, gap=0.005),
    model="openai/gpt-oss-20b",
    about="goes down together with mistral: they share an edge",
)

#: Slow before it fails, and at a launch about one call in three is turned away with 429.
_MOONSHOT = Role(
    "moonshot",
    _script(
        Scene(35, 80, "slow_first_token", params={"first_token": 2.2, "jitter": 0.1}),
        Scene(185, 215, "overloaded_429", share=0.35),
        first_token=0.5,
    ),
    model="kimi-k2.5",
    about="slow to begin for a while; later turns away one request in three",
)

_XAI = Role(
    "xai",
    _script(Scene(60, 130, "auth_401"), first_token=0.35),
    model="grok-4.3",
    about="refuses our key for a while: our problem, not an outage",
)

_VLLM = Role(
    "own-vllm",
    _script(first_token=0.15, gap=0.01),
    model="qwen3",
    about="healthy all along",
)

_WEB = Role(
    "chatgpt-web",
    _script(Scene(40, 100, "blocked"), Scene(200, 225, "edge_502"), first_token=0.1, gap=0.0),
    about="a page for people: behind a bot wall for a while, later a bad gateway",
)

#: What `monitor demo` plays.
STORY: Mapping[str, Role] = {
    role.name: role for role in (_DEEPSEEK, _OPENAI, _MISTRAL, _GROQ, _MOONSHOT, _XAI, _VLLM, _WEB)
}

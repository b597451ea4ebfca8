"""Few fixtures: a check maker, a client, a scripted local server."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

from monitor.probe.client import Client

# A change lands or not for what it is, not for what a die showed; everybody else explores.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture
def rng() -> random.Random:
    return random.Random(7)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client() as opened:
        yield opened

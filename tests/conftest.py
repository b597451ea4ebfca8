"""Few fixtures: a check maker, a client, a scripted local server."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from monitor.probe.client import Client


@pytest.fixture
def rng() -> random.Random:
    return random.Random(7)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client() as opened:
        yield opened

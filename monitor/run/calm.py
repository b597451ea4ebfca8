"""What keeps long work from holding up the event loop: slices, and a patient collector."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SLICE = 50
"""Checks that are dealt with before the event loop gets its turn."""
PATIENCE = 0.0005
"""Seconds for which a thread in the background keeps the event loop from its next step."""


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items, some at a time."""
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]


def settle_collector() -> None:
    """No collection may stall a thousand streams: never of what is here now, and small ones."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000, 5, 200)


async def in_background(work: Callable[[], T]) -> T:
    """Run long, pure Python `work` in a thread; the event loop waits for it half a millisecond.

    Python's own patience is 5 ms, and that each time the loop touches a socket.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(PATIENCE)
    try:
        return await asyncio.to_thread(work)
    finally:
        sys.setswitchinterval(before)

"""`python -m tests.fuzz [--inputs 1000000 | --minutes 10] [--seed S] [--only NAME …]`: the long run.

Work is cut into slices, each the same for the same seed and number, and shared out to the cores at
the lowest priority.  Whole probes have their slices, too.  What was found lies in `fuzz-findings/`;
`python -m tests.fuzz --again FILE` feeds such a file once more.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from hashlib import sha256
from pathlib import Path

from tests.fuzz import wire
from tests.fuzz.explore import Found, Tally, explore
from tests.fuzz.targets import targets

FINDINGS = Path("fuzz-findings")


def main() -> int:
    options = _options()
    if options.again:
        return again(options.again)
    names = options.only or [*targets(), wire.NAME]
    deadline = time.monotonic() + options.minutes * 60 if options.minutes else None
    goal = options.inputs or (sys.maxsize if deadline else 1_000_000)
    print(f"seed {options.seed}, {options.workers} workers", flush=True)
    tallies = list[Tally]()
    started = time.monotonic()
    for tally in run(names, options.seed, options.workers, goal, deadline):
        tallies.append(tally)
        done, seconds = sum(one.inputs for one in tallies), time.monotonic() - started
        print(
            f"{seconds:6.0f} s  {done:9,} inputs  {done / seconds:6.0f}/s  {tally.target}: "
            f"{tally.kept} kept, {tally.steps} steps, {len(tally.found)} found",
            flush=True,
        )
        for found in tally.found:
            print(f"        {found.told}  -> {keep(found)}", flush=True)
    print(summary(tallies, time.monotonic() - started))
    return 1 if any(one.found for one in tallies) else 0


def run(
    names: list[str], seed: str, workers: int, goal: int, deadline: float | None
) -> Iterator[Tally]:
    """The slices' tallies as they come, until `goal` inputs are given out or time is over."""
    given = 0
    work = slices(names)
    with ProcessPoolExecutor(workers, initializer=os.nice, initargs=(19,)) as pool:
        running: set[Future[Tally]] = set()
        while True:
            while len(running) < workers and given < goal and not _over(deadline):
                name, number, size = next(work)
                size = min(size, goal - given)
                given += size
                running.add(pool.submit(slice_of, name, f"{seed}/{number}", size))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in done)


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def slices(names: list[str]) -> Iterator[tuple[str, int, int]]:
    """Target, number and inputs of one slice after the other, without end."""
    sizes = {name: wire.SLICE if name == wire.NAME else targets()[name].slice for name in names}
    for number in itertools.count():
        yield from ((name, number, size) for name, size in sizes.items())


def slice_of(name: str, seed: str, count: int) -> Tally:
    return wire.probe(seed, count) if name == wire.NAME else explore(targets()[name], seed, count)


def keep(found: Found) -> Path:
    FINDINGS.mkdir(exist_ok=True)
    name = f"{found.target.replace(' ', '-')}-{sha256(found.data).hexdigest()[:12]}"
    (FINDINGS / f"{name}.txt").write_text(f"{found.told}\n\n{found.trace}", "utf-8")
    path = FINDINGS / name
    path.write_bytes(found.data)
    return path


def again(path: Path) -> int:
    """Feed a finding once more; its exception is shown as it comes."""
    for name, target in targets().items():
        if path.name.rpartition("-")[0] == name.replace(" ", "-"):
            target.feed(path.read_bytes())
            print("nothing wrong any more")
            return 0
    print("only findings of parsers can be fed again; whole probes by their seed")
    return 2


def summary(tallies: list[Tally], seconds: float) -> str:
    lines = []
    for name in dict.fromkeys(one.target for one in tallies):
        own = [one for one in tallies if one.target == name]
        told = {found.told for one in own for found in one.found}
        inputs, cpu = sum(one.inputs for one in own), sum(one.seconds for one in own)
        lines.append(f"{name:22} {inputs:9,} inputs  {inputs / cpu:6.0f}/s  {len(told)} found")
    total = sum(one.inputs for one in tallies)
    lines.append(f"{'in all':22} {total:9,} inputs  {total / seconds:6.0f}/s  {seconds:.0f} s")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, help="so many inputs (1,000,000)")
    parser.add_argument("--minutes", type=float, help="or for so long")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", nargs="+", choices=[*targets(), wire.NAME], metavar="NAME")
    parser.add_argument("--again", type=Path, metavar="FILE", help="feed a finding once more")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

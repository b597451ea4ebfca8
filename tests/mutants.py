"""`make mutants`: take each handling of a reason away, once, and see a test fail.

A site is a place where a reason is given out (`Reason.X` gives another one instead), or an entry of
a table by which one is recognised (the entry is dropped).  Mutants live in copies of the tree.

    python -m tests.mutants [--only TEXT] [--jobs N]

Prints sites, killed and survived for each reason, and every survivor; exits 1 if there are any.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parent.parent
ROOMS = ("dialects", "judge", "probe", "run/rounds.py")
TABLES = ("CODES", "WORDS")
#: Fastest killers first.
STAGES = (
    ["tests/test_meanings.py"],
    ["tests/test_transcripts.py", "-k", "means_what_it_says"],
    [f"tests/test_{name}.py" for name in ("judge", "dialects", "state", "keys", "company")],
    [f"tests/test_{name}.py" for name in ("stalled", "rounds", "network", "signing", "tiers")],
    ["tests/test_probe.py", "tests/test_simulator_dialects.py"],
)


@dataclass(frozen=True)
class Mutant:
    """`length` characters at `start` of the file become `new`."""

    path: str
    line: int
    start: int
    length: int
    new: str
    reason: str
    about: str


def mutants(source: str, path: str) -> Iterator[Mutant]:
    """All mutants of one module."""
    tree = ast.parse(source)
    starts = _line_starts(source)

    def at(node: ast.expr) -> tuple[int, int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        return node.lineno, start, starts[node.end_lineno - 1] + node.end_col_offset - start

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Reason":
            other = "SERVER_ERROR" if node.attr == "INTERNAL" else "INTERNAL"
            yield Mutant(path, *at(node), f"Reason.{other}", node.attr, "gives another reason")
    for table, value in _tables(tree):
        for node in ast.walk(value):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                line, start, length = at(node)
                for word in _entries(table, node.value):
                    text = source[start : start + length]
                    where = text.find(word)
                    if where >= 0:
                        place = (line, start + where, len(word), "~" * len(word))
                        yield Mutant(path, *place, table, f"forgets {word!r}")


def _entries(table: str, text: str) -> list[str]:
    return text.split() if table == "CODES" else [text]


def _tables(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if not isinstance(node, ast.AnnAssign) or node.value is None:
            continue
        if isinstance(node.target, ast.Name) and node.target.id in TABLES:
            yield node.target.id, node.value


def _line_starts(source: str) -> list[int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        # `ast` counts columns in bytes; sites stand in lines of plain ASCII.
        starts.append(starts[-1] + len(line))
    return starts


def all_mutants() -> list[Mutant]:
    """Of every module that deals in reasons."""
    found: list[Mutant] = []
    for room in ROOMS:
        place = ROOT / "monitor" / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            name = str(path.relative_to(ROOT))
            found += mutants(path.read_text("utf-8"), name)
    return found


def killed(tree: Path, mutant: Mutant) -> bool:
    """Whether a test fails in `tree` with the mutant in it."""
    path = tree / mutant.path
    source = path.read_text("utf-8")
    end = mutant.start + mutant.length
    path.write_text(source[: mutant.start] + mutant.new + source[end:], "utf-8")
    try:
        return any(_fails(tree, stage) for stage in STAGES)
    finally:
        path.write_text(source, "utf-8")


def _fails(tree: Path, arguments: list[str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", "0"]
    run = subprocess.run(
        [*command, *arguments], cwd=tree, capture_output=True, timeout=600, check=False
    )
    if run.returncode not in {0, 1, 2}:
        raise RuntimeError(f"pytest could not run: {run.stdout.decode()[-500:]}")
    return run.returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="sites whose path, reason or words have this")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen = [m for m in all_mutants() if options.only in f"{m.path} {m.reason} {m.about}"]
    with tempfile.TemporaryDirectory() as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            tree = Path(folder) / str(number)
            hidden = shutil.ignore_patterns(".git", ".venv", "*.pyc", "build", "data")
            shutil.copytree(ROOT, tree, ignore=hidden)
            trees.put(tree)

        def tried(mutant: Mutant) -> bool:
            tree = trees.get()
            try:
                return killed(tree, mutant)
            finally:
                trees.put(tree)

        if any(_fails(tree, stage) for stage in STAGES):
            sys.exit("the tests fail without any mutant; mend that first")
        survivors = []
        with ThreadPoolExecutor(options.jobs) as pool:
            for number, (mutant, dead) in enumerate(
                zip(chosen, pool.map(tried, chosen), strict=True), 1
            ):
                if not dead:
                    survivors.append(mutant)
                word = "killed" if dead else "SURVIVED"
                print(f"[{number}/{len(chosen)}] {word} {mutant.path}:{mutant.line} "
                      f"{mutant.reason} {mutant.about}", file=sys.stderr, flush=True)  # fmt: skip
    print(report(chosen, survivors))
    return 1 if survivors else 0


def report(chosen: list[Mutant], survivors: list[Mutant]) -> str:
    """Sites, killed and survived for each reason or table, then the survivors."""
    sites, alive = Counter(m.reason for m in chosen), Counter(m.reason for m in survivors)
    rows = [("reason", "sites", "killed", "survived")]
    rows += [
        (name, str(sites[name]), str(sites[name] - alive[name]), str(alive[name]))
        for name in sorted(sites)
    ]
    lines = [f"{a:<24}{b:>7}{c:>8}{d:>10}" for a, b, c, d in rows]
    return "\n".join([*lines, *(f"survivor: {m.path}:{m.line} {m.reason} {m.about}"
                                for m in survivors)])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

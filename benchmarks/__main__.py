"""Figures of the product beside its peers': `python -m benchmarks [NAME …] [--quick]`.

Every peer is measured in the same run, in turn with ours; what is missing on this machine is said
to be missing.  Times are CPU times unless a row says otherwise.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module

from benchmarks.measure import machine
from benchmarks.table import Row, printed

BENCHMARKS = {
    "accuracy": "how wrong the time of the first token is",
    "chunks": "CPU per streamed chunk, beside the openai SDK, httpx and latenzy",
    "probes": "CPU per whole web probe, beside blackbox_exporter",
    "scrape": "what /metrics costs, beside prometheus_client",
    "page": "what the status page costs: CPU and bytes",
    "schedule": "10,000 checks on one core",
    "startup": "imports, idle memory, validate, readiness, reload",
    "ledger": "what the ledger costs the event loop",
    "memory": "bytes per check, and per hostile answer",
}
Benchmark = Callable[[bool], Iterator[Row]]
"""Each module has `rows(quick)`: its rows as they are ready; `quick` only shows that it runs."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.partition("\n")[0])
    known = "; ".join(f"{name}: {about}" for name, about in BENCHMARKS.items())
    parser.add_argument("names", nargs="*", metavar="NAME", help=known)
    parser.add_argument("--quick", action="store_true", help="a try that proves nothing")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {known}")
    print(f"{machine()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}\n")
    missed = 0
    for name in options.names or BENCHMARKS:
        print(f"### {name}: {BENCHMARKS[name]}\n", flush=True)
        run: Benchmark = import_module(f"benchmarks.{name}").rows
        rows = []
        for row in run(options.quick):
            print(f"  {row.what} …", end="\n", file=sys.stderr, flush=True)
            rows.append(row)
        missed += sum(row.met is False for row in rows)
        print(printed(rows), end="\n\n", flush=True)
    return 1 if missed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())

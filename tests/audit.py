"""`python -m tests.audit`: known vulnerabilities of the packages that the lock file names.

Fails where there are any; where no advisory service can be asked, it says so and lets pass: that
nobody could look is no finding.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

LOCK = Path(__file__).parent.parent / "requirements.lock"
COMMAND = (sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes",
           "--progress-spinner", "off", "--format", "json", "--requirement", str(LOCK))  # fmt: skip


class Report(NamedTuple):
    """What the audit came to: exit code and words."""

    code: int
    words: str


def read(out: str, err: str) -> Report:
    """The outcome of one run, by what it printed."""
    try:
        packages = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        return Report(0, f"SKIPPED, no advisory service answers: {last[:200]}")
    bad = [
        f"{one['name']} {one['version']}: {found['id']}, "
        f"fixed in {', '.join(found['fix_versions']) or 'no version yet'}"
        for one in packages
        for found in one.get("vulns", ())
    ]
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    if bad:
        return Report(1, "\n".join(bad))
    if len(unknown) == len(packages):
        return Report(0, "SKIPPED, the advisory service knows none of the packages")
    left = f"; nothing is known of {', '.join(unknown)}" if unknown else ""
    return Report(0, f"{len(packages) - len(unknown)} packages, no known vulnerability{left}")


def main() -> int:
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=300, check=False)
    report = read(done.stdout, done.stderr)
    print(report.words)
    return report.code


if __name__ == "__main__":
    sys.exit(main())

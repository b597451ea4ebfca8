"""Writes `docs/verdicts.md`: what the recorded answers show, counted.

`python -m tests.verdicts` prints the page; a test keeps the file equal to it.
"""

from __future__ import annotations

from collections import Counter

from monitor import words
from monitor.dialects import DIALECTS
from monitor.model import REASONS, Reason, Verdict
from tests.transcripts import TRANSCRIPTS

TEXT = """\
# Verdicts

How the monitor reads what a chat API does. Each row is one reason: whose fault it is, which verdict
it gives to the attempt, what it means, and in how many recorded answers of each protocol
(`tests/transcripts/`) exactly that was to be told. Every recorded answer is fed to the parser in one
piece, byte by byte and cut off at every point, and sent over a real socket; {total} of them, all
with the verdict that their file demands. Reasons without a number come about without an answer
(no connection, a deadline, our own trouble) and are tested at the socket.

Only `failed` can take a check `down`. `wrong` and `slow` can make it `degraded`, `limited` makes it
`limited` (it answers, but refuses our account), and `void` says that the attempt proves nothing.
To see which rule decided on a live endpoint, run `monitor once NAME --trace`.

{table}
"""


def page() -> str:
    """The whole of `docs/verdicts.md`."""
    counts = Counter((one.expect.get("reason"), one.dialect.name) for one in TRANSCRIPTS)
    names = list(DIALECTS)
    head = ["reason", "fault of", "verdict", "meaning", *names]
    rows = [head, ["---"] * 4 + ["--:"] * len(names)]
    rows.append(["–", "–", Verdict.OK.value, "Complete, right and in time", *_cells(counts, None)])
    for reason, (fault, verdict) in REASONS.items():
        told = words.REASONS[reason]
        rows.append([f"`{reason}`", fault.value, verdict.value, told, *_cells(counts, reason)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return TEXT.format(total=len(TRANSCRIPTS), table=table)


def _cells(counts: Counter[tuple[str | None, str]], reason: Reason | None) -> list[str]:
    key = None if reason is None else reason.value
    return [str(counts[key, name] or "") for name in DIALECTS]


if __name__ == "__main__":
    print(page(), end="")

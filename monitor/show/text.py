"""Samples as lines of the Prometheus text format; OpenMetrics writes them the same way.

Spelled as prometheus_client spells them (labels in order of their names, numbers as Go prints
them), which tests hold against it.  It writes a page from scratch each time; here the lines of a
check can be kept, so everything about its labels is worked out once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client.utils import floatToGoString

from monitor.show.catalogue import CHECK, Spec
from monitor.show.cells import Exemplar, Histogram

Pairs = tuple[str, ...]
"""The labels that every series of a check has, written out, in order of their names."""


def number(value: float) -> str:
    """A value as Go prints it, which for most is as Python does."""
    value = float(value)
    if 0 <= value < 1e6:
        return repr(value)
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


def pair(name: str, value: str) -> str:
    """One label, escaped."""
    value = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'{name}="{value}"'


def pairs(labels: Mapping[str, str]) -> Pairs:
    return tuple(pair(name, value) for name, value in sorted(labels.items()))


def line(name: str, labels: Pairs, value: float) -> str:
    """One sample of any labels."""
    told = f"{{{','.join(labels)}}}" if labels else ""
    return f"{name}{told} {number(value)}\n"


def header(spec: Spec, *, openmetrics: bool) -> str:
    """The two lines before a family's samples."""
    help = spec.help.replace("\\", r"\\").replace("\n", r"\n")
    name = spec.name
    if openmetrics:
        help = help.replace('"', r"\"")
        name = name.removesuffix("_total") if spec.type == "counter" else name
    return f"# HELP {name} {help}\n# TYPE {name} {spec.type}\n"


class Lines:
    """Writes the samples that one check has in one family: `CHECK` and at most one label more."""

    def __init__(self, spec: Spec) -> None:
        more = [label for label in spec.labels if label not in CHECK]
        label = "le" if spec.type == "histogram" else more[0] if more else ""
        self._name, self._label = spec.name, label
        self._place = sum(known < label for known in CHECK)
        self._bounds = [*map(number, spec.buckets), "+Inf"]

    def one(self, labels: Pairs, value: float) -> str:
        return line(self._name, labels, value)

    def several(self, labels: Pairs, values: Mapping[str, float | None]) -> str:
        """Values by the further label's value; what is None is left out."""
        head, tail = self._around(self._name, labels)
        return "".join(
            f"{head}{label}{tail}{number(value)}\n"
            for label, value in values.items()
            if value is not None
        )

    def histogram(self, labels: Pairs, cells: Histogram) -> str:
        """With exemplars, which `without_exemplars` takes away again."""
        head, tail = self._around(f"{self._name}_bucket", labels)
        counted = zip(self._bounds, accumulate(cells.counts), strict=True)
        lines = [f"{head}{bound}{tail}{number(count)}\n" for bound, count in counted]
        for place, seen in cells.exemplars.items():
            lines[place] = f"{lines[place][:-1]}{_exemplar(seen)}"
        lines.append(line(f"{self._name}_count", labels, sum(cells.counts)))
        lines.append(line(f"{self._name}_sum", labels, cells.sum))
        return "".join(lines)

    def _around(self, name: str, labels: Pairs) -> tuple[str, str]:
        """What stands before and after the further label's value, so that the names are sorted."""
        before = "".join(f"{pair}," for pair in labels[: self._place])
        after = "".join(f",{pair}" for pair in labels[self._place :])
        return f'{name}{{{before}{self._label}="', f'"{after}}} '


def _exemplar(seen: Exemplar) -> str:
    return f" # {{{pair('probe_id', seen.probe_id)}}} {number(seen.value)} {seen.at}\n"


#: A quote inside a label's value is escaped, so this can only be the end of a line.
_EXEMPLAR = re.compile(rb' # \{probe_id="[^"\n]*"\} \S+ \S+$', re.MULTILINE)


def without_exemplars(lines: bytes) -> bytes:
    """The same lines for Prometheus text, which knows no exemplars."""
    return _EXEMPLAR.sub(b"", lines)


def written(name: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    """Samples of any labels, one line each."""
    return "".join(line(name, pairs(labels), value) for labels, value in samples)

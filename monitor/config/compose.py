"""YAML text to nodes, and nodes to lines: the part that knows PyYAML's machinery.

Words mean what they mean in YAML 1.2, except that `on`, `off`, `yes` and `no` are truth values, as
people write them; dates stay text, and `14:00` is not the number 840.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from monitor.config.trail import Trail

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml: the same results, several times slower
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

#: Deeper data than this is no configuration; libyaml itself crashes somewhere past 5,000.
MAX_DEPTH = 60

TAG = "tag:yaml.org,2002:"
STR, SEQ, MAP, MERGE = (TAG + name for name in ("str", "seq", "map", "merge"))

_PLAIN = re.compile(
    r"(?P<null>~|null|Null|NULL|)"
    r"|(?P<bool>true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)"
    r"|(?P<int>[-+]?[0-9]{1,30})"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?|[-+]?\.inf|\.nan)"
    r"|(?P<merge><<)"
)
_FIRST = frozenset("~nNtTfFyYoO0123456789+-.<")  # what a plain scalar that is no text begins with


class Words:
    """Our idea of what a plain word means, and a bound to the depth, for any loader of PyYAML."""

    depth = 0

    def resolve(self, kind: type[Node], value: str, implicit: Any) -> str:
        if kind is ScalarNode:
            return plain_tag(value) if implicit[0] else STR
        return SEQ if kind is SequenceNode else MAP

    def descend_resolver(self, current_node: Node | None, _index: Any) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = current_node.start_mark if current_node else None
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark
            )

    def ascend_resolver(self) -> None:
        self.depth -= 1


class _Composer(Words, _Loader):
    """Text to nodes."""


def plain_tag(value: str) -> str:
    """The tag of an unquoted word."""
    if value and value[0] not in _FIRST:
        return STR
    match = _PLAIN.fullmatch(value)
    return TAG + (match.lastgroup or "str") if match else STR


def compose(text: str) -> Node | None:
    """The node graph of the one document in the text; None where there is none."""
    loader = _Composer(text)
    try:
        node: Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def lines_of(text: str) -> Callable[[Trail], int]:
    """Finds lines by composing the text once more, and only if anybody asks."""
    roots: list[Node | None] = []

    def line_of(trail: Trail) -> int:
        if not roots:
            roots.append(compose(text))
        return _line(roots[0], trail)

    return line_of


def _line(node: Node | None, trail: Trail) -> int:
    """The line of the value, or of the nearest thing around it that the text has."""
    line = 1
    for part in trail:
        found = _step(node, part) if node is not None else None
        if found is None:
            break
        mark, node = found
        line = mark.start_mark.line + 1
    return line


def _step(node: Node, part: str | int) -> tuple[Node, Node] | None:
    """The node that marks the place of `part` (its key, if it has one) and its value."""
    if isinstance(node, SequenceNode) and isinstance(part, int):
        return (node.value[part],) * 2 if part < len(node.value) else None
    if not isinstance(node, MappingNode):
        return None
    for key, value in node.value:
        if key.value == part:
            return key, value
    merges = (value for key, value in node.value if key.tag == MERGE)
    for merge in merges:
        for source in merge.value if isinstance(merge, SequenceNode) else (merge,):
            found = _step(source, part)
            if found:
                return found
    return None

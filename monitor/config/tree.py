"""YAML text in, plain data out, with every flaw of the text and the line of every value.

Differences from PyYAML's own loader, each for a reason:
  * a key that stands twice in a mapping is a flaw, not a silent last-one-wins;
  * keys are always text, so that `on:` and `200:` need no quotes;
  * nesting, and what aliases may blow up to, are bounded: hostile text costs a message, no crash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from monitor.config.compose import (
    MAP,
    MAX_DEPTH,
    MERGE,
    SEQ,
    STR,
    TAG,
    compose,
    lines_of,
)
from monitor.config.errors import Flaw
from monitor.config.trail import Trail

#: How many values all aliases together may stand for.
MAX_ALIASED = 1_000_000

_TRUE = frozenset(("true", "yes", "on"))
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Tree:
    """What a text says.  With flaws, `data` is as much as could be understood."""

    data: Any
    flaws: tuple[Flaw, ...]
    line_of: Callable[[Trail], int]


def read_tree(text: str) -> Tree:
    """Everything that the text says; never raises."""
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        return _unreadable(line, "seen a control character, expected text")
    try:
        root = compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _unreadable(mark.line + 1 if mark else 1, f"not YAML: {_told(error)}")
    except yaml.YAMLError:
        return _unreadable(1, "not YAML: seen a character that YAML does not allow")
    builder = _Builder()
    data = builder.build(root, ()) if root is not None else None
    _let_go(root)
    return Tree(data, tuple(builder.flaws), lines_of(text))


def _let_go(root: Node | None) -> None:
    """Forget the nodes of long lists one by one: all at once, no other thread could run."""
    for _key, value in root.value if isinstance(root, MappingNode) else ():
        while isinstance(value, SequenceNode) and value.value:
            value.value.pop()


def _unreadable(line: int, message: str) -> Tree:
    return Tree(None, (Flaw(line, (), message),), lambda _trail: line)


def _told(error: yaml.MarkedYAMLError) -> str:
    """The parser's complaint without anything it might quote (an alias may be half a secret)."""
    said = ", ".join(part for part in (error.context, error.problem) if part)
    return re.sub(r"'[^' ]{4,}'", "…", said) or "seen something unreadable"


class _Builder:
    """Nodes to data; collects flaws.  Aliased nodes are built once and shared."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self._built: dict[int, Any] = {}
        self._open: set[int] = set()
        self._measured: dict[int, tuple[int, int]] = {}
        self._aliased = 0

    def build(self, node: Node, trail: Trail) -> Any:
        if isinstance(node, ScalarNode):
            return node.value if node.tag == STR else self._scalar(node, trail)
        ident = id(node)
        if ident in self._open:
            return self._flaw(node, trail, "seen an alias inside of what it stands for")
        if ident in self._built:
            return self._built[ident] if self._fits(node, trail) else None
        if node.tag not in (SEQ, MAP):
            return self._flaw(node, trail, "seen a YAML tag (!…), expected plain data")
        self._open.add(ident)
        made = (
            self._mapping(node, trail) if isinstance(node, MappingNode) else self._list(node, trail)
        )
        self._open.discard(ident)
        self._built[ident] = made
        return made

    def _list(self, node: Node, trail: Trail) -> list[Any]:
        return [self.build(item, (*trail, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, trail: Trail) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: list[Node] = []
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._flaw(key, trail, f"seen a {key.id} as a key, expected text")
            elif key.tag == MERGE:
                merged.append(value)
            elif key.value in own:
                self._flaw(
                    key, (*trail, key.value), "seen this key twice in one mapping, expected it once"
                )
            else:
                own[key.value] = self.build(value, (*trail, key.value))
        for value in merged:
            own = {**self._merged(value, trail), **own}
        return own

    def _merged(self, node: Node, trail: Trail) -> dict[str, Any]:
        """What `<<` brings in; of several mappings the first one to have a key wins."""
        inherited: dict[str, Any] = {}
        for source in node.value if isinstance(node, SequenceNode) else (node,):
            made = self.build(source, trail)
            if isinstance(made, dict):
                inherited = {**made, **inherited}
            elif isinstance(source, MappingNode):
                continue  # its flaw is told already
            else:
                self._flaw(source, trail, "seen << with something else than a mapping")
        return inherited

    def _scalar(self, node: ScalarNode, trail: Trail) -> Any:
        meaning = node.tag.removeprefix(TAG)
        try:
            return _SCALARS[meaning](node.value)
        except KeyError:
            return self._flaw(node, trail, "seen a YAML tag (!…), expected plain data")
        except ValueError:
            return self._flaw(node, trail, f"seen !!{meaning} before something that is none")

    def _fits(self, node: Node, trail: Trail) -> bool:
        """Whether one more use of an aliased node stays within the bounds."""
        size, height = self._measure(node)
        self._aliased += size
        if len(trail) + height > MAX_DEPTH:
            self._flaw(node, trail, f"nested deeper than {MAX_DEPTH} by aliases")
        elif self._aliased > MAX_ALIASED:
            self._flaw(node, (), f"seen aliases that stand for more than {MAX_ALIASED:,} values")
        else:
            return True
        return False

    def _measure(self, node: Node) -> tuple[int, int]:
        """How many values a finished node stands for and how deep they go."""
        if isinstance(node, ScalarNode):
            return 1, 0
        known = self._measured.get(id(node))
        if known is None and id(node) in self._open:
            return 1, 0
        if known is None:
            inner = [self._measure(child) for child in _children(node)]
            size = 1 + sum(size for size, _ in inner)
            known = (size, 1 + max((height for _, height in inner), default=0))
            self._measured[id(node)] = known
        return known

    def _flaw(self, node: Node, trail: Trail, message: str) -> None:
        self.flaws.append(Flaw(node.start_mark.line + 1, trail, message))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "null": lambda _text: None,
    "bool": lambda text: text.lower() in _TRUE,
    "int": int,
    "float": lambda text: float(text.replace(".inf", "inf").replace(".nan", "nan")),
    "merge": str,
}


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        yield from (value for _key, value in node.value)
    else:
        yield from node.value

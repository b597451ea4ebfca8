"""Thinking that stands in the answer as text between marks (Together, Perplexity, and servers of
one's own that do not know the model's marks)."""

from __future__ import annotations

_MARK, _END = "<think>", "</think>"


def after_thinking(text: str) -> str:
    """`text` without what was thought aloud before it; empty while that goes on."""
    start = text.lstrip()
    return start.partition(_END)[2].lstrip() if start.startswith(_MARK) else text


class Opening:
    """Tells, piece by piece, when an answer begins; keeps no more than a few characters.

    Blanks, half a mark and what is thought aloud are no answer yet.
    """

    __slots__ = ("_tail", "aloud")

    def __init__(self) -> None:
        self._tail = ""
        self.aloud = False

    def is_over(self, piece: str) -> bool:
        """Whether the answer has begun with `piece`; not to be asked again once it has."""
        text = self._tail + piece
        if not self.aloud:
            text = self._tail = text.lstrip()
            self.aloud = text.startswith(_MARK)
        if not self.aloud:
            return not _MARK.startswith(text)
        _, end, answer = text.partition(_END)
        self._tail = end or text[1 - len(_END) :]
        return bool(answer.strip())

"""Whether two names mean the same model.  Pure."""

from __future__ import annotations

import re

_DATED = re.compile(
    r"""(?: [-@:_]
        (?: \d{4}-\d{2}-\d{2}   # 2026-09-22
          | \d{3,8}             # 001, 0324, 20260922
          | v\d+(?:\.\d+)*      # v3, v0.1
          | latest | preview | exp | beta | stable
        )
    )+""",
    re.VERBOSE,
)


def same_model(asked: str, answered: str) -> bool:
    """Whether `answered` is the model `asked`, perhaps under its full, dated or routed name.

    A date, a release number or a word such as `latest` may be added or missing; a single digit
    may not: `x-4-5` is another model than `x-4`, as is `x-mini`.
    """
    left, right = _bare(asked), _bare(answered)
    if ":" not in right:
        left = left.partition(":")[0]  # a router's `:free` and a tag are often left out
    if left == right or _is_release(right, left) or _is_release(left, right):
        return True
    family = left.removesuffix("-latest")
    return family != left and _is_release(right, family)


def _bare(name: str) -> str:
    """Without the router's or vendor's path and in lower case: `models/gemini-x` is `gemini-x`."""
    return name.strip().lower().rpartition("/")[2]


def _is_release(name: str, family: str) -> bool:
    return bool(family) and name.startswith(family) and bool(_DATED.fullmatch(name, len(family)))

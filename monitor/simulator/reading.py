"""Parts of requests that several dialects read alike; they raise ValueError."""

from __future__ import annotations

from typing import Any


def request_of(body: Any) -> dict[str, Any]:
    """The body as an object."""
    if not isinstance(body, dict):
        raise ValueError(f"seen {type(body).__name__}, expected a JSON object")
    return body


def model_of(request: dict[str, Any]) -> str:
    """The model that is asked."""
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise ValueError("you must provide a model parameter")
    return model


def question_of(messages: Any, *, parts: str = "content") -> str:
    """What the user said last; `parts` is where a message keeps its text or texts."""
    if not isinstance(messages, list) or not messages:
        raise ValueError("'messages' must be a list that is not empty")
    said = [m for m in messages if isinstance(m, dict) and m.get("role", "user") == "user"]
    content = said[-1].get(parts) if said else ""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def cap_of(request: dict[str, Any], *names: str) -> int | None:
    """The token cap, under the first of `names` that is there."""
    for name in names:
        value = request.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"seen {name} {value!r}, expected a positive integer")
        return value
    return None

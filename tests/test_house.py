"""The architecture as a list that the build checks: floors, owners, sizes, words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "monitor"

#: Which rooms a room may import; everything else is above it or none of its business.
MAY_IMPORT: dict[str, set[str]] = {
    "model": set(),
    "redact": set(),
    "duration": set(),
    "words": {"model"},
    "config": {"model", "duration"},
    "dialects": {"model"},
    "judge": {"model", "dialects"},
    "probe": {"model", "redact", "dialects", "judge"},
    "ledger": {"model", "redact", "judge"},
    "show": {"model", "redact", "duration", "judge", "words"},
    "notify": {"model", "redact", "judge", "words"},
    "run": {"model", "redact", "config", "dialects", "judge", "probe", "ledger", "show", "notify"},
    "simulator": {"model"},
}
TOP = {"cli", "commands", "once", "history", "trace", "terminal", "demo", "healthcheck", "__main__"}
PURE = {"model", "redact", "duration", "words", "dialects", "judge"}
PURE_MODULES = {"notify/plan.py", "notify/message.py"}
IMPURE_MODULES = {
    "aiohttp", "asyncio", "logging", "os", "pathlib", "select", "selectors", "signal", "socket",
    "sqlite3", "ssl", "subprocess", "threading", "time", "urllib.request",
}  # fmt: skip
OWNERS: dict[str, set[str]] = {
    "aiohttp": {"probe", "show", "run", "notify"},
    "apprise": {"notify"},
    "aiodns": {"probe"},
    "prometheus_client": {"show"},
    "jinja2": {"show"},
    "yaml": {"config", "simulator"},
    "pydantic": {"config"},
    "tenacity": {"run", "notify"},
    "orjson": {"dialects"},
    "bcrypt": {"show"},
    "botocore": {"probe"},
    "sqlite3": {"ledger"},
}


def modules() -> list[Path]:
    return sorted(HOUSE.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(HOUSE).parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports hide the floor"
            if node.module == "monitor":
                yield from (f"monitor.{alias.name}" for alias in node.names)
            else:
                yield node.module


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


by_module = pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(HOUSE)))


@by_module
def test_imports_point_up_the_list_only(path: Path) -> None:
    here = room(path)
    if here in TOP or here == "__init__":
        return
    for name in imports(path):
        if name.startswith("monitor."):
            other = name.split(".")[1]
            if other in {here, "__version__"}:
                continue
            assert other in MAY_IMPORT[here], f"{here}/ imports {other}/, which is not below it"


@by_module
def test_pure_rooms_touch_no_edge(path: Path) -> None:
    if room(path) not in PURE and str(path.relative_to(HOUSE)) not in PURE_MODULES:
        return
    for name in imports(path):
        assert name not in IMPURE_MODULES, f"{path.name} is pure and imports {name}"
    tree = ast.parse(path.read_text("utf-8"))
    assert not any(isinstance(n, (ast.AsyncFunctionDef, ast.Await)) for n in ast.walk(tree))
    assert "open(" not in path.read_text("utf-8").replace("_open(", "")


@by_module
def test_each_library_has_its_owner(path: Path) -> None:
    for name in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or room(path) in owners, f"{name} belongs to {owners}"


@by_module
def test_no_function_outgrows_a_screen(path: Path) -> None:
    for node in functions(path):
        assert node.end_lineno is not None
        length = node.end_lineno - node.lineno + 1
        assert length <= 60, f"{path.name}: {node.name} has {length} lines"


@by_module
def test_no_module_outgrows_its_room(path: Path) -> None:
    # The nouns are one list on purpose; the state machine is one table and its steps.
    limit = {"model.py": 500}.get(path.name, 300)
    assert len(path.read_text("utf-8").splitlines()) <= limit


@by_module
def test_every_module_promises_something(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{path} has no docstring"


def test_every_dependency_is_justified() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    told = (ROOT / "docs/dependencies.md").read_text("utf-8").lower()
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=\[]", requirement)[0].lower()
        assert f"| {name} |" in told, f"{name} is not in docs/dependencies.md"


def test_lock_files_pin_with_hashes_and_name_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text("utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text
        for line in text.splitlines():
            if line and not line.startswith((" ", "#")):
                assert re.match(r"[a-z0-9._-]+==\S+", line), line

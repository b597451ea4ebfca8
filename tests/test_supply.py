"""What the product is made of: pinned, listed, looked up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.audit import read

ROOT = Path(__file__).parent.parent


def locked(name: str = "requirements.lock") -> set[tuple[str, str]]:
    text = (ROOT / name).read_text("utf-8")
    return set(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def test_the_list_of_parts_is_valid_and_names_what_the_lock_names(tmp_path: Path) -> None:
    recipe = re.search(r"^sbom:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert recipe
    words = recipe[1].replace("\\\n", " ").split()
    assert words[0] == "$(BIN)/cyclonedx-py"
    out = tmp_path / "sbom.json"
    words[words.index("-o") + 1] = str(out)
    # `--validate` holds it against the schema of CycloneDX, which comes with the tool.
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", *words[1:], "--validate"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    bill = json.loads(out.read_text("utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert {(one["name"], one["version"]) for one in bill["components"]} == locked()
    assert all(one["purl"].startswith("pkg:pypi/") for one in bill["components"])
    hashes = [
        h for one in bill["components"] for r in one["externalReferences"] for h in r["hashes"]
    ]
    assert len(hashes) == (ROOT / "requirements.lock").read_text("utf-8").count("--hash=sha256:")


def test_the_product_needs_few_packages() -> None:
    """Each one more is a decision: raise the number together with its row in the documentation."""
    assert len(locked()) <= 26


def package(**more: object) -> dict[str, object]:
    return {"name": "a", "version": "1", **more}


BAD = {"id": "PYSEC-1", "fix_versions": ["2"]}
UNFIXED = {"id": "PYSEC-2", "fix_versions": []}


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([package(vulns=[])], 0, "1 packages, no known vulnerability"),
        ([package(vulns=[BAD])], 1, "a 1: PYSEC-1, fixed in 2"),
        ([package(vulns=[UNFIXED]), package(skip_reason="x")], 1, "no version yet"),
        ([package(skip_reason="x")], 0, "SKIPPED"),
        ([package(vulns=[]), {"name": "b", "skip_reason": "x"}], 0, "nothing is known of b"),
    ],
)
def test_an_audit_fails_for_what_is_known_and_nothing_else(
    packages: list[dict[str, object]], code: int, words: str
) -> None:
    report = read(json.dumps({"dependencies": packages}), "")
    assert report.code == code
    assert words in report.words


def test_an_audit_that_nobody_answers_is_skipped_aloud() -> None:
    report = read("", "Traceback\nConnectionError: no such host\n")
    assert report.code == 0
    assert report.words.startswith("SKIPPED")
    assert "no such host" in report.words

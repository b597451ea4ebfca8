"""The mutation check finds what it is to take away, and takes away just that."""

from __future__ import annotations

from monitor.model import Reason
from tests.mutants import ROOT, all_mutants, mutants, report

SOURCE = """
CODES: dict[str, Reason] = {Reason.AUTH: ("bad_key " "no_key")}

def find(status: int) -> Reason:
    return Reason.QUOTA if status == 402 else Reason.OVERLOADED
"""


def test_every_site_of_a_reason_and_every_entry_of_a_table_is_a_mutant() -> None:
    found = {(m.reason, m.about) for m in mutants(SOURCE, "x.py")}
    assert found >= {("CODES", "forgets 'bad_key'")}
    assert {reason for reason, _ in found} == {"CODES", "AUTH", "QUOTA", "OVERLOADED"}


def test_a_mutant_changes_its_own_characters_and_nothing_else() -> None:
    for mutant in mutants(SOURCE, "x.py"):
        changed = SOURCE[: mutant.start] + mutant.new + SOURCE[mutant.start + mutant.length :]
        assert changed != SOURCE
        assert [
            a != b for a, b in zip(SOURCE.splitlines(), changed.splitlines(), strict=True)
        ].count(True) == 1
        compile(changed, "x.py", "exec")


def test_every_reason_that_is_given_out_has_a_site() -> None:
    sites = {mutant.reason for mutant in all_mutants()}
    # The budget is not kept yet, so nobody gives its reason out.
    assert {reason.name for reason in Reason} - sites == {"BUDGET"}


def test_sites_stand_where_columns_are_characters() -> None:
    for mutant in all_mutants():
        line = (ROOT / mutant.path).read_text("utf-8").splitlines()[mutant.line - 1]
        assert line.isascii(), f"{mutant.path}:{mutant.line}"


def test_the_report_names_survivors() -> None:
    (first, *rest) = mutants(SOURCE, "x.py")
    told = report([first, *rest], [first])
    assert f"survivor: x.py:{first.line} {first.reason} {first.about}" in told

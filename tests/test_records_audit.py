"""RC701: the worst of the auditor's findings; its flags are asked for only when they can change that."""

import gc

import pytest

from bpb_audit.finding import Finding, Verdict
from bpb_audit.rules import Rule
from records.check import check_folder

FAIL, PASS, UNCHECKED = Verdict.FAIL, Verdict.PASS, Verdict.UNCHECKED


@pytest.mark.parametrize(
    ("others", "flags", "verdict", "asked"),
    [
        ([PASS, PASS], PASS, PASS, True),
        ([PASS, PASS], UNCHECKED, UNCHECKED, True),
        ([PASS, UNCHECKED], PASS, UNCHECKED, False),
        ([PASS, FAIL], UNCHECKED, FAIL, False),
    ],
)
def test_flags_are_asked_only_when_all_else_passed(tmp_path, monkeypatch, others, flags, verdict, asked):
    calls = []

    def stub(code, answer):
        def check(evidence):
            calls.append((code, gc.isenabled()))
            yield Finding(code, answer, "told")

        return Rule(code, "stub", check, "page")

    rules = [stub(f"PG10{i}", answer) for i, answer in enumerate(others)] + [stub("PG302", flags)]
    monkeypatch.setattr("bpb_audit.rules.all_rules", lambda: rules)
    folder = tmp_path / "2026-03-18_Mine"
    folder.mkdir()
    found = [f.verdict for f in check_folder(folder).findings if f.rule == "RC701"]
    assert found == [verdict]
    assert ("PG302" in dict(calls)) == asked
    assert not any(collecting for _, collecting in calls)
    assert gc.isenabled()

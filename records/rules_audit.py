"""RC701: the score itself, by the auditor; this room believes the other one's counting, never its own."""

from collections.abc import Iterator

from .evidence import Case
from .finding import FAIL, PASS, UNCHECKED, Finding, worst
from .rules import Say, rule

ONLY_FLAGS = "PG302"


@rule("RC701", "bytes audited")
def audited(case: Case) -> Iterator[Finding]:
    """The auditor (`pglab audit`) finds no fault with the bits per byte.

    `record check` hands the folder to bpb_audit and reports the worst of its findings here; `pglab audit` prints all of
    them. With the raw documents and the shards (`--docs`, `--shards`) the bytes are recounted; without them only what
    log and claim imply can be judged, and the rest stays UNCHECKED. PG302, which points at lines and never fails, costs
    half of an audit and is asked only when all the others passed.

    Fix: what the auditor's finding says.
    """
    say = Say("RC701")
    try:
        from bpb_audit.evidence import Evidence
        from bpb_audit.rules import all_rules, run_rule

        evidence = Evidence(case.folder.path, **case.audit_options)
        rules = all_rules()
        findings = [finding for one in rules if one.code != ONLY_FLAGS for finding in run_rule(one, evidence)]
        if worst(findings) is PASS:  # else its flags cannot change the verdict
            findings += [finding for one in rules if one.code == ONLY_FLAGS for finding in run_rule(one, evidence)]
    except ImportError as error:
        yield say.unchecked(f"the auditor is not there ({error})", fix="pip install -e .")
        return
    failed = [f for f in findings if f.verdict is FAIL]
    open_ones = [f for f in findings if f.verdict is UNCHECKED]
    passed = len(findings) - len(failed) - len(open_ones)
    told = f"{passed} passed, {len(failed)} failed, {len(open_ones)} unchecked"
    for finding in failed[:5]:
        yield say.fail(
            f"{finding.rule}: {finding.says}",
            where=finding.where,
            found=finding.found,
            expected=finding.expected,
            fix=finding.fix,
        )
    if len(failed) > 5:
        yield say.fail(
            f"and {len(failed) - 5} more findings of the auditor", found=told, fix=f"pglab audit {case.folder.path}"
        )
    if not failed and open_ones:
        yield say.unchecked(
            f"the auditor could not check everything: {open_ones[0].rule} {open_ones[0].says}",
            found=told,
            fix=f"pglab audit {case.folder.path} --docs DOCS --shards SHARDS",
        )
    elif not failed:
        yield (
            say.ok("the auditor finds no fault", found=told)
            if findings
            else say.unchecked("the auditor has no rules yet")
        )

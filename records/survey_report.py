"""A survey in the shape that every command writes its results in."""

from pglab_report import Column, Report, Table

from .rules import load_rules
from .survey import Survey


def report_of(found: Survey) -> Report:
    """Four counts in words, then spellings, keys and rules, the most frequent first."""
    rules = load_rules()
    over, few = found.rules["RC402"], found.rules["RC311"]
    says = [
        f"{found.folders} records, {found.logs} logs, {found.json_files} submission.json files.",
        f"{len(found.labels)} spellings of the final score ({len(found.before)} more of weights before quantisation).",
        f"{len(found.keys)} distinct keys in the submission.json files.",
        f"{over} records reach the cap when what they ship is counted; {few} of the ten-minute track show fewer than "
        "three seeds.",
    ]
    spellings = [{"label": label or "(none)", "logs": count} for label, count in found.labels.most_common()]
    keys = [{"key": key, "files": count} for key, count in found.keys.most_common()]
    failed = [
        {"rule": rule, "name": rules[rule].name, "records": count, "which": " ".join(found.failed[rule])}
        for rule, count in found.rules.most_common()
    ]
    return Report(
        "A survey of records",
        says,
        [
            Table("rules", "Rules that fail", [Column("rule"), Column("name"), Column("records", "", "", ",d"),
                  Column("which", hidden=True)], failed),
            Table("spellings", "Labels of scores after training", [Column("label"), Column("logs", "", "", ",d")],
                  spellings),
            Table("keys", "Keys of submission.json", [Column("key"), Column("files", "", "", ",d")], keys),
        ],
        data={"folders": found.folders, "logs": found.logs, "json_files": found.json_files,
              "spellings": len(found.labels), "distinct_keys": len(found.keys), "over_the_cap": over,
              "fewer_than_three_seeds": few},
    )  # fmt: skip

"""The bench of the room prints what it measured."""

import json

import pytest

from pglab_report import Ways
from records.bench import bench, make_folder
from records.evidence import Case
from records.folder import open_folder


def test_a_made_folder_is_of_real_size(tmp_path):
    size = make_folder(tmp_path / "2026-03-18_Record00")
    assert 150_000 < size < 400_000
    case = Case(open_folder(tmp_path / "2026-03-18_Record00"))
    assert len(case.runs) == 3
    assert case.mean_match is not None


@pytest.mark.slow
def test_the_bench_measures(capsys):
    assert bench(ways=Ways(json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folders"] == 60
    assert told["folders_per_s"] > 1
    assert told["tables"]["ways"]["rows"][0]["way"] == "a plain script, three questions"

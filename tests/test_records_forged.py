"""Forged folders are caught by their rule, and innocent variants met in public are not accused."""

import json
import shutil

import pytest

from records.check import check_folder
from records.evidence import Case
from records.finding import FAIL, PASS, UNCHECKED
from records.folder import open_folder
from tests.test_records_check import (  # the honest folder, and how to change it
    MEAN,
    SCORES,
    SCRIPT,
    all_logs,
    claim,
    honest,
    log_text,
    no_auditor,
    pack,
    rewrite,
    set_claim,
    verdicts,
)

__all__ = ["honest", "no_auditor"]
SIZE = 15_000_000 + len(SCRIPT.encode())


def finding(folder, rule, verdict):
    """The first finding of a rule with a verdict; fails when there is none."""
    found = [one for one in check_folder(folder).findings if one.rule == rule and one.verdict is verdict]
    assert found, [one for one in check_folder(folder).findings if one.rule == rule]
    return found[0]


def by_seed(**extra):
    return {str(seed): {"val_bpb": bpb, "artifact_bytes": SIZE, **extra} for seed, bpb in SCORES.items()}


def test_a_size_by_seed_that_its_log_does_not_print_fails(honest):
    set_claim(honest, seed_results=by_seed())
    assert verdicts(honest)["RC403"] == {PASS}
    told = by_seed()
    told["42"]["artifact_bytes"] = SIZE - 30_000
    set_claim(honest, seed_results=told)
    assert "seed 42" in finding(honest, "RC403", FAIL).found


def test_the_same_size_for_every_seed_is_held_to_each_log(honest):
    (honest / "train_seed7.log").write_text(log_text(7, SCORES[7], total=SIZE - 570))
    set_claim(honest, seed_results=by_seed())
    assert "seed 7" in finding(honest, "RC403", FAIL).says


@pytest.mark.parametrize(
    "change",
    [
        {"seed_results": None, "seeds": {str(s): {"val_bpb": b} for s, b in SCORES.items()}},
        {"seed_results": None, "seeds": list(SCORES), "seed_scores": list(SCORES.values())},
        {"seed_results": None, "per_seed_results": [{"seed": s, "val_bpb": b} for s, b in SCORES.items()]},
    ],
)
def test_scores_by_seed_are_read_under_their_public_names(honest, change):
    set_claim(honest, **change)
    assert verdicts(honest)["RC302"] == {PASS}
    swapped = dict(zip(SCORES, [SCORES[42], SCORES[1337], SCORES[7]], strict=True))
    if isinstance(change.get("seeds"), dict):
        set_claim(honest, seed_results=None, seeds={str(s): {"val_bpb": b} for s, b in swapped.items()})
    elif "seed_scores" in change:
        set_claim(honest, seed_results=None, seeds=list(swapped), seed_scores=list(swapped.values()))
    else:
        set_claim(honest, per_seed_results=[{"seed": s, "val_bpb": b} for s, b in swapped.items()], seed_results=None)
    assert FAIL in verdicts(honest)["RC302"]


def test_the_printed_seed_decides_not_the_name_of_the_file(honest):
    (honest / "train_seed7.log").write_text(log_text(1234, SCORES[7]))
    told = verdicts(honest)
    assert FAIL in told["RC302"]
    assert FAIL in told["RC312"]


def test_logs_with_swapped_names_fail(honest):
    a, b, aside = (honest / name for name in ("train_seed7.log", "train_seed42.log", "x"))
    a.rename(aside), b.rename(a), aside.rename(b)
    assert FAIL in verdicts(honest)["RC312"]


def test_the_best_runs_of_more_fail_and_a_full_disclosure_does_not(honest):
    every = {str(s): b for s, b in SCORES.items()}
    set_claim(honest, seed_results_all_runs_disclosure={"note": "best", "all": {**every, "8": 1.231, "9": 1.232}})
    assert "2 runs more" in finding(honest, "RC314", FAIL).says
    set_claim(honest, seed_results_all_runs_disclosure={"all": every})
    assert verdicts(honest)["RC314"] == {UNCHECKED}


def test_an_author_of_no_letters_is_none_and_a_name_alone_will_do(honest):
    set_claim(honest, author="")
    assert "author" in finding(honest, "RC202", FAIL).says
    value = claim()
    del value["author"]
    (honest / "submission.json").write_text(json.dumps(value))
    assert verdicts(honest)["RC202"] == {PASS}


def test_other_experiments_are_no_runs_of_the_record(honest):
    for seed in (42, 7):
        (honest / f"train_seed{seed}.log").write_text(log_text(seed, 1.29 + seed / 1e5))
    set_claim(honest, val_bpb=SCORES[1337], seed_results=None, val_loss=round(1.6931 * SCORES[1337], 8))
    assert finding(honest, "RC311", FAIL).found == "1 run, seeds 1337"


def test_runs_without_printed_seeds_are_for_a_reviewer(honest):
    for at, (seed, bpb) in enumerate(SCORES.items()):
        (honest / f"train_seed{seed}.log").unlink()
        (honest / f"train{'abc'[at]}.log").write_text(log_text(seed, bpb).replace(f"seed:{seed}\n", ""))
    assert verdicts(honest)["RC311"] == {UNCHECKED}


NEWER = "import os\nd = {'a': 1}\nprint(f'{d['a']}')\nfrom helper import table\n\n\n"
NEWER = (NEWER + "def eval_val(x):\n    return x\n") * 3


def test_a_helper_that_only_newer_python_shows_is_weighed(honest):
    (honest / "train_gpt.py").write_text(pack(NEWER))
    (honest / "helper.py").write_text("table = 1\n" + "# word\n" * 150_000)
    told = finding(honest, "RC402", FAIL)
    assert "helper.py" in told.found
    assert FAIL not in verdicts(honest)["RC502"] | verdicts(honest)["RC503"]


def test_a_table_that_the_code_names_is_weighed(honest):
    (honest / "table.npz").write_bytes(bytes(999_990))
    assert verdicts(honest)["RC402"] == {PASS}  # nothing reads it
    rewrite(honest, "train_gpt.py", lambda t: t + 'EXTRA = open("table.npz", "rb")\n')
    assert "table.npz" in finding(honest, "RC402", FAIL).found


def test_the_artifact_itself_counts_instead_of_the_log(honest):
    (honest / "final_model.int8.ptz").write_bytes(bytes(15_000_000 + 999_999))
    assert "final_model.int8.ptz" in finding(honest, "RC402", FAIL).found


def test_a_size_in_round_digits_is_judged_with_what_they_leave(honest):
    for seed, bpb in SCORES.items():
        text = log_text(seed, bpb)
        kept = [line for line in text.splitlines() if "Serialized" not in line and "Total" not in line]
        (honest / f"train_seed{seed}.log").write_text("\n".join([*kept, "artifact:15.92MB ternary:1(2B) code:170"]))
    set_claim(honest, bytes_total=None)
    assert verdicts(honest)["RC402"] == {PASS}
    for place in honest.glob("*.log"):
        rewrite(honest, place.name, lambda t: t.replace("15.92MB", "16.00MB"))
    assert verdicts(honest)["RC402"] == {UNCHECKED}


def test_white_space_alone_is_no_other_script(honest):
    all_logs(honest, code=len(SCRIPT.encode()) + 2)
    assert verdicts(honest)["RC405"] == {PASS}


def test_a_dump_damaged_by_other_output_is_for_a_reviewer(honest):
    lines = SCRIPT.splitlines()
    long = "\n".join([*lines, *(f"def f{i}(x):\n    return x + {i}" for i in range(30))]) + "\n"
    (honest / "train_gpt.py").write_text(long)
    hurt = "import os\nimport coseed:3 and the rest\nstep of another line (\n" + "\n".join(long.splitlines()[6:]) + "\n"
    for seed, bpb in SCORES.items():
        log = log_text(seed, bpb, script=long).replace(long, hurt)
        (honest / f"train_seed{seed}.log").write_text(log)
    assert verdicts(honest)["RC505"] == {UNCHECKED}
    assert "mixed with other output" in finding(honest, "RC505", UNCHECKED).says


def test_a_file_of_several_runs_is_judged_by_the_run_of_the_claim(honest):
    (honest / "train_seed7.log").write_text(log_text(5, 1.3, world=2, train_ms=900_000) + log_text(7, SCORES[7]))
    told = verdicts(honest)
    assert told["RC603"] == {PASS}
    assert told["RC601"] == {PASS}
    assert told["RC302"] == {PASS}


def test_a_time_above_its_own_limit_is_shown(honest):
    rewrite(honest, "train_seed7.log", lambda t: t + "artifact_production_wallclock: 825.3s (must be < 600.0)\n")
    assert "825.3" in finding(honest, "RC601", UNCHECKED).found


def test_a_later_score_of_another_method_does_not_move_the_mean(honest):
    rewrite(honest, "train_seed42.log", lambda t: t + "final_int6_ttt val_loss:3.07421378 val_bpb:1.33603200\n")
    report = check_folder(honest)
    assert report.logged_bpb == pytest.approx(MEAN, abs=1e-9)
    assert sorted(Case(open_folder(honest)).claimed_scores) == pytest.approx(sorted(SCORES.values()), abs=1e-9)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ('COUNTER = f"/tmp/ttt_counter_{SEED}"\n', PASS),
        ('WEIGHTS = "/tmp/extra/weights.pt"\n', UNCHECKED),
        ('WEIGHTS = f"/root/{SEED}/weights.pt"\n', UNCHECKED),
    ],
)
def test_scratch_names_made_up_as_it_runs_are_no_paths_outside(honest, code, verdict):
    rewrite(honest, "train_gpt.py", lambda t: t + code)
    assert verdicts(honest)["RC504"] == {verdict}


READING = {
    "load": "def eval_val_ttt(args):\n    return load_data_shard(args.train_files[0])\n",
    "open": "def sliding_eval(x):\n    return open('data/fineweb_train_000000.bin', 'rb')\n",
    "memmap": "def score(x):\n    return np.memmap('x/fineweb_train_000001.bin', dtype='<u2')\n",
}
MENTIONING = {
    "a list of names": "def score(path):\n    import glob\n    return glob.glob('x/fineweb_train_*.bin')\n",
    "a loader": "def eval_val_ttt(args, train_loader):\n    return args\n",
    "a check of names": "def validate_dataset_tokenizer_pair(args):\n    return sorted(glob(args.train_files))\n",
    "a check of a file": "def validate_dataset(args):\n    return open(args.train_files)\n",
    "reached": "def calibrate(args):\n    return load_data_shard(args.train_files)\ndef eval_x(a):\n    calibrate(a)\n",
}


@pytest.mark.parametrize("way", READING)
def test_training_files_read_while_scoring_fail(honest, way):
    rewrite(honest, "train_gpt.py", lambda t: t + READING[way])
    assert verdicts(honest)["RC506"] == {FAIL}


@pytest.mark.parametrize("way", MENTIONING)
def test_training_data_that_is_only_spoken_of_is_for_a_reviewer(honest, way):
    rewrite(honest, "train_gpt.py", lambda t: t + MENTIONING[way])
    assert verdicts(honest)["RC506"] <= {PASS, UNCHECKED}
    assert FAIL not in verdicts(honest)["RC506"]


def test_a_readme_in_a_table_or_without_scores(honest):
    (honest / "README.md").write_text("# X\n\n| seed | bpb |\n|---|---|\n| mean | 1.2145 |\n" + "words " * 80)
    assert "1.2145" in finding(honest, "RC206", FAIL).found
    (honest / "README.md").write_text("# X\n\nVersion 2.345 of the words. " + "words " * 80)
    assert verdicts(honest)["RC206"] == {UNCHECKED}
    (honest / "README.md").write_text(f"# X\n\n| mean | **{MEAN:.4f}** |\n" + "words " * 80)
    assert verdicts(honest)["RC206"] == {PASS}


def test_a_submission_of_another_folder_fails(honest, tmp_path):
    """The logs of one record beside the claim of another."""
    for place in honest.glob("*.log"):
        place.unlink()
    for seed in SCORES:
        shutil.copy(__file__, tmp_path / "unused.py")
        (honest / f"train_seed{seed}.log").write_text(log_text(seed, 1.31 + seed / 1e6))
    told = verdicts(honest)
    assert FAIL in told["RC301"]
    assert FAIL in told["RC302"]


def test_results_of_other_seeds_under_their_heads_are_theirs(honest):
    """A file with one training, and the last lines of two more seeds below it."""
    text = log_text(1337, SCORES[1337])
    for seed, head in ((42, "--- Seed 42 ---"), (7, "seed:7")):
        text += f"\n{head}\nfinal_int8_zlib_roundtrip_exact val_loss:2.07 val_bpb:{SCORES[seed]:.8f}\n"
        (honest / f"train_seed{seed}.log").unlink()
    (honest / "train_seed1337.log").rename(honest / "train.log")
    (honest / "train.log").write_text(text)
    assert verdicts(honest)["RC302"] == {PASS}
    rewrite(honest, "train.log", lambda t: t.replace("--- Seed 42 ---", "--- Seed 43 ---"))
    assert FAIL in verdicts(honest)["RC302"]


def test_a_run_that_failed_in_the_same_file_is_no_part_of_the_mean(honest):
    (honest / "train_seed42.log").rename(honest / "runs_42_and_more.log")
    rewrite(honest, "runs_42_and_more.log", lambda t: log_text(42, 1.92) + t)
    set_claim(honest, seed_results=None)
    assert verdicts(honest)["RC301"] == {PASS}
    assert verdicts(honest)["RC304"] == {PASS}


def test_a_script_with_a_byte_order_mark_compiles(honest):
    (honest / "train_gpt.py").write_bytes(b"\xef\xbb\xbf" + SCRIPT.encode())
    assert verdicts(honest)["RC501"] == {PASS}


def test_a_tracker_is_for_a_reviewer(honest):
    rewrite(honest, "train_gpt.py", lambda t: t + "import wandb\n")
    assert verdicts(honest)["RC503"] == {UNCHECKED}

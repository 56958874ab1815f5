"""Rules of the script (RC5xx): does it compile, what does it import, does it reach for a network or files elsewhere."""

import ast
import re
import sys
from collections.abc import Iterator

from bpb_audit.program import read_program

from .evidence import Case
from .finding import Finding
from .rules import Say, rule
from .script_reader import Source, bare, local_modules, script_source

# packages that public records use and the challenge's machine has, or that its FAQ names as fine
KNOWN = frozenset(
    [
        "torch",
        "numpy",
        "sentencepiece",
        "triton",
        "flash_attn",
        "flash_attn_interface",
        "flash_attn_3",
        "tiktoken",
        "tokenizers",
        "transformers",
        "datasets",
        "huggingface_hub",
        "tqdm",
        "zstandard",
        "brotli",
        "scipy",
        "einops",
        "mamba_ssm",
        "causal_conv1d",
        "fla",
        "safetensors",
        "setuptools",
        "typing_extensions",
        "packaging",
        "ninja",
        "cutlass",
        "torchao",
        "kernels",
        "mlx",
        "pyarrow",
        "pandas",
        "psutil",
        "numba",
    ]
)
NETWORK_MODULES = frozenset(
    [
        "requests",
        "urllib",
        "urllib3",
        "http",
        "httpx",
        "aiohttp",
        "ftplib",
        "socket",
        "smtplib",
        "telnetlib",
        "paramiko",
        "boto3",
        "gdown",
    ]
)
TELEMETRY = frozenset(["wandb", "mlflow", "comet_ml", "neptune"])  # tells a server of the run, when it is switched on
NETWORK_CALLS = frozenset(
    [
        "urlopen",
        "urlretrieve",
        "hf_hub_download",
        "snapshot_download",
        "load_dataset",
        "from_pretrained",
        "create_connection",
    ]
)
SHELL = re.compile(r"\b(?:curl|wget|git clone|pip3? install|huggingface-cli|aws s3|gsutil|scp|rsync)\b")
PREFIX = re.compile(r"^(?:/(?!dev/|proc/|sys/|tmp/|usr/|bin/)[\w.-]+/|~/)")  # how a formatted path may begin
ABSOLUTE = re.compile(
    r"^(?:/(?!dev/(?:null|shm)|proc/|sys/|tmp/?$|usr/|bin/)[\w.-]+/[\w./-]+|[A-Za-z]:\\\\?\w+|~/[\w./-]+)"
)


def sources(case: Case) -> list[Source]:
    """The script and every local file it needs."""
    script = case.folder.script
    if script is None:
        return []
    names = [script, *(name for name in local_modules(case.folder, script) if name.endswith(".py"))]
    return [script_source(case.folder, name) for name in names]


@rule("RC501", "script compiles")
def compiles(case: Case) -> Iterator[Finding]:
    """The script, and each local file it imports, is Python that compiles.

    Packed scripts are opened without being run, and what is inside is judged. A source written for a Python newer than
    the one that checks is UNCHECKED with the place, not a failure.

    Fix: `python -m py_compile train_gpt.py` shows the line.
    """
    say, found = Say("RC501"), sources(case)
    if not found:
        yield say.unchecked("no script to compile")
    for source in found:
        packed = " (opened from its packed form)" if source.inner is not None else ""
        if not source.error:
            yield say.ok(f"compiles{packed}", where=source.name)
        elif source.newer:
            yield say.unchecked(
                f"Python {sys.version_info[0]}.{sys.version_info[1]} cannot compile it; a newer one may{packed}",
                where=source.name,
                found=source.error,
                fix="check with the Python of the run",
            )
        else:
            yield say.fail(
                f"does not compile{packed}",
                where=source.name,
                found=source.error,
                expected="Python",
                fix="mend the line named",
            )


@rule("RC502", "known imports")
def known_imports(case: Case) -> Iterator[Finding]:
    """Every import is standard, local, commonly used by records, or named in requirements.txt.

    Any package may be used, when the folder says how to install it. An import in `try` with an `except` is optional and
    passes. What is left fails.

    Fix: add requirements.txt, and a word on setup to the README.
    """
    say, found = Say("RC502"), sources(case)
    parsed = [source for source in found if source.tree is not None]
    if not parsed:
        yield say.unchecked("no script that can be parsed")
        return
    wanted = " ".join(
        case.folder.text(n).lower()
        for n in case.folder.files
        if "requirements" in n or n.startswith(("setup", "pyproject"))
    )
    local = {name.split("/")[0].removesuffix(".py") for name in case.folder.files}
    readme = case.folder.text(case.folder.readme).lower() if case.folder.readme else ""
    strange: dict[str, str] = {}
    for source in parsed:
        for module, line in source.imports.items():
            known = module in sys.stdlib_module_names or module in KNOWN or module in local or module in source.optional
            spelled = (module.lower(), module.lower().replace("_", "-"))
            if (
                not known
                and not any(word in wanted for word in spelled)
                and not any(f"install {word}" in readme for word in spelled)
            ):
                strange.setdefault(module, f"{source.name}:{line}")
    if strange:
        yield say.fail(
            f"imports that nothing here provides: {', '.join(strange)}",
            where=next(iter(strange.values())),
            found=", ".join(strange),
            expected="standard library, known packages, or requirements.txt",
            fix="name them in requirements.txt",
        )
    else:
        total = sorted({m for source in parsed for m in source.imports if m not in sys.stdlib_module_names})
        yield say.ok("all imports are provided", where=parsed[0].name, found=", ".join(total))


@rule("RC503", "no network")
def no_network(case: Case) -> Iterator[Finding]:
    """The script and its local files make no network call.

    Searched in the syntax tree: imports of network modules that are used, calls such as `hf_hub_download`, and shell
    commands such as `curl` in strings that are run. torch.distributed between the GPUs is no network in this sense.
    A tracker such as wandb reports only when it is switched on: UNCHECKED, as is code that cannot be parsed.

    Fix: put what is needed into the artifact.
    """
    say, found = Say("RC503"), sources(case)
    if not found or any(source.tree is None for source in found):
        yield say.unchecked("no script that can be parsed", where=found[0].name if found else "")
        return
    hits: list[str] = []
    for source in found:
        for line, module in source.modules:
            if module.split(".")[0] in NETWORK_MODULES and module != "urllib.parse":
                hits.append(f"{source.name}:{line} import {module}")
        hits += [f"{source.name}:{call.lineno} {what}" for call in source.calls if (what := network_call(call))]
    if hits:
        yield say.fail(
            "the script reaches for the network",
            where=hits[0].split(" ")[0],
            found="; ".join(hits[:5]),
            expected="no network calls",
            fix="put what is needed into the artifact",
        )
    elif told := [
        f"{s.name}:{line} import {m}" for s in found for line, m in s.modules if m.split(".")[0] in TELEMETRY
    ]:
        yield say.unchecked(
            "the script may report to a server; a reviewer must see whether it does while scoring",
            where=told[0].split(" ")[0],
            found="; ".join(told[:5]),
            fix="leave it out, or behind a switch that is off",
        )
    else:
        yield say.ok("no network call in the code", where=found[0].name)


def network_call(node: ast.Call) -> str:
    """What a call does on the network, or an empty text."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in NETWORK_CALLS:
        return f"{name}(...)"
    if name in ("run", "Popen", "system", "check_call", "check_output", "call", "getoutput"):
        strings = [n.value for a in node.args for n in ast.walk(a) if isinstance(n, ast.Constant)]
        shell = SHELL.search(" ".join(s for s in strings if isinstance(s, str)))
        return f"runs {shell[0]}" if shell else ""
    return ""


@rule("RC504", "nothing outside the folder")
def no_outside_reads(case: Case) -> Iterator[Finding]:
    """The script names no absolute path and no path above its folder.

    Data and tokenizer paths may come from the environment (`DATA_PATH`, `TOKENIZER_PATH`). A path such as
    `/root/cache/x.pt` in the code ties the run to one machine, or brings in what is not counted. Text alone does not
    show whether it is read while scoring, so a hit is UNCHECKED, for a reviewer; no hit passes. A name under `/tmp`
    that the script makes up as it runs (`f"/tmp/counter_{port}"`) is scratch room and passes.

    Fix: take the path from the environment, or ship the file.
    """
    say, found = Say("RC504"), [source for source in sources(case) if source.tree is not None]
    if not found:
        yield say.unchecked("no script that can be parsed")
        return
    hits = [
        f"{source.name}:{line} {text}"
        for source in found
        for line, text, part in source.strings
        if (PREFIX if part else ABSOLUTE).match(text) or text.startswith("../")
    ]
    if hits:
        yield say.unchecked(
            "paths outside the folder are named; a reviewer must see whether they are read while scoring",
            where=hits[0].split(" ")[0],
            found="; ".join(hits[:5]),
            fix="take them from the environment, or ship the files",
        )
    else:
        yield say.ok("no path outside the folder in the code", where=found[0].name)


@rule("RC505", "log and script belong together")
def same_source(case: Case) -> Iterator[Finding]:
    """Where a log holds the source that ran, it is a source in the folder.

    Compared line by line, white space at the ends of lines and blank lines aside, with every script of the folder, as
    it lies there and with what is inside a packed one. Another source fails, with the first line that differs. A log
    without a dump is UNCHECKED: nothing ties it to this script. So is a dump that other output has damaged, when its
    rest is the script.

    Fix: ship the script that ran; a record is never edited after its run.
    """
    say, script = Say("RC505"), case.folder.script
    dumps = [(run, one) for run in case.supporting or case.runs for one in run.log.dumps]
    if script is None or not dumps:
        yield say.unchecked("no log holds the source that ran" if script else "no script", where=script or "")
        return
    mine: dict[tuple[str, ...], str] = {}
    for name in [script, *sorted(n for n in case.folder.files if n.endswith(".py") and n != script)]:
        source = script_source(case.folder, name)
        for text in (source.text, source.body):
            mine.setdefault(bare(text), name)
    for log_name in sorted({run.log.name for run, _ in dumps}):
        here = [(one, bare(one.text)) for run, one in dumps if run.log.name == log_name]
        same = next((mine[lines] for _, lines in here if lines in mine), None)
        if same:
            yield say.ok(f"the dumped source is {same}", where=f"{log_name}:{here[0][0].first}")
            continue
        dump, theirs = here[0]
        ours = max(mine, key=lambda lines: len(set(lines) & set(theirs)))
        tail = shared_tail(ours, theirs)
        program = read_program(dump.text)
        if tail >= len(ours) // 2 and (program.tree is None or program.partial):
            yield say.unchecked(
                f"the dumped source is mixed with other output; its last {tail:,} lines are those of {mine[ours]}",
                where=f"{log_name}:{dump.first}",
                fix="ship a log that one process wrote",
            )
            continue
        line = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        yield say.fail(
            f"the log holds another source than {mine[ours]}",
            where=f"{log_name}:{dump.first}",
            found=(theirs[line] if line < len(theirs) else "the dump ends")[:100],
            expected=(ours[line] if line < len(ours) else "the script ends")[:100],
            fix="ship the script that ran",
        )


def shared_tail(ours: tuple[str, ...], theirs: tuple[str, ...]) -> int:
    """How many last lines two sources share."""
    pairs = zip(reversed(ours), reversed(theirs), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))

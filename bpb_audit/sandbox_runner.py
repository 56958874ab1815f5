# mypy: ignore-errors
"""The program inside the sandbox: runs one cut-out function on a given vocabulary and prints the tables it returns.

It is passed to a fresh interpreter as text; it imports nothing of the auditor. It reads one JSON object from standard
input, puts limits on itself (CPU, memory, no files to write, no processes, no sockets), runs the code with a stand-in
for the tokenizer and for torch (numpy underneath), and prints one JSON object: {"arrays": [{"kind", "values"}]} or
{"error": "..."}.
"""

import collections  # noqa: F401  (imported before the limits, for the code that runs under them)
import functools  # noqa: F401
import itertools  # noqa: F401
import json
import pathlib  # noqa: F401
import re  # noqa: F401
import string  # noqa: F401
import sys
import typing  # noqa: F401
import unicodedata  # noqa: F401

import numpy as np

CPU_SECONDS, MEMORY_BYTES = 20, 4 << 30


class Tensor(np.ndarray):
    """A numpy array that answers to the handful of tensor methods a byte table is made with."""

    def to(self, *words, **named):
        for word in [*words, *named.values()]:
            if word in TYPES.values():
                return self.astype(word).view(Tensor)
        return self

    def cuda(self, *_, **__):
        return self

    cpu = contiguous = detach = clone = pin_memory = cuda

    def numpy(self):
        return np.asarray(self)

    def long(self):
        return self.astype(np.int64)

    def int(self):
        return self.astype(np.int32)

    def float(self):
        return self.astype(np.float32)

    def bool(self):
        return self.astype(np.bool_)

    def numel(self):
        return self.size


TYPES = {
    "int16": np.int16, "int32": np.int32, "int64": np.int64, "uint8": np.uint8, "int8": np.int8, "bool": np.bool_,
    "float32": np.float32, "float64": np.float64, "float16": np.float16, "long": np.int64, "int": np.int32,
    "float": np.float32, "short": np.int16, "double": np.float64, "uint16": np.uint16,
}  # fmt: skip


def tensor(data, dtype=None, device=None, **_):
    """torch.tensor"""
    return np.array(data, dtype=dtype).view(Tensor)


def shaped(make):
    """torch.zeros, ones, empty: sizes as one tuple or as several numbers."""

    def made(*size, dtype=None, device=None, **_):
        size = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        return make(size, dtype=dtype or np.float32).view(Tensor)

    return made


def fake_torch():
    """A module named torch, enough for a byte table."""
    import types

    torch = types.ModuleType("torch")
    vars(torch).update(TYPES)
    torch.tensor = torch.as_tensor = torch.from_numpy = tensor
    torch.zeros, torch.ones, torch.empty = shaped(np.zeros), shaped(np.ones), shaped(np.zeros)
    torch.arange = lambda *a, dtype=None, device=None: np.arange(*a, dtype=dtype).view(Tensor)
    torch.full = lambda size, value, dtype=None, device=None: np.full(size, value, dtype).view(Tensor)
    torch.Tensor, torch.device = Tensor, str
    torch.BoolTensor = lambda data: tensor(data, np.bool_)
    torch.LongTensor = lambda data: tensor(data, np.int64)
    return torch


def fake_sentencepiece(pieces):
    """A module named sentencepiece whose processor is the given vocabulary, whatever file it is asked to load."""
    import types

    module = types.ModuleType("sentencepiece")

    def processor(*_, **__):
        made = Pieces(pieces)
        made.Load = made.load = made.LoadFromFile = lambda *_, **__: True
        return made

    module.SentencePieceProcessor = processor
    return module


class Pieces:
    """Answers to SentencePiece's questions from a list of (piece, kind)."""

    def __init__(self, pieces):
        self.all = pieces
        self.ids = {piece: i for i, (piece, _) in reversed(list(enumerate(pieces)))}

    def vocab_size(self):
        return len(self.all)

    get_piece_size = GetPieceSize = piece_size = __len__ = get_vocab_size = vocab_size

    def id_to_piece(self, i):
        return [self.id_to_piece(one) for one in i] if isinstance(i, list) else self.all[int(i)][0]

    IdToPiece = id_to_token = id_to_piece

    def piece_to_id(self, piece):
        unknown = next((i for i, (_, kind) in enumerate(self.all) if kind == 2), 0)
        return self.ids.get(piece, unknown)

    PieceToId = token_to_id = piece_to_id

    def is_unknown(self, i):
        return self.all[int(i)][1] == 2

    def is_control(self, i):
        return self.all[int(i)][1] == 3

    def is_unused(self, i):
        return self.all[int(i)][1] == 5

    def is_byte(self, i):
        return self.all[int(i)][1] == 6

    IsUnknown, IsControl, IsUnused, IsByte = is_unknown, is_control, is_unused, is_byte

    def _special(self, kind, at):
        found = [i for i, (_, one) in enumerate(self.all) if one == kind]
        return found[at] if len(found) > at else -1

    def unk_id(self):
        return self._special(2, 0)

    def pad_id(self):
        return self._special(3, 0)

    def bos_id(self):
        return self._special(3, 1)

    def eos_id(self):
        return self._special(3, 2)

    def decode(self, ids, **_):
        """Decoding as SentencePiece does: bytes joined, U+2581 to spaces, invalid bytes to U+FFFD each."""
        out = b""
        for i in [ids] if isinstance(ids, (int, np.integer)) else ids:
            piece, kind = self.all[int(i)]
            if kind == 6:
                out += bytes([int(piece[3:5], 16)])
            elif kind not in (2, 3, 5):
                out += piece.replace("\u2581", " ").encode()
        return out.decode("utf-8", "replace")

    Decode = decode_ids = DecodeIds = decode


def limit():
    """No more CPU, memory, files, processes or sockets than a byte table needs. Returns nothing; raises nothing."""
    import resource

    wanted = [
        (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, 0),
    ]  # fmt: skip
    for what, most in wanted:
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))

    unheard = ("_posixsubprocess", "_ctypes", "ctypes", "_socket", "_multiprocessing", "_posixshmem", "_winapi")
    for name in unheard:  # they reach the system without an audit event
        sys.modules[name] = None

    def refuse(event, args):
        forbidden = ("socket.", "subprocess.", "os.", "shutil.", "ctypes.", "pty.", "signal.", "mmap.", "ftplib.")
        known = event == "import" and args[0] in unheard
        if known or event.startswith(forbidden) or (event == "open" and not reading(args)):
            raise PermissionError(f"the sandbox refuses {event}{f' {args[0]}' if known else ''}")

    def reading(args):
        name, mode = str(args[0]), args[1]
        return mode in ("r", "rb", None) and (name.endswith((".py", ".pyc", ".so")) or ".zip" in name)

    sys.addaudithook(refuse)


def numbers(value):
    """What a builder returned, flattened to arrays: tuples, lists, dicts; anything else is left out."""
    if isinstance(value, dict):
        return [one for part in value.values() for one in numbers(part)]
    if isinstance(value, tuple):
        return [one for part in value for one in numbers(part)]
    if isinstance(value, list) and value and not isinstance(value[0], (int, float, bool, np.generic)):
        return [one for part in value for one in numbers(part)]
    array = np.asarray(value)
    return [array] if array.ndim == 1 and array.dtype.kind in "biuf" else []


def work(task):
    """Run the task's function; returns its arrays as JSON can hold them."""
    sys.modules["torch"] = fake_torch()
    sys.modules["sentencepiece"] = fake_sentencepiece(task["pieces"])
    space = {"__name__": "submission", "torch": sys.modules["torch"], "np": np}
    space |= {"spm": sys.modules["sentencepiece"], "sentencepiece": sys.modules["sentencepiece"]}
    limit()
    exec(compile(task["code"], "submission", "exec"), space)  # the whole point of this process
    given = {"sp": Pieces(task["pieces"]), "size": task["size"], "device": "cpu", "path": "tokenizer.model"}
    value = space[task["function"]](*[given[role] for role in task["roles"]])
    return [{"kind": one.dtype.kind, "values": one[: 1 << 20].tolist()} for one in numbers(value)]


def main():
    task = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        answer = {"arrays": work(task)}
    except BaseException as error:
        answer = {"error": f"{type(error).__name__}: {error}"[:300]}
    json.dump(answer, out)
    out.flush()


if __name__ == "__main__":
    main()

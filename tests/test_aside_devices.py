"""Whoever names a pipe or a device as output gets the bytes there; it is never replaced by a file."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bpb_audit.aside import write_aside as by_audit
from compress.aside import write_aside as by_compress
from tokenizers_lab.aside import write_bytes as by_tokenizers


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("write", [by_audit, by_compress, by_tokenizers])
def test_a_pipe_takes_the_bytes_and_stays_a_pipe(write: Callable[[Path, bytes], object], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    came: list[bytes] = []
    reader = threading.Thread(target=lambda: came.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"all of it")
    reader.join(10)
    assert came == [b"all of it"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]

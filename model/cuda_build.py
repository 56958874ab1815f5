"""All kernels compiled for a GPU that need not be there: Triton's compiler and assembler run on any Linux machine.

What it shows without running anything: that each kernel is accepted, how many registers a thread takes, whether any of
them spilled to memory, and whether memory is touched 16 bytes at a time, at the baseline's own shape in bfloat16.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

H100 = 90  # compute capability 9.0, also the H200's


@dataclass(frozen=True, slots=True)
class BuiltKernel:
    """What the assembler said of a kernel. Accesses are instructions that move 16 bytes a thread."""

    name: str
    registers: int
    spilled: int  # bytes of local memory a thread
    wide_loads: int
    wide_stores: int


def kernel_signatures() -> list[tuple[str, Any, dict[str, str], dict[str, Any]]]:
    """Each kernel with the types of its arguments and its constants, at the baseline's shape."""
    from . import kernels_heads as heads
    from . import kernels_loss as loss
    from . import kernels_norm as norm
    from . import kernels_pointwise as pointwise

    narrow = [
        "x",
        "x0",
        "mixed",
        "unit",
        "d_unit",
        "onto",
        "out",
        "d_mixed",
        "d_x0_in",
        "dx",
        "d_x0",
        "y",
        "g_in",
        "dy",
    ]
    narrow += ["qkv", "q", "k", "dq", "dk", "dv", "d_qkv", "cos", "sin", "h", "g", "logits"]
    types = dict.fromkeys(narrow, "*bf16") | {"targets": "*i64"}
    types |= dict.fromkeys(["mix", "factor", "sums", "scale", "gain", "nats"], "*fp32")
    types |= dict.fromkeys(["rows", "tokens", "length", "count"], "i32")
    types |= dict.fromkeys(["eps", "slope", "cap", "part"], "fp32")
    r_tile, c_tile = norm.TILE_NUMBERS // 512, 512
    rows = {"C": 512, "R_TILE": r_tile, "C_TILE": c_tile}
    t_tile, d_tile = heads.head_tile(64)
    turns = {"H": 8, "K": 4, "D": 64, "R": 32, "T_TILE": t_tile, "D_TILE": d_tile}
    tile = {"TILE": pointwise.POINTS}
    return [
        ("norm", norm.norm_kernel, types, rows | {"MIX": False}),
        ("mix", norm.norm_kernel, types, rows | {"MIX": True}),
        ("norm_back", norm.norm_back_kernel, types, rows | {"ONTO": True}),
        ("mix_back", norm.mix_back_kernel, types, rows | {"ONTO": True, "turns": 31}),
        ("add", norm.add_kernel, types, rows),
        ("add_back", norm.add_back_kernel, types, rows | {"turns": 31}),
        ("turn", heads.turn_kernel, types, turns),
        ("turn_back", heads.turn_back_kernel, types, turns),
        ("square", pointwise.square_kernel, types, tile),
        ("square_back", pointwise.square_back_kernel, types, tile),
        ("head", loss.head_kernel, types, {"V": 1024, "TILE": 1024}),
        ("head, 8192", loss.head_kernel, types, {"V": 8192, "TILE": loss.LOGITS_AT_A_TIME}),
    ]


def built_kernels(capability: int = H100) -> list[BuiltKernel]:
    """Compile all kernels for that compute capability, 90 for 9.0. Raises what Triton raises, ImportError without."""
    return [
        built_kernel(name, function, types, constants, capability)
        for name, function, types, constants in kernel_signatures()
    ]


def built_kernel(
    name: str, function: Any, types: dict[str, str], constants: dict[str, Any], capability: int
) -> BuiltKernel:
    """Compile one kernel; pointers and sizes are taken to be multiples of 16, as they are at the baseline's shape."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = function.arg_names
    signature = {a: "constexpr" if a in constants else types[a] for a in names}
    even = {(i,): [["tt.divisibility", 16]] for i, a in enumerate(names) if signature[a][0] in "*i"}
    values = {(names.index(a),): value for a, value in constants.items()}
    kernel = triton.compile(
        ASTSource(function, signature, values, even),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": 4},
    )
    ptx = kernel.asm["ptx"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "kernel.cubin"
        place.write_bytes(kernel.asm["cubin"])
        tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        said = subprocess.run([tool, "--dump-resource-usage", place], capture_output=True, text=True).stdout
    registers, stack, local = (int(n) for n in re.search(r"REG:(\d+) STACK:(\d+) .*LOCAL:(\d+)", said).groups())  # type: ignore[union-attr]
    wide = r"\.global\S*\.v(?:4\.[bfu]32|2\.[bfu]64|8\.[bfu]16)"
    return BuiltKernel(name, registers, stack + local, *(len(re.findall(kind + wide, ptx)) for kind in ("ld", "st")))

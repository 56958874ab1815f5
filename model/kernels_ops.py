"""All passes of `cuda_plain` as Triton kernels, in one table. Needs triton, which comes with torch for CUDA."""

from .cuda_plain import PlainOps
from .kernels_heads import turn_back_by_kernel, turn_by_kernel
from .kernels_loss import head_by_kernel
from .kernels_norm import (
    add_back_by_kernel,
    add_by_kernel,
    mix_back_by_kernel,
    mix_by_kernel,
    norm_back_by_kernel,
    norm_by_kernel,
)
from .kernels_pointwise import square_back_by_kernel, square_by_kernel


class TritonOps(PlainOps):
    """`PlainOps`, each pass one kernel. Tensors of float32, bfloat16 or float16."""

    name = "triton"
    norm = staticmethod(norm_by_kernel)
    norm_back = staticmethod(norm_back_by_kernel)
    mix = staticmethod(mix_by_kernel)
    mix_back = staticmethod(mix_back_by_kernel)
    turn = staticmethod(turn_by_kernel)
    turn_back = staticmethod(turn_back_by_kernel)
    square = staticmethod(square_by_kernel)
    square_back = staticmethod(square_back_by_kernel)
    add = staticmethod(add_by_kernel)
    add_back = staticmethod(add_back_by_kernel)
    head = staticmethod(head_by_kernel)

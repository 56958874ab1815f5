"""Imports every module that registers rules; importing this module is what fills the registry.

A new check module is added here, in alphabetical order, and nowhere else.
"""

from . import (  # noqa: F401
    check_claim,
    check_code,
    check_coverage,
    check_curve,
    check_inversion,
    check_recount,
    check_round_trip,
    check_shards,
    check_size,
    check_source,
)

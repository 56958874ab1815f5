"""How a command prints its result for machines: exactly one JSON document on stdout."""

import json
from typing import Any


def say_json(value: Any) -> None:
    """Print `value` as indented JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))

"""Fill a template of this room. Markdown templates take text as it is; HTML ones escape every value."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

HOME = Path(__file__).parent


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one template environment: unknown names are errors, HTML is escaped."""
    env = Environment(
        loader=FileSystemLoader(HOME),
        autoescape=select_autoescape(enabled_extensions=("html.jinja", "svg.jinja"), default=False),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=False,
    )
    env.filters["thousands"] = lambda value: f"{value:,}"
    return env


def render(template: str, **values: Any) -> str:
    """The template's text with `values` filled in."""
    return environment().get_template(template).render(**values)

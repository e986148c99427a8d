"""Text from Jinja2 templates of this package, with paragraphs wrapped to 88 columns.

The templates are plain text; they contain nothing that a user entered.
"""

import textwrap
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

WIDTH = 88


def render(template: str, **values: Any) -> str:  # noqa: ANN401
    """Fill in a template of this package, named by its file."""
    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["paragraph"] = _paragraph
    text = files("pipeline.interpret").joinpath(template).read_text("utf-8")
    return environment.from_string(text).render(values).rstrip()


def _paragraph(text: str, indent: int = 0) -> str:
    """Wrap text as one paragraph and indent all lines but the first."""
    one_line = " ".join(text.split())
    return textwrap.fill(one_line, WIDTH, subsequent_indent=" " * indent) + "\n"

"""Fills in the text templates of this package: tutorial, comparison, worksheet."""

from typing import Any

from pipeline.base.templates import template_environment
from pipeline.base.text import wrap


def render_text(template: str, **values: Any) -> str:  # noqa: ANN401
    """Fill in a template file; in templates, the filter `paragraph` wraps lines."""
    environment = template_environment("pipeline.interpret", "", paragraph)
    return environment.get_template(template).render(values).rstrip()


def paragraph(text: str, indent: int = 0) -> str:
    """Return text with wrapped lines."""
    return wrap(text, indent=indent) + "\n"

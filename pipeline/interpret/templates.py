"""Fills in the text templates of this package: tutorial, comparison, worksheet."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.terminal import wrap


def render(template: str, **values: Any) -> str:  # noqa: ANN401
    """Fill in the template in this file; its filter `paragraph` wraps lines."""
    environment = Environment(
        loader=PackageLoader("pipeline.interpret", ""),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["paragraph"] = lambda text, indent=0: (
        wrap(text, indent=indent) + "\n"
    )
    return environment.get_template(template).render(values).rstrip()

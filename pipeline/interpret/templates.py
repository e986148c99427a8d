"""Fills in the text templates of this package: tutorial, comparison, worksheet."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.base.terminal import wrap


def fill_template(template: str, **values: Any) -> str:  # noqa: ANN401
    """Fill in the template in this file; its filter `paragraph` wraps lines.

    Jinja has two more environments: the page escapes texts for HTML, and the C code has
    filters that write tables.
    """
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

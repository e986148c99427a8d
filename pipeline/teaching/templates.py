"""Fills in the templates of this package: the questions, and the pages of a class."""

from typing import Any

from jinja2 import select_autoescape
from markupsafe import Markup

from pipeline.base.templates import template_environment

ESCAPE = select_autoescape(["html"], default=False)
MAX_EXACT = 1e15  # larger numbers are shown with six digits


def fill_template(template: str, **values: Any) -> str:  # noqa: ANN401
    """Fill in the template in this file; values are escaped for HTML in pages."""
    environment = template_environment(
        "pipeline.teaching", "", breakable, number, typed, autoescape=ESCAPE
    )
    return environment.get_template(template).render(values)


def breakable(name: str) -> Markup:
    """Return the name of a question, in which lines can break after `_`."""
    return Markup("_<wbr>").join(name.split("_"))


def typed(answer: float) -> str:
    """Return an answer with all digits that were typed, such as 15910 or -5039.31805.

    A longer number of 0s after the point, as in 2.50, is not known.
    """
    return repr(answer + 0).removesuffix(".0")


def number(value: float) -> str:
    """Return a number of unknown size as text, such as 15910 or 0.123457."""
    if value == round(value) and abs(value) < MAX_EXACT:
        return f"{value + 0:.0f}"  # + 0, so that -0.0 is shown as 0
    return f"{value:.6g}"

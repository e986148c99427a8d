"""The templates of texts, pages and C code, with Jinja."""

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.base.text import counted


@cache  # each template is compiled once, although a class has hundreds of pages
def template_environment(
    package: str,
    folder: str,
    *filters: Callable[..., str],
    **arguments: Any,  # noqa: ANN401
) -> Environment:
    """Return an environment for the templates in a folder of a package.

    A name without a value is an error. By default, values are not escaped, and a line
    with only a statement adds nothing to the text.

    Args:
        package: The name of the package.
        folder: The folder, relative to the package; "" for the package's own folder.
        filters: Functions that templates can use as filters under their own names,
            in addition to `counted`.
        arguments: Other arguments of Jinja's `Environment`.
    """
    layout = {"trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(
        loader=PackageLoader(package, folder),
        undefined=StrictUndefined,
        **(layout | arguments),
    )
    for function in (counted, *filters):
        environment.filters[function.__name__] = function
    return environment

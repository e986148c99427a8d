"""The text of --help: a stage's docstring and the comments of conf/config.yaml.

It imports no heavy package, so that --help answers at once.
"""

import re
import textwrap

from pipeline.cli.arguments import experiments
from pipeline.cli.paths import CONF_DIR
from pipeline.cli.schema import StageConfig

SWEEPS = """\
Sweeps, each summarised by a table and a plot:
  {name} -m hidden=10,20 seed=1,2   all combinations
  {name} experiment=...             {experiments}
  add hydra/launcher=joblib to train as many at a time as there are cores

"""
HELP = """\
{name} [key=value ...]

{doc}

Options and their defaults:
{options}

{sweeps}\
--cfg job prints the configuration; with the environment variable HYDRA_FULL_ERROR=1
an error prints its traceback."""


def help_text(
    name: str, doc: str, schema: type[StageConfig], *, sweeps: bool = False
) -> str:
    """Return the help of a stage.

    Args:
        name: The command, such as "python -m pipeline.train".
        doc: The docstring of its module.
        schema: Its options.
        sweeps: Whether it can be swept.
    """
    sweeps_help = SWEEPS.format(name=name, experiments=" or ".join(experiments()))
    return HELP.format(
        name=name,
        doc=doc.strip(),
        options=_options(schema),
        sweeps=sweeps_help if sweeps else "",
    )


def _options(schema: type[StageConfig]) -> str:
    """Lay out the options with their comments, wrapped at 88 columns."""
    line = re.compile(r"^(\w+): *(.*?) +# (.*)$", re.MULTILINE)
    comments = {
        f"{key}={value}": comment
        for key, value, comment in line.findall((CONF_DIR / "config.yaml").read_text())
        if key in schema.model_fields
    }
    width = max(map(len, comments))
    return "\n".join(
        f"  {option if not number else '':<{width}}  {part}"
        for option, comment in comments.items()
        for number, part in enumerate(textwrap.wrap(comment, 84 - width))
    )

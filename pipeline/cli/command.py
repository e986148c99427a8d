"""Turns a stage, which is a function of its configuration, into a command.

The whole command line is validated before the function runs; --help imports no heavy
package.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.cli.arguments import Command, experiments, parse
from pipeline.cli.config import as_yaml, validate
from pipeline.cli.schema import ConfigT, StageConfig
from pipeline.paths import conf_dir
from pipeline.process import run_command
from pipeline.terminal import wrap


def stage(
    function: Callable[[ConfigT], object],
    schema: type[ConfigT],
    *,
    sweep: Callable[[Command], None] | None = None,
) -> None:
    """Run a function of a configuration as a command, named like its schema.

    If the stage supports sweeps, `sweep` runs one.
    """
    name = f"python -m pipeline.{schema.__name__.removesuffix('Config').lower()}"
    doc = sys.modules[function.__module__].__doc__ or ""

    def run() -> None:
        if {"-h", "--help"} & {*sys.argv[1:]}:
            print(help_text(name, doc, schema, sweeps=sweep is not None), end="")
            return
        command = parse(sys.argv[1:], schema, sweeps=sweep is not None)
        if command.information:
            _print_information(command, schema)
        elif command.is_sweep and sweep:
            sweep(command)
        else:
            function(validate(schema, command.values))

    run_command(run, name=name)


def _print_information(command: Command, schema: type[StageConfig]) -> None:
    if command.cfg == "job":
        print(as_yaml(validate(schema, command.values)), end="")
        return
    import hydra

    sys.argv[1:] = command.information
    conf = str(conf_dir())
    hydra.main(version_base="1.3", config_path=conf, config_name="hydra")(print)()


def help_text(name: str, doc: str, schema: type[StageConfig], *, sweeps: bool) -> str:
    """Return the docstring of a stage and the comments of its options."""
    line = re.compile(r"^(\w+): *(.*?) +# (.*)$", re.MULTILINE)
    lines = line.findall((conf_dir() / "config.yaml").read_text("utf-8"))
    comments = {f"{k}={v}": text for k, v, text in lines if k in schema.model_fields}
    column = max(map(len, comments)) + 4
    options = [
        wrap(text, indent=column, start=f"  {option}".ljust(column))
        for option, text in comments.items()
    ]
    names, folder = " or ".join(experiments()), Path(__file__).parent
    template = (folder / "help.txt").read_text("utf-8")
    sweeps_help = (folder / "help_sweeps.txt").read_text("utf-8") if sweeps else ""
    return template.format(
        name=name,
        doc="\n\n".join(wrap(text, indent=0) for text in doc.strip().split("\n\n")),
        options="\n".join(options),
        sweeps=sweeps_help.format(name=name, experiments=names),
    )

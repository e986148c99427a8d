"""A valid command, and how a stage, a function of its configuration, becomes one.

The whole command line is validated before the function runs; --help imports no heavy
package.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.cli.config import as_yaml, choices, list_groups, validate
from pipeline.cli.schema import ConfigT, Schema
from pipeline.paths import conf_dir, displayed
from pipeline.process import run_command
from pipeline.terminal import wrap


@dataclass(frozen=True)
class Interval:
    """The numbers from which a search suggests a value of a key."""

    low: int | float  # int if the values are integers
    high: int | float  # included
    log: bool  # whether the logarithm is distributed uniformly

    def __str__(self) -> str:
        """Return the interval as it is typed."""
        text = f"interval({self.low},{self.high})"
        return f"tag(log,{text})" if self.log else text


@dataclass(frozen=True)
class Flags:
    """The flags of a command line; a call from Python has the defaults."""

    is_sweep: bool = False
    prints: bool = False  # --cfg job
    name: str = "hydra"  # the primary file, conf/hydra.yaml
    folder: Path | None = None  # --config-dir

    @property
    def folders(self) -> list[Path]:
        """The folders with settings."""
        return [conf_dir(), *([self.folder] if self.folder else [])]


@dataclass(frozen=True)
class Command:
    """A valid command: what to run a stage or a sweep with."""

    values: Mapping[str, Any]  # of all keys; in a sweep, of a valid combination
    settings: Sequence[Mapping[str, Any]]  # each combination; some can be invalid
    varied: Sequence[str] = ()  # the keys whose values differ between combinations
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # of a search
    is_sweep: bool = False
    prints: bool = False  # --cfg job: only print the values


def stage(
    function: Callable[[ConfigT], object],
    schema: type[ConfigT],
    *,
    sweep: Callable[[Command], object] | None = None,
) -> None:
    """Run a function of a configuration as a command, named like its schema.

    If the stage supports sweeps, `sweep` runs one.
    """
    name = f"python -m pipeline.{schema.__name__.removesuffix('Config').lower()}"
    doc = sys.modules[function.__module__].__doc__ or ""

    def run() -> None:
        if {"-h", "--help"} & {*sys.argv[1:]}:
            print(help_text(name, doc, schema), end="")
            return
        from pipeline.cli.arguments import parse  # Hydra takes 0.1 s

        command = parse(sys.argv[1:], schema)
        if command.prints:
            if (number := len(command.settings)) > 1:
                print(f"# the first of {number:,} combinations")
            print(as_yaml(validate(schema, command.values)), end="")
        elif command.is_sweep and sweep:
            sweep(command)
        else:
            function(validate(schema, command.values))

    run_command(run, name=name)


def help_text(name: str, doc: str, schema: Schema) -> str:
    """Return the docstring of a stage and the comments of its settings.

    Raises:
        UserError: If conf/config.yaml cannot be read.
    """
    conf, folder = conf_dir(), Path(__file__).parent
    path = conf / "config.yaml"
    line = re.compile(r"^(\w+): *(.*?) +# (.*)$", re.MULTILINE)
    try:
        lines = line.findall(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {displayed(path)}: {error}") from None
    comments = {f"{k}={v}": text for k, v, text in lines if k in schema.model_fields}
    column = max(map(len, comments)) + 4
    settings = [
        wrap(text, indent=column, start=f"  {setting}".ljust(column))
        for setting, text in comments.items()
    ]
    names = {
        group: " or ".join(choices(group, [conf]) or ())
        for group in list_groups([conf])
    }
    experiments = names.pop("experiment", "")
    others = [wrap(f"{group}={each}") for group, each in names.items() if each]
    template = (folder / "help.txt").read_text("utf-8")
    sweeps = (folder / "help_sweeps.txt").read_text("utf-8")
    sweeps = sweeps.format(name=name, experiments=experiments)
    paragraphs = [
        text if text.startswith(" ") else wrap(text, indent=0)  # the former is a list
        for text in doc.strip().split("\n\n")
    ]
    return template.format(
        name=name,
        doc="\n\n".join(paragraphs),
        settings="\n".join(settings),
        groups="".join(f"Group of settings: {each}\n\n" for each in others),
        sweeps=sweeps if schema.has_experiments else "",
    )

"""Turns a stage, which is a function of a `Command`, into a command with help.

The whole command line is validated before the function runs; --help imports no heavy
package. For calls from Python, settings are keywords, and `help` shows them.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from inspect import cleandoc
from pathlib import Path
from typing import Any, TypeVar

from pipeline import ConfigError, UserError
from pipeline.base.files import as_yaml, read_utf8
from pipeline.base.paths import conf_dir, displayed
from pipeline.base.process import run_command
from pipeline.base.results_folder import check_folder
from pipeline.base.text import command_line, wrap
from pipeline.cli.command import SAVED_SWEEPS, Command
from pipeline.cli.flags import Flags, read_flags
from pipeline.cli.problems import collected, reject
from pipeline.cli.schema import KEYS, ConfigT, Schema

Folder = str | os.PathLike[str] | None  # the argument `folder` of a call from Python
Function = TypeVar("Function", bound=Callable[..., object])
# For a required key that a variable can replace: how its comment begins.
REQUIRED = {"server": "required, unless MLFLOW_TRACKING_URI is the URL of a server"}
# A part of a comment that is true only for some stages: "null (sync): all runs".
FOR_STAGES = re.compile(r"(\w+) \(([a-z, ]+)\)(: .*)")


def main(function: Callable[[Command[ConfigT]], object], schema: type[ConfigT]) -> None:
    """Run the function of a stage; `schema` contains the name of the command."""
    doc = sys.modules[function.__module__].__doc__ or ""

    def run() -> None:
        arguments = sys.argv[1:]
        if {"-h", "--help"} & {*arguments}:
            flags = Flags()
            with suppress(ConfigError):  # the message refers to the help
                flags, _ = read_flags(arguments)
            print(help_text(doc, schema, flags), end="")
            return
        from pipeline.cli.arguments import parse  # imports Hydra

        command = parse(arguments, schema)
        if command.prints_settings:
            _print_settings(command)
        else:
            function(command)

    run_command(run, name=command_line(schema.stage))


def _print_settings(command: Command[ConfigT]) -> None:
    """Print the settings of the first valid combination as YAML, for --cfg job."""
    if (number := len(command.combinations)) > 1:
        print(f"# the first valid combination of {number:,}")
    for group, option in command.options.items():
        print(f"# {group}={option}")
    for key, interval in command.intervals.items():
        print(f"# {key}={interval}: its lower bound is shown")
    print(as_yaml(dict(command.config)), end="")


def help_text(doc: str, schema: Schema, flags: Flags) -> str:
    """Return the docstring of a stage, the comments of its settings, and the groups.

    Raises:
        UserError: If conf/config.yaml cannot be read.
    """
    texts = Path(__file__).parent
    name = command_line(schema.stage)
    template = (texts / "help.txt").read_text("utf-8")
    sweeps = (texts / "help_sweeps.txt").read_text("utf-8").format(name=name)
    paragraphs = [
        text if text.startswith(" ") else wrap(text, indent=0)  # a list
        for text in doc.strip().split("\n\n")
    ]
    options = {x: ", ".join(flags.files_of_group(x) or ()) for x in flags.groups}
    if not schema.has_recorded_sweeps:
        options.pop(SAVED_SWEEPS, None)
    groups = [wrap(x, indent=6, start=f"  {k}: ") for k, x in options.items() if x]
    title = "Config groups; group=option selects a file of a group:"
    return template.format(
        name=name,
        doc="\n\n".join(paragraphs),
        settings=settings_help(schema, schema.model_fields),
        groups="\n".join([title, *groups, "", ""]) if groups else "",
        sweeps=sweeps if schema.has_recorded_sweeps else "",
    )


def settings_help(schema: Schema, keys: Iterable[str]) -> str:
    """Return lines with settings, and their defaults and comments in conf/config.yaml.

    The comments of required keys begin with "required". The parts of comments that are
    about other stages are left out.

    Raises:
        UserError: If conf/config.yaml cannot be read.
    """
    path = conf_dir() / "config.yaml"
    keys = {*keys}
    line = re.compile(r"^(\w+): *(.*?) +# (.*)$", re.MULTILINE)
    comments = dict[str, str]()
    for key, value, comment in line.findall(read_utf8(displayed(path))):
        text = _of_stage(comment, schema.stage)
        if key in keys and key in schema.required:
            what, _, _ = text.partition("; null: ")
            comments[key] = f"{REQUIRED.get(key, 'required')}: {what}"
        elif key in keys:
            comments[f"{key}={value}"] = text
    column = max(map(len, comments), default=0) + 4
    return "\n".join(
        wrap(text, indent=column, start=f"  {setting}".ljust(column))
        for setting, text in comments.items()
    )


def _of_stage(comment: str, stage_name: str) -> str:
    parts = list[str]()
    for part in comment.split("; "):
        if not (match := FOR_STAGES.fullmatch(part)):
            parts.append(part)
        elif stage_name in match[2].split(", "):
            parts.append(f"{match[1]}{match[3]}")
    return "; ".join(parts)


def from_python(
    schema: type[ConfigT],
    settings: Mapping[str, Any],
    folder: Folder = None,
    *,
    is_multirun: bool = False,
) -> Command[ConfigT]:
    """Return the command for settings that were passed as keywords.

    All other settings have their defaults. The values can be paths, and NumPy or
    PyTorch numbers. `folder` gets the results.

    In a sweep, a list, tuple, range or array has several values. As on a command line,
    text such as "4,5" or "interval(4,128)" has several values too. The keyword of a
    group, such as experiment, has one option or several options.

    Raises:
        ConfigError: If settings are invalid, with one line per problem, or if the call
            cannot write to `folder`; see `check_folder`.
    """
    from pipeline.cli.arguments import parse_keywords  # Hydra, as above

    path = None
    command = None
    problems = list[str]()
    with collected(problems):
        command = parse_keywords(settings, schema, is_multirun=is_multirun)
    with collected(problems):
        path = None if folder is None else check_folder(folder)
    reject(problems)
    assert command
    if command.is_multirun and not is_multirun:
        chosen = (f"{k}={x}" for k, x in settings.items() if k not in KEYS)
        starts = " ".join(chosen) or "conf/hydra.yaml"
        raise ConfigError(f"{starts} starts a sweep: call sweep()")
    return replace(command, folder=path)


def documented(schema: Schema, keywords: type) -> Callable[[Function], Function]:
    """Return a decorator that adds the settings among `keywords` to a docstring.

    Only `help()` shows the docstring, so
    the decorator does nothing in a command.
    """

    def add(function: Function) -> Function:
        if function.__module__ != "__main__" and function.__doc__:
            title = "Settings, with their defaults in conf/config.yaml (null is None):"
            with suppress(UserError):  # a call reports the error
                listed = settings_help(schema, keywords.__annotations__)
                doc = cleandoc(function.__doc__)
                function.__doc__ = f"{doc}\n\n{title}\n{listed}\n"
        return function

    return add

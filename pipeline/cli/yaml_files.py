"""Reads the YAML files with settings, and rejects content that could run code.

A setting of Hydra can import a package, call a class or copy the environment into a
result, and a resolver, `${oc.env:...}`, can read secrets. Therefore, a file can contain
only keys, values, a defaults list, and references to other keys.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pipeline import ConfigError, UserError
from pipeline.base.files import read_utf8
from pipeline.base.paths import conf_dir, displayed
from pipeline.cli.hydra_internals import one_line
from pipeline.cli.problems import WrongType, located, reject

HEADER = re.compile(r"\s*#\s*@package[ \t]+(.*)")  # in the first line
HYDRA = re.compile(r"(^|[@/.\s:])hydra([/.@:]|$)")  # in defaults and packages
SAVED_SWEEP = re.compile(r"hydra\.(mode=(RUN|MULTIRUN)|sweeper\.params\..*)", re.DOTALL)
PLAIN_REFERENCE = re.compile(r"\$\{[^${}:]*\}")  # such as ${epochs}, but no resolver
NO_RESOLVER = "calls a resolver, which can read secrets: only ${key} is allowed"
# Hydra does not record an option that is a list, so the run would have no tag for it.
NO_LIST = "selects a list of files: add a file to the group with `defaults: [a, b]`"
# The alternatives to Hydra's own settings, by the starts of their names.
ALTERNATIVES = {
    ("run", "sweep."): "set the environment variable PIPELINE_OUTPUTS to choose "
    "the folder of the results",
    ("mode",): "use -m, or set hydra.mode to RUN or MULTIRUN in a file",
    ("launcher",): "use workers and executor to select where a sweep runs",
    ("sweeper",): "set hydra.sweeper.params in a file, or define a search with "
    'trials and intervals such as "hidden=interval(4,128)"',
    ("searchpath",): "use --config-dir to add a folder of settings",
    ("job_logging", "verbose", "output_subdir"): "there are no log files",
    ("job",): "use run_name to name a run, and set environment variables in the shell",
    ("callbacks",): "from Python, use train(on_epoch=...) to call a function",
    ("help",): "use --help to list the settings",
}


def read(path: Path) -> tuple[dict[str, Any], str | None]:
    """Return the values of a file, and the package of its header.

    Raises:
        ConfigError: If the file is not YAML, or contains more than settings. Each
            message contains the path of the file.
    """
    try:
        text = read_utf8(displayed(path))
    except UserError as error:
        raise ConfigError(str(error)) from None
    values, package = _checked(text, path)
    return {**values}, package


@cache  # each message about a default reads conf/config.yaml
def _checked(text: str, path: Path) -> tuple[dict[str, Any], str | None]:
    """Parse and check the text of a file; see `read`."""
    header = HEADER.match(text)
    package = header[1].strip() if header else None
    values = parse(text, path)
    problems = _problems(values, package, path)
    reject(located(problem, path) for problem in problems)
    return values, package


def parse(text: str, path: Path) -> dict[str, Any]:
    """Return the content of a YAML file; raise a ConfigError if it is invalid."""
    try:
        content: object = OmegaConf.to_container(OmegaConf.create(text))
    except AssertionError:  # raised by OmegaConf if the file is a number
        content = None
    except (OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(located(one_line(error), path)) from None
    if not isinstance(content, dict):
        raise ConfigError(f"{displayed(path)} must contain lines such as hidden: 20")
    return {str(key): value for key, value in content.items()}


def calls_resolver(text: str) -> bool:
    """Return whether text contains a reference to something other than a key."""
    before = ""
    while before != text:
        before, text = text, PLAIN_REFERENCE.sub("", text)
    return "${" in text and ":" in text[text.index("${") :]


def reject_resolver(key: str, value: str) -> None:
    """Raise an error if the value of a key `calls_resolver`."""
    if calls_resolver(value):
        raise WrongType(located(f"{key}={value} {NO_RESOLVER}", None))


def describe_hydra(name: str) -> str:
    """Return why a setting of Hydra, such as hydra.run.dir, cannot be set."""
    setting = re.split("hydra[./@]?", name, maxsplit=1)[1]
    remedies = (x for starts, x in ALTERNATIVES.items() if setting.startswith(starts))
    remedy = next(remedies, "conf/README.md lists the alternatives")
    return f"{name} cannot be set in this project: {remedy}"


def _problems(
    values: Mapping[str, Any], package: str | None, path: Path
) -> Iterator[str]:
    """Yield a message for all content of a file that is not a setting."""
    if package and HYDRA.search(package):
        yield describe_hydra(package)
    listed = values.get("defaults")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict):
            lists = (group for group, x in entry.items() if isinstance(x, list))
            yield from (f"{group} {NO_LIST}" for group in lists)
    for name, value in _leaves(values):
        first, _, rest = name.partition(".")
        if first == "defaults":
            entry = rest.removeprefix("override ") or str(value)
            is_file = value in ("hydra", "/hydra") and not rest  # conf/hydra.yaml
            if HYDRA.search(f"{entry} {value}") and not is_file:
                yield describe_hydra(entry if HYDRA.search(entry) else str(value))
        elif (
            first == "hydra" and value and not SAVED_SWEEP.fullmatch(f"{name}={value}")
        ):
            yield describe_hydra(name)
        if "_target_" in name:
            yield "_target_ names a class to call: remove it"
        is_read_by_dvc = path == conf_dir() / "config.yaml"
        if is_read_by_dvc and "${" in str(value):
            yield (
                f"{name}: {value} refers to another setting, "
                "which DVC does not resolve: write a value"
            )
        elif calls_resolver(str(value)):
            yield f"{value} {NO_RESOLVER}"


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield the name and the value of each leaf, such as hydra.run.dir."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for item in value:
            yield from _leaves(item, name)
    else:
        yield name, value

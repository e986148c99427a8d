"""Reads the YAML files of a configuration for Hydra, and refuses what could run code.

Hydra loads each file that takes part in a composition through `ConfSource`. A setting
of Hydra can import a package, call a class or copy the environment into a result, and
a resolver, `${oc.env:...}`, can read secrets. So the files are plain YAML: keys,
values, a defaults list, and references to other keys.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pipeline import ConfigError
from pipeline.cli.schema import TEXT_KEYS
from pipeline.paths import displayed

HYDRA = re.compile(r"(^|[@/\s:])hydra([/.@:]|$)")  # in a defaults list or a package
PLAIN_REFERENCE = re.compile(r"\$\{[^${}:]*\}")  # such as ${epochs}, but no resolver
# What takes the place of Hydra's own settings, by the start of their names.
ALTERNATIVES = {
    "run": "PIPELINE_OUTPUTS sets the folder of the results",
    "sweep.": "PIPELINE_OUTPUTS sets the folder of the results",
    "mode": "-m runs a sweep",
    "launcher": "workers and executor select where a sweep runs",
    "sweeper": "intervals such as hidden=interval(4,128) and trials define a search",
    "searchpath": "--config-dir adds a folder of settings",
    "job_logging": "there are no log files",
    "job": "run_name names a run, and the shell sets environment variables",
    "callbacks": "from Python, train(on_epoch=...) calls a function",
    "help": "--help lists the options",
    "verbose": "there are no log files",
    "output_subdir": "there are no log files",
}
Files = list[tuple[Path, dict[str, Any]]]  # and their content
_folders: ContextVar[list[Path]] = ContextVar("folders")
_loaded: ContextVar[Files] = ContextVar("loaded")


@contextmanager
def searched(folders: list[Path]) -> Iterator[Files]:
    """Let Hydra search these folders; yield the list of the files that it loads."""
    loaded: Files = []
    tokens = _folders.set(folders), _loaded.set(loaded)
    try:
        yield loaded
    finally:
        _folders.reset(tokens[0])
        _loaded.reset(tokens[1])


class ConfSource(ConfigSource):
    """A folder of YAML files, each of which is checked when it is loaded."""

    @staticmethod
    def scheme() -> str:
        """Return the start of the paths that this class reads."""
        return "conf"

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file, and add it to the list of `searched`."""
        path = Path(self.path, self._normalize_file_name(config_path))
        values, package = read(path)
        _loaded.get().append((path, values))
        config = OmegaConf.create(values)
        return ConfigResult(self.provider, self.path, config, {"package": package})

    def available(self) -> bool:
        """Return whether the folder exists."""
        return self.is_group("")

    def is_group(self, config_path: str) -> bool:
        """Return whether this is a folder in the folder."""
        return Path(self.path, config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        """Return whether this is a file in the folder."""
        return Path(self.path, self._normalize_file_name(config_path)).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of the files and folders in a folder."""
        names: list[str] = []
        for name in sorted(os.listdir(Path(self.path, config_path))):
            path = str(Path(config_path, name))
            self._list_add_result(names, path, name, results_filter)
        return names


class ConfSearchPath(SearchPathPlugin):
    """Adds the folders of `searched` to those of Hydra."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folders; there are none in another program that uses Hydra."""
        for folder in _folders.get([]):
            search_path.append("pipeline", f"{ConfSource.scheme()}://{folder}")


Plugins.instance().register(ConfSource)
Plugins.instance().register(ConfSearchPath)


def read(path: Path) -> tuple[dict[str, Any], str | None]:
    """Return the values of a file, and the package of its header.

    References in text are escaped, because text is taken as it is written.

    Raises:
        ConfigError: If the file is not YAML, or contains more than settings; the
            message names it.
    """
    try:
        text = path.read_text("utf-8")
        header = ConfSource._get_header_dict(text[:512])
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read {displayed(path)}: it is not text") from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"cannot read {displayed(path)}: {error}") from None
    values, package = parse(text, path), header["package"]
    _check(values, package, path)
    for key in TEXT_KEYS & values.keys():
        values[key] = escape(values[key])
    return values, package


def parse(text: str, path: Path) -> dict[str, Any]:
    """Return the content of a YAML file; a ConfigError names it if it is invalid."""
    try:
        content = OmegaConf.create(text)
        if not isinstance(content, DictConfig):
            raise ConfigError(f"cannot read {displayed(path)}: it has no key: value")
        values = OmegaConf.to_container(content)
    except (OmegaConfBaseException, YAMLError) as error:
        message = f"cannot read {displayed(path)}: {one_line(error)}"
        raise ConfigError(message) from None
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def one_line(error: Exception) -> str:
    """Return the message of an error of Hydra or YAML without line breaks."""
    text = str(error) or str(error.__cause__ or type(error).__name__)
    message, *_ = re.split(r"(?:Config s|S)earch path:|\n\s+full_key:", text)
    return " ".join(message.split())


def escape(value: Any) -> Any:  # noqa: ANN401
    r"""Return text, or a list of text, in which ${...} is no reference: \${...}."""
    if isinstance(value, list):
        return type(value)(map(escape, value))
    if not isinstance(value, str):
        return value
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", value)


def check_references(text: str) -> None:
    """Raise a ConfigError if text refers to anything but a key."""
    before = ""
    while before != text:
        before, text = text, PLAIN_REFERENCE.sub("", text)
    if "${" in text and ":" in text[text.index("${") :]:
        rule = "calls a resolver, which can read secrets: only ${key} is allowed"
        raise ConfigError(f"{before} {rule}")


def refuse_hydra(name: str) -> ConfigError:
    """Return the error for a setting of Hydra, such as hydra.run.dir."""
    setting = re.split("hydra[./@]?", name, maxsplit=1)[1]
    remedies = (x for start, x in ALTERNATIVES.items() if setting.startswith(start))
    remedy = next(remedies, "conf/README.md lists what takes its place")
    return ConfigError(f"{name} cannot be set, as a setting of Hydra: {remedy}")


def _check(values: dict[str, Any], package: str | None, path: Path) -> None:
    """Raise a ConfigError if a file contains more than keys and values."""
    try:
        if package and HYDRA.search(package):
            raise refuse_hydra(package)
        for item in values.get("defaults") or ():
            if item in ("hydra", "/hydra"):  # conf/hydra.yaml
                continue
            for text in item.items() if isinstance(item, dict) else [(item,)]:
                if any(HYDRA.search(str(part)) for part in text):
                    raise refuse_hydra(str(text[0]).removeprefix("override "))
        hydra = values.get("hydra") or {}
        if not isinstance(hydra, dict):
            raise ConfigError("hydra must contain mode or sweeper")
        for key in hydra.keys() - {"mode", "sweeper"}:
            raise refuse_hydra(f"hydra.{key}")
        sweeper = hydra.get("sweeper") or {}
        if not isinstance(sweeper, dict):
            raise ConfigError("hydra.sweeper must contain params")
        for key in sweeper.keys() - {"params"}:
            raise refuse_hydra(f"hydra.sweeper.{key}")
        _check_values(values, path.name == "config.yaml")
    except ConfigError as error:
        raise ConfigError(f"{displayed(path)}: {error}") from None


def _check_values(value: object, is_read_by_dvc: bool) -> None:
    """Raise a ConfigError if a value can run code or refers to what it must not."""
    if isinstance(value, dict):
        for key, item in value.items():
            if str(key).startswith("_target_"):
                raise ConfigError("_target_ names a class to call: remove it")
            if is_read_by_dvc and isinstance(item, str) and "${" in item:
                rule = "refers to a key, which DVC does not resolve: write its value"
                raise ConfigError(f"{key}: {item} {rule}")
            _check_values(item, False)
    elif isinstance(value, list):
        for item in value:
            _check_values(item, False)
    elif isinstance(value, str):
        check_references(value)

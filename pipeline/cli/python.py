"""Makes a valid configuration from the keywords of a call from Python."""

from collections.abc import Mapping
from typing import Any

from pipeline import ConfigError
from pipeline.cli.command import Command, Flags
from pipeline.cli.schema import KEYS, ConfigT


def from_python(schema: type[ConfigT], settings: Mapping[str, Any]) -> ConfigT:
    """Check settings that were passed as keywords; all others have their defaults.

    They can be paths, and numbers of NumPy or PyTorch.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
    """
    command = _command(schema, settings, is_sweep=False)
    if command.is_sweep:
        chosen = (f"{k}={x}" for k, x in settings.items() if k not in KEYS)
        starts = " ".join(chosen) or "conf/hydra.yaml"
        raise ConfigError(f"{starts} starts a sweep: call sweep()")
    return command.config


def sweep_from_python(
    schema: type[ConfigT], settings: Mapping[str, Any]
) -> Command[ConfigT]:
    """Return the command of a sweep for settings that were passed as keywords.

    A list, tuple, range or array has several values; so has text such as "4,5" or
    "interval(4,128)", as on a command line. The keyword of a group, such as experiment,
    has one choice or several.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
    """
    return _command(schema, settings, is_sweep=True)


def _command(
    schema: type[ConfigT], settings: Mapping[str, Any], *, is_sweep: bool
) -> Command[ConfigT]:
    # Hydra takes 0.1 s, which `--help` saves.
    from pipeline.cli import arguments, items

    flags = Flags(is_sweep=is_sweep, is_call=True)
    return arguments.command_of(settings.items(), items.read_keyword, schema, flags)

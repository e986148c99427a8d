"""Problems of settings; each is a line of a `ConfigError`."""

from collections.abc import Iterable
from pathlib import Path

from pipeline import ConfigError
from pipeline.base.paths import displayed


def located(message: str, path: Path | None) -> str:
    """Return the message of a problem, with the file that it is in, if any."""
    return f"{displayed(path)}: {message}" if path else message


def reject(problems: Iterable[str]) -> None:
    """Raise a ConfigError with a line for each problem, if there is one."""
    if lines := [*dict.fromkeys(problems)]:
        raise ConfigError("\n".join(lines))

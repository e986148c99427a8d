"""Reads the YAML of conf/ with OmegaConf."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pipeline import ConfigError


def parse(text: str, path: Path) -> dict[str, Any]:
    """Return the values of a file in conf/; a ConfigError names it if it is invalid."""
    try:
        return to_dict(OmegaConf.create(text))
    except (OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"cannot read {path}: {one_line(error)}") from None


def to_dict(config: object) -> dict[str, Any]:
    """Convert an OmegaConf configuration; reject ${...}, which DVC does not resolve."""
    container = OmegaConf.to_container(config)
    assert isinstance(container, dict)
    values = {str(key): value for key, value in container.items()}
    for key, value in values.items():
        if isinstance(value, str) and "${" in value:
            raise ConfigError(f"{key}: {value} refers to a key: write its value")
    return values


def one_line(error: Exception) -> str:
    """Return the message of an error of Hydra or YAML without line breaks."""
    return " ".join(str(error).split())

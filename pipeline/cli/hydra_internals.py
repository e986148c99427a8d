"""The undocumented parts of Hydra that this project uses.

If a new version of Hydra changes them, only this module needs to change.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hydra import initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigSource
from hydra.types import RunMode

_ROOT = "--config-name"  # a configuration in memory that lists the primary config
# The parser raises ValueError for range(1,3,0) and for numbers with 5,000 digits.
PARSE_ERRORS = (HydraException, NotImplementedError, ValueError)


def list_files(
    root: Mapping[str, Any], overrides: Sequence[str], source: type[ConfigSource]
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Return each file that Hydra composes, with its package, and options of groups.

    The names are those in `source`, and in Hydra's own configuration. Hydra has one
    state for all threads; the state of a caller who uses Hydra is restored.

    Raises:
        HydraException: If a file is missing or the options are invalid.
        RecursionError: If defaults lists form a cycle.
    """
    before = Singleton.get_state()
    try:
        GlobalHydra.instance().clear()
        Plugins.instance().register(source)
        ConfigStore.instance().store(_ROOT, root)
        initialize_config_module("hydra.conf", version_base="1.3")
        loader = GlobalHydra.instance().config_loader()
        found = loader.compute_defaults_list(_ROOT, [*overrides], RunMode.RUN)
    finally:
        Singleton.set_state(before)
    files = [(each.config_path or "", each.package or "") for each in found.defaults]
    # Hydra records the same as hydra.runtime.choices.
    known = found.overrides.known_choices.items()
    choices = {key.partition("@")[0]: choice for key, choice in known if choice}
    return files, {k: x for k, x in choices.items() if not k.startswith("hydra/")}


def parse_names(word: str, names: Sequence[str]) -> list[str]:
    """Return the options of a group in an override.

    As in Hydra, glob selects some of the names, but searches no subfolder.

    Raises:
        HydraException, NotImplementedError, ValueError: If Hydra cannot parse it.
    """
    override = OverridesParser.create().parse_override(word)
    value = override.value()
    if isinstance(value, Glob):
        return value.filter([name for name in names if "/" not in name])
    if override.is_sweep_override():
        return [*override.sweep_string_iterator()]
    return [word.partition("=")[2]]


def parse_values(word: str, limit: int) -> tuple[list[Any], bool]:
    """Return the first values in an override, and whether they are a sweep.

    An interval is an `IntervalSweep`, with `start`, `end` and `tags`.

    Raises:
        HydraException, NotImplementedError, ValueError: If Hydra cannot parse it.
    """
    override = OverridesParser.create().parse_override(word)
    value, is_sweep = override.value(), override.is_sweep_override()
    if isinstance(value, RangeSweep):
        value.shuffle = False  # true lists all numbers of the range
    several = is_sweep and not isinstance(value, IntervalSweep)
    values = override.sweep_iterator() if several else iter([value])
    parsed = [*itertools.islice(values, limit)]
    return [getattr(each, "text", each) for each in parsed], is_sweep

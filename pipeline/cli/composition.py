"""What needs Hydra: an experiment of conf/, and numbers in Hydra's grammar."""

import itertools

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, RangeSweep
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pipeline import ConfigError
from pipeline.cli.config import as_text, defaults, experiments, parse_yaml
from pipeline.cli.settings_file import one_line, to_dict
from pipeline.cli.values import MAX_VALUES, Interval, SweepValues, shorten, unreadable
from pipeline.paths import conf_dir


def read_experiment(name: str) -> tuple[dict[str, str], bool]:
    """Return the values of an experiment as typed, and whether it is a sweep.

    Raises:
        ConfigError: If it does not exist, Hydra cannot compose it, or it contains other
            settings of Hydra.
    """
    if name not in experiments():
        names = " or ".join(experiments())
        raise ConfigError(f"experiment must be {names}, got {name!r}")
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = compose("hydra", [f"experiment={name}"], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"cannot read {conf_dir()}: {one_line(error)}") from None
    hydra, values = config.hydra, to_dict(config)
    del values["hydra"]
    path = experiments()[name]
    written = parse_yaml(path.read_text("utf-8"), path).get("hydra", {})
    if other := {*written, *written.get("sweeper", {})} - {"mode", "sweeper", "params"}:
        rule = "contains settings of Hydra that have no effect: remove"
        raise ConfigError(f"experiment={name} {rule} {', '.join(sorted(other))}")
    saved = {key: v for key, v in values.items() if v != defaults().get(key)}
    saved |= hydra.sweeper.params or {}
    texts = {str(key): as_text(value) for key, value in saved.items()}
    return texts, str(hydra.mode).endswith("MULTIRUN")


def parse_number(key: str, text: str, *, integer: bool) -> object:
    """Parse a number, a switch, a range, an interval or a word."""
    if "${" in text:
        raise ConfigError(f"{key}={shorten(text)} refers to a key: write its value")
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
        value, is_sweep = override.value(), override.is_sweep_override()
        if isinstance(value, RangeSweep):
            value.shuffle = False  # it would list all numbers of the range
        several = is_sweep and not isinstance(value, IntervalSweep)
        options = override.sweep_iterator() if several else iter([value])
        parsed = [*itertools.islice(options, MAX_VALUES + 1)]
    except (HydraException, NotImplementedError, ValueError):
        # Python raises ValueError for range(1,3,0) and for numbers with 5,000 digits.
        raise unreadable(key, text) from None
    if isinstance(value, IntervalSweep):
        ends = float(value.start or 0), float(value.end or 0)
        # Hydra has converted the numbers of interval(4,128) to float.
        low, high = (int(x) if integer and x.is_integer() else x for x in ends)
        if low < high and (not value.tags or (value.tags == {"log"} and low > 0)):
            return Interval(low, high, log=bool(value.tags))
        rule = "must be interval(low,high), low < high, or tag(log,...) with 0 < low"
        raise ConfigError(f"{key} {rule}, got {shorten(text)}")
    values = SweepValues(getattr(value, "text", value) for value in parsed)
    if not values:  # range(3,1)
        raise unreadable(key, text)
    return values if is_sweep else values[0]

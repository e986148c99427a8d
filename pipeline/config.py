"""From the command line to checked numbers: the only module that knows Hydra.

A stage is a function of one argument, its configuration. `stage(train, Train)` makes
it a command: Hydra composes `conf/`, the schema below checks type and bound of every
key, and only then does the stage start. A default stands in `conf/config.yaml`, a
bound stands here, and neither stands anywhere else.
"""

import atexit
import difflib
import functools
import gc
import io
import os
import re
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
OUTPUTS = ROOT / "outputs"
DATASETS = ("mnist", "fashion_mnist", "digits")


def _dataset(value: str) -> str:
    """Accept a data set's name, or a folder, which becomes absolute."""
    if value in DATASETS:
        return value
    try:
        folder = Path(value).expanduser()
        if value and folder.is_dir():
            return str(folder.resolve())
    except (OSError, RuntimeError):  # a name too long, a user who doesn't exist
        pass
    near = difflib.get_close_matches(value, DATASETS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    if "," in value:
        hint = " (to train on several, add -m)"
    raise ValueError(f"must be {', '.join(DATASETS)} or a folder that exists{hint}")


class Schema(BaseModel):
    """Keys of conf/config.yaml that a stage reads, each with its type and bound."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Data(Schema):
    """What stage data reads from the configuration."""

    dataset: Annotated[str, AfterValidator(_dataset)]


class Train(Data):
    """What stage train reads from the configuration."""

    split: Literal["exercise", "holdout"]
    hidden: int = Field(ge=1, le=10_000)
    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=1, le=60_000)
    lr: float = Field(gt=0, le=100, allow_inf_nan=False)
    seed: int = Field(ge=0, lt=2**63)
    tracking: Literal["mlflow", "none"]
    resume: bool


class Look(Schema):
    """What the stages that look at a trained network read from the configuration."""

    run: str | None
    tracking: Literal["mlflow", "none"]


Keys = TypeVar("Keys", bound=Schema)
TEXT = {
    "dataset",
    "run",
}  # taken as typed: no number, list or interpolation is read from it


def home() -> Path:
    """Return the folder of what outlives a stage: MLflow's store, checkpoints, locks.

    It is outputs/, and where DVC runs an experiment in a temporary copy of the
    project, that of the project itself.
    """
    return Path(os.environ.get("DVC_ROOT", ROOT)) / "outputs"


def folder(stage: str) -> Path:
    """Return where a stage writes: outputs/<stage>; in a sweep, its job's folder."""
    return (_sweep_folder() or OUTPUTS) / stage


def _sweep_folder() -> Path | None:
    """Return the folder of this job of a sweep, or None outside one."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized():
        return None
    settings = HydraConfig.get()
    if settings.mode != RunMode.MULTIRUN:
        return None
    return Path(settings.runtime.output_dir)


class Refused(ValueError):
    """Values that break a rule, one line for each."""


def check(keys: type[Keys], values: dict[str, Any]) -> Keys:
    """Check every value against the schema.

    Raises:
        Refused: With a line for each value that breaks a rule: key, value, rule and
            default.
    """
    lines = [_not_a_key(f"{key}=", keys) for key in values if key not in defaults()]
    try:
        checked = keys.model_validate(values)
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            if problem["type"] == "missing":
                lines.append(f"{key} is missing: give it a value in conf/config.yaml")
                continue
            rule = problem["msg"].removeprefix("Value error, ")
            rule = rule.replace("Input should be", "must be")
            lines.append(f"{key} {rule}, got {problem['input']!r} ({_default(key)})")
    if lines:
        raise Refused("\n".join(lines))
    return checked


def stage(function: Callable[[Keys], None], keys: type[Keys]) -> None:
    """Run a stage as a command: read the command line, check it, call the function.

    Bad values end the process with status 2 before anything is written; an error at
    the edges (a file, the network, the disk) with status 1 and one line.
    """
    arguments = sys.argv[1:]
    module = sys.modules[function.__module__]
    name = f"python -m pipeline.{function.__name__}"
    if {"-h", "--help"} & set(arguments):
        print(_help(name, module.__doc__ or "", keys))
        return
    overrides, problems = read(arguments, keys)
    if problems:
        _refuse(problems, name)
    # Half a million objects come from imports and stay to the end. Looking through
    # them for garbage, again and again and once more at exit, took 2.7 s of 14.
    gc.set_threshold(100_000, 20, 100)
    atexit.register(gc.freeze)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a run ends as KILLED
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a bar is worth no failure

    import hydra
    from omegaconf import DictConfig, OmegaConf

    failed: list[str] = []

    @functools.wraps(function)
    def job(composed: DictConfig) -> None:
        try:
            function(check(keys, _plain(composed)))
        except Refused as error:
            _refuse(str(error).splitlines(), name)
        except (ValueError, ArithmeticError, OSError) as error:
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            told = f"error: {error}\n(HYDRA_FULL_ERROR=1 shows where)"
            if _sweep_folder() is None:
                _stop(told, status=1)
            print(told, file=sys.stderr)
            failed.append(told)
        except KeyboardInterrupt as interrupt:
            _stop(str(interrupt) or "stopped; the same command goes on", status=130)

    OmegaConf.register_new_resolver(
        "project", lambda part: str(ROOT / part), replace=True
    )
    sys.argv = [sys.argv[0], *overrides]
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="hydra")(job)()
    if failed:
        _stop(f"{len(failed)} of the sweep failed, as said above", status=1)


def read(arguments: Sequence[str], keys: type[Schema]) -> tuple[list[str], list[str]]:
    """Turn what was typed into what Hydra understands, and say what can't be.

    Text is quoted, so that a file name keeps its brackets, commas and umlauts. Keys
    that the stage doesn't read are refused rather than ignored.

    Args:
        arguments: The command line, without the program.
        keys: The schema of the stage.

    Returns:
        The arguments for Hydra, and a line for everything that is wrong.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    sweep = bool({"-m", "--multirun"} & set(arguments))
    overrides: list[str] = []
    problems: list[str] = []
    values = defaults()
    for before, argument in zip(["", *arguments], arguments, strict=False):
        key, equals, value = argument.partition("=")
        hydras = key.lstrip("+").startswith(("hydra.", "hydra/"))
        flag = argument.startswith("-") and key.lstrip("-") not in defaults()
        if hydras or flag or before in ("--cfg", "-c"):
            overrides.append(argument)
            continue
        if not equals or key not in keys.model_fields:
            problems.append(_not_a_key(argument, keys))
            continue
        if key in TEXT:
            parts = value.split(",") if sweep else [value]
            argument = f"{key}={','.join(map(quote, parts))}"
        overrides.append(argument)
        try:
            override = parser.parse_override(argument)
        except HydraException:
            problems.append(f"{key} can't be read from {value!r} ({_default(key)})")
            continue
        if not override.is_sweep_override():
            values[key] = value if key in TEXT and not sweep else override.value()
        elif not sweep:
            problems.append(f"{key}={value} are several values: add -m to train each")
        else:
            for each in override.sweep_iterator():
                text = getattr(each, "text", each)  # of what was quoted
                problems += _problems(keys, defaults() | {key: text})
    return overrides, problems + _problems(keys, values)


def _problems(keys: type[Schema], values: dict[str, Any]) -> list[str]:
    try:
        check(keys, values)
    except Refused as error:
        return str(error).splitlines()
    return []


def quote(text: str) -> str:
    r"""Quote text for Hydra, which then hands it on letter by letter.

    Inside quotes Hydra reads a backslash as itself except before a quote, and
    OmegaConf reads ${...} as an interpolation unless a backslash stands before it.
    """
    text = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)
    text = re.sub(r'(\\*)"', lambda found: found[1] * 2 + r"\"", text)
    text = re.sub(r"(\\+)\Z", lambda found: found[1] * 2, text)
    return f'"{text}"'


def defaults() -> dict[str, Any]:
    """Return the values of conf/config.yaml."""
    from omegaconf import OmegaConf

    return _plain(OmegaConf.load(CONF / "config.yaml"))


def as_yaml(values: BaseModel) -> str:
    """Return checked values as YAML, which conf/config.yaml could hold."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(values.model_dump()))


def _plain(composed: object) -> dict[str, Any]:
    """Turn a configuration of OmegaConf's into a dictionary."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _default(key: str) -> str:
    return f"the default is {key}={defaults()[key]}"


def _not_a_key(argument: str, keys: type[Schema]) -> str:
    key, equals, _ = argument.partition("=")
    if not equals:
        return f"{argument!r} is not of the form key=value"
    bare = key.lstrip("+~-")
    if bare in keys.model_fields:
        return f"{argument!r}: write {bare}=value, with nothing before it"
    if bare in defaults():
        reads = ", ".join(keys.model_fields)
        return f"{bare} does nothing in this stage, which reads only {reads}"
    near = difflib.get_close_matches(bare, keys.model_fields, n=1)
    hint = f"did you mean {near[0]}?" if near else f"keys: {', '.join(defaults())}"
    return f"there is no key {bare!r}: {hint}"


def _help(name: str, doc: str, keys: type[Schema]) -> str:
    """Lay out the help of a stage from its docstring and the lines of config.yaml."""
    line = re.compile(r"^(\w+): *(.*?) +# (.*)$", re.MULTILINE)
    rows = [
        (f"{key}={value}", comment)
        for key, value, comment in line.findall((CONF / "config.yaml").read_text())
        if key in keys.model_fields
    ]
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        [
            f"{name} [key=value ...]",
            "",
            doc.strip(),
            "",
            "Keys, with their defaults:",
            *(
                f"  {row[0] if not number else '':<{width}}  {part}"
                for row in rows
                for number, part in enumerate(textwrap.wrap(row[1], 84 - width))
            ),
            "",
            f"Several values need -m: {name} -m dataset=mnist,digits",
            "--cfg job shows the configuration, --hydra-help what else Hydra can do.",
        ]
    )


def _refuse(problems: Sequence[str], name: str) -> NoReturn:
    lines = ["error: nothing was started", *problems, f"see {name} --help"]
    _stop("\n  ".join(lines), status=2)


def _stop(message: str, *, status: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(status)

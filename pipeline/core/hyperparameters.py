"""The settings that determine the weights, with their types and bounds.

The defaults are in `conf/config.yaml`.
"""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

SplitName = Literal["exercise", "holdout"]
SPLITS = get_args(SplitName)  # see `Dataset.split`
MAX_HIDDEN = 10_000
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class HyperparameterFields(BaseModel):
    """All hyperparameters except the seed; settings of stages have the same fields."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    hidden: int = Field(ge=1, le=MAX_HIDDEN)
    split: SplitName
    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=1, le=60_000)  # as floating-point numbers, 188 MB
    lr: float = Field(gt=0, le=100, allow_inf_nan=False)


class Hyperparameters(HyperparameterFields):
    """What determines the weights of a training run, besides the data and the code.

    Values of other keys are ignored, so that all settings of a stage or the metadata
    of a network can be passed as a whole.
    """

    seed: Seed

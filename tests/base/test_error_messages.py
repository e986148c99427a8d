from datetime import date
from typing import Annotated, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from pipeline.base.error_messages import broken_rule, is_user_error


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        (Annotated[list[int], Field(min_length=2)], [1], "must have at least 2 items"),
        (Annotated[str, Field(min_length=2)], "a", "must have at least 2 characters"),
        (Annotated[str, Field(min_length=1)], "", "must not be empty"),
        (Annotated[str, Field(max_length=2)], "aaa", "must have at most 2 characters"),
        (Annotated[str, Field(pattern="^[0-9]+$")], "a", "must match pattern '^[0-9]+"),
        (list[int], "a", "must be a list"),
        (Annotated[float, Field(gt=0)], 0, "must be greater than 0"),
        (Annotated[float, Field(lt=1e-4)], 0.5, "must be less than 0.0001"),
        (Annotated[int, Field(lt=2**63)], 2**63, f"must be less than {2**63}"),
        (Annotated[float, Field(strict=True)], 10**400, "is too large"),
        (Annotated[float, Field(strict=True)], "a", "must be a number"),
        (Literal[1, "a b", "c"], 2, "must be 1, a b or c"),
        (date, "x", "is invalid (Input should be a valid date"),  # not in `RULES`
    ],
)
def test_an_error_of_pydantic_becomes_a_rule(kind, value, rule):
    with pytest.raises(ValidationError) as invalid:
        TypeAdapter(kind).validate_python(value)
    (error,) = invalid.value.errors()
    assert broken_rule(error).startswith(rule)


def test_an_error_with_a_path_can_be_judged_without_a_valid_folder_of_results(
    monkeypatch,
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", "~no_such_user/outputs")
    assert not is_user_error(FileNotFoundError(2, "No such file", "/missing"))

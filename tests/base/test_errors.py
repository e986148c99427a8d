from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from pipeline.base.errors import broken_rule


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        (list[int], [1], "must have at least 2 items"),
        (str, "a", "must have at least 2 characters"),
        (list[int], "a", "must be a list"),
    ],
)
def test_a_message_of_pydantic_becomes_a_rule(kind, value, rule):
    adapter = TypeAdapter(Annotated[kind, Field(min_length=2)])
    with pytest.raises(ValidationError) as invalid:
        adapter.validate_python(value)
    assert broken_rule(invalid.value.errors()[0]["msg"]) == rule

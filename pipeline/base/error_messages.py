"""Distinguishes user errors from errors in the program, and formats their messages.

Code that opens a user's file turns an `OSError` into a `UserError`; see
`base.files.reading`.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.base.paths import results_dir, store_dir

# Errors of a system without enough disk space, open files, memory or processes, or with
# a disk that is read-only.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
EXHAUSTED = FULL | {errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
AGAIN = "run the same command again"
RESUME = f"{AGAIN} to resume"
# The rule for each type of error of pydantic, with the values in its `ctx`. Source:
# https://docs.pydantic.dev/latest/errors/validation_errors/
RULES = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "int_type": "must be an integer",
    "int_parsing_size": "is too large",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match pattern '{pattern}'",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} items",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "value_error": "{error}",  # our own message
}


def is_user_error(error: BaseException) -> bool:
    """Return whether values, files, the network or the system caused an error.

    All other errors are errors in the program and keep their traceback. The system or
    the network caused an `OSError` if it concerns a connection, an exhausted resource
    (see `EXHAUSTED`), a file in outputs/, or a folder above outputs/.
    """
    if isinstance(error, (UserError, FloatingPointError, ConnectionError)):
        return True
    if not isinstance(error, OSError):
        return False
    if error.errno in EXHAUSTED:
        return True
    names = [n for n in (error.filename, error.filename2) if isinstance(n, str | bytes)]
    if not names:  # tempfile found no disk to which it can write
        return isinstance(error, FileNotFoundError) and error.errno is not None
    try:
        folders = results_dir(), store_dir()
    except UserError:  # PIPELINE_OUTPUTS is not a valid path
        return False
    for path in map(Path, map(os.fsdecode, names)):
        for folder in folders:
            for form in (Path.absolute, Path.resolve):
                named, ours = form(path), form(folder)
                if named.is_relative_to(ours) or ours.is_relative_to(named):
                    return True
    return False


def remedy(error: Exception) -> str:
    """Return the remedy for a full disk; for all other errors, return "".

    The system's message contains no remedy. It contains the path of the file, which can
    be on the disk of temporary files, unless the file was already open. Most open files
    are in the store, so the remedy then contains the folder of the store.
    """
    if not isinstance(error, OSError) or error.errno not in FULL:
        return ""
    place = "" if error.filename else f" ({store_dir()})"
    return f"{place}: free some disk space, then {AGAIN}"


def broken_rule(error: Mapping[str, Any]) -> str:
    """Return the rule that a value breaks, such as "must be a number".

    `error` is one of the `errors()` of a `ValidationError` of pydantic.
    """
    values = {
        name: f"{value:.15g}" if isinstance(value, float) else value
        for name, value in error.get("ctx", {}).items()
    }
    if error["type"] == "literal_error":
        return f"must be {values['expected']}".replace("'", "")  # 'local' or 'ray'
    if error["type"] == "string_too_short" and values["min_length"] == 1:
        return "must not be empty"
    if error["type"] == "float_type" and type(error["input"]) is int:
        return "is too large"
    rule = RULES.get(error["type"], "is invalid ({msg})")
    return rule.format(**values, msg=error["msg"])

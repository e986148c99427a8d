"""Distinguishes user errors from errors in the program, and formats their messages.

Code that opens a user's file turns an `OSError` into a `UserError`; see
`base.files.reading`.
"""

import errno
import os
import re
from pathlib import Path

from pipeline import UserError
from pipeline.base.paths import results_dir, store_dir

# Errors of a system without enough disk space, open files, memory or processes, or with
# a disk that is read-only.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
EXHAUSTED = FULL | {errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
AGAIN = "run the same command again"
RESUME = f"{AGAIN} to resume"


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
    for path in map(Path, map(os.fsdecode, names)):
        for folder in (results_dir(), store_dir()):
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


def broken_rule(message: str) -> str:
    """Rewrite a message of pydantic in our style, such as "must be a number"."""
    if message.startswith("Value error, "):  # our own message
        return message.removeprefix("Value error, ")
    rule = re.sub("'(\\w+)'", r"\1", message)  # 'local' or 'ray'
    rule = rule.replace("Field required", "is missing")
    rule = rule.replace("a valid boolean", "true or false")
    rule = rule.replace("a valid integer", "an integer").replace("a valid ", "a ")
    rule = rule.replace("greater than or equal to", "at least")
    rule = rule.replace("less than or equal to", "at most")
    rule = rule.replace("String should have at least 1 character", "must not be empty")
    rule = re.sub("^(Input|String|List) should", "must", rule)
    return re.sub(" after validation, not [0-9]+$", "", rule)  # of a list

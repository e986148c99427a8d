"""Distinguishes errors of the user from errors in the program, and gives remedies.

An error about a file that an argument of the process names is an error of the user.
"""

import errno
import os
import re
import sys
from pathlib import Path

from pipeline import UserError
from pipeline.base.paths import outputs_dir, store_dir

# What the system lacks: space on a disk or the right to write to it, open files,
# memory or processes.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
EXHAUSTED = FULL | {errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
AGAIN = "run the same command again"
RESUME = f"{AGAIN} to resume"


def is_user_error(error: BaseException) -> bool:
    """Return whether values, files, the network or the system caused an error.

    All other errors are errors in the program and keep their traceback. An `OSError` is
    one unless it concerns the network, something that the system lacks, a file in
    outputs/ or one that the command line names. The errors of workers are judged in the
    main process, which has this command line.
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
    outputs = {outputs_dir(), store_dir()}
    values = (part for word in sys.argv[1:] for part in re.split(r"[=,'\"[\]]+", word))
    typed = (Path(os.path.expanduser(value)) for value in values if value)
    folders = {*outputs, *typed}
    for path in map(Path, map(os.fsdecode, names)):
        for form in (Path.absolute, Path.resolve):
            if any(form(path).is_relative_to(form(folder)) for folder in folders):
                return True
            if any(form(folder).is_relative_to(form(path)) for folder in outputs):
                return True  # a folder that leads to outputs/
    return False


def remedy(error: Exception) -> str:
    """Return the remedy for a full disk; the system's message contains none."""
    if getattr(error, "errno", None) not in FULL:
        return ""
    return f" ({store_dir()}): free space, then {RESUME}"

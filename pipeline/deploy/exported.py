"""Finds the integers of a network in the folder that the stage export wrote."""

from pathlib import Path
from typing import Any

from pipeline import UserError, files
from pipeline.deploy.integers import IntegerNetwork
from pipeline.deploy.quantized import INTEGERS_FILE, load_integers
from pipeline.paths import displayed


def find_export(
    folder: Path, *, weights_sha256: str, bits: int | None, command: str
) -> tuple[Path, IntegerNetwork, dict[str, Any]]:
    """Return the file of a network's integers in the last export, and its content.

    Args:
        folder: The folder of the export. If it contains several widths or networks,
            each has its own folder.
        weights_sha256: The hash of the trained network.
        bits: The width; None selects the widest.
        command: The command that exports the network, for messages.

    Raises:
        FileNotFoundError: If there is no export.
        UserError: If it contains only other networks or widths, or a file is damaged.
    """
    with files.folder_lock(folder):
        paths = sorted(folder.rglob(INTEGERS_FILE))
        exported = [(path, *load_integers(path)) for path in paths]
    if not exported:
        missing = displayed(folder / INTEGERS_FILE)
        raise FileNotFoundError(f"{missing} is missing: {command} writes it")
    matching = [
        each for each in exported if each[2].get("weights_sha256") == weights_sha256
    ]
    if not matching:
        name = displayed(folder)
        raise UserError(f"{name} belongs to another network: run {command} again")
    by_width = {each[1].bits: each for each in matching}
    width = bits or max(by_width)
    if width not in by_width:
        widths = ", ".join(str(each) for each in sorted(by_width, reverse=True))
        raise UserError(
            f"integers must be true or a width in {displayed(folder)} ({widths}), got "
            f"{width}: {command} bits={width} writes it"
        )
    return by_width[width]

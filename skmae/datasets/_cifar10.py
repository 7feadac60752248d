"""CIFAR-10, from the official archive or from files that are already there."""

import hashlib
import os
import tarfile
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skmae._compat import StrOptions
from skmae._typing import Array
from skmae.datasets._npz import Expected, read_arrays

_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_ARRAYS = (Expected("x", "uint8", (32, 32, 3)), Expected("y", "int64", ()))
_RECORD = 1 + 3 * 32 * 32  # a label, then red, green and blue planes
_CHUNK = 1 << 20
_TIMEOUT = 60


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "subset": [StrOptions({"train", "test"})],
        "download_if_missing": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_cifar10(data_home: Any = None, *, subset: str = "train", download_if_missing: bool = True) -> Bunch:
    """Load CIFAR-10: 50,000 training and 10,000 test images of 10 classes.

    If `data_home` is None and the environment variable ``SKMAE_DATA`` names a folder, the files
    ``cifar10_train1.npz`` to ``cifar10_train5.npz`` and ``cifar10_test.npz`` in it are read (arrays ``x``,
    (n, 32, 32, 3) of uint8, and ``y``).
    Otherwise the official archive is read from `data_home`, and downloaded first if it is not there: 162 MiB, a broken
    download taken up where it broke off. Its md5 is checked at every read; npz files have checksums of their own.

    Parameters
    ----------
    data_home : path-like or None, default=None
        Folder of the archive; None is scikit-learn's data folder.
    subset : {"train", "test"}, default="train"
    download_if_missing : bool, default=True
        If False, a missing archive is an error.

    Returns
    -------
    Bunch
        images : ndarray of uint8 of shape (n_samples, 32, 32, 3)
            0 to 255, red, green, blue.
        data : ndarray of uint8 of shape (n_samples, 3072)
            The same, flat.
        target : ndarray of shape (n_samples,)
            0 to 9.
        target_names : list of str
            The classes, in order.

    Raises
    ------
    OSError
        If the archive is missing and cannot or must not be downloaded; if it or a local file is damaged, or has labels
        that are not 0 to 9.

    References
    ----------
    .. [1] A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Examples
    --------
    >>> from skmae.datasets import fetch_cifar10
    >>> cifar = fetch_cifar10(subset="test")  # doctest: +SKIP
    >>> cifar.images.shape  # doctest: +SKIP
    (10000, 32, 32, 3)
    """
    local = os.environ.get("SKMAE_DATA")
    if local and data_home is None:
        images, target = _read_npz(Path(local), subset)
    else:
        if data_home == "":
            raise ValueError("data_home='' names no folder. Pass its path, or None for scikit-learn's data folder.")
        archive = Path(get_data_home(data_home)) / Path(_URL).name
        if not archive.exists():
            if not download_if_missing:
                raise OSError(f"{archive} is not there, and download_if_missing=False. Pass True to download it.")
            _download(_URL, archive, _MD5)
        images, target = _read_archive(archive, subset)
    return Bunch(images=images, data=images.reshape(len(images), -1), target=target, target_names=list(_CLASSES))


def _read_npz(folder: Path, subset: str) -> tuple[Array, Array]:
    names = ["cifar10_test.npz"] if subset == "test" else [f"cifar10_train{i}.npz" for i in range(1, 6)]
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise OSError(
            f"SKMAE_DATA={folder} has no {', '.join(missing)}. Point it at a folder that has them, or unset it to use "
            f"the official archive."
        )
    images, target = zip(*(_read_part(folder / name) for name in names), strict=True)
    return np.concatenate(images), np.concatenate(target)


def _read_part(path: Path) -> tuple[Array, Array]:
    try:
        images, target = read_arrays(path, *_ARRAYS)
        _check_labels(path, target)
    except ValueError as error:
        raise OSError(
            f"{error} It must hold x (n, 32, 32, 3) of uint8 and y (n,); fetch the file again, or unset SKMAE_DATA to "
            f"use the official archive."
        ) from error
    return images, target.astype(np.int64)


def _read_archive(archive: Path, subset: str) -> tuple[Array, Array]:
    wanted = ["test_batch.bin"] if subset == "test" else [f"data_batch_{i}.bin" for i in range(1, 6)]
    try:
        _check_md5(archive, _MD5)
        records = _records(archive, wanted)
        _check_labels(archive, records[:, 0])
    except ValueError as error:
        raise OSError(f"{error} Delete it and call fetch_cifar10 again.") from error
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64)


def _records(archive: Path, wanted: list[str]) -> Array:
    """(n, 3073) labels and planes, of files wherever they are in the archive; nothing is unpacked to the disk."""
    found = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                content = tar.extractfile(member) if name in wanted else None
                if content is not None:
                    found[name] = np.frombuffer(content.read(), np.uint8).reshape(-1, _RECORD)
        return np.concatenate([found[name] for name in wanted])
    except (tarfile.TarError, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"{archive} is not the archive of CIFAR-10 ({error!r}).") from error


def _check_labels(path: Path, labels: Array) -> None:
    wrong = (labels < 0) | (labels >= len(_CLASSES))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(f"{path} is damaged: label {labels[first]} of image {first} is not one of 0 to 9.")


def _check_md5(path: Path, md5: str) -> None:
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != md5:
        raise ValueError(f"{path} is damaged: its {path.stat().st_size} bytes have md5 {found}, not {md5}.")


def _download(url: str, target: Path, md5: str) -> None:
    """Fetch `url` beside `target`, check it, and only then give it its name."""
    part = target.with_name(target.name + ".part")
    done = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urlopen(request, timeout=_TIMEOUT) as response:
            resumed = response.status == 206  # a server that can't resume starts over
            with open(part, "ab" if resumed else "wb") as file:
                whole = file.tell() + (response.length or 0)  # 0 if the server does not say, or says nonsense
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                if file.tell() < whole:
                    raise OSError(f"the connection closed after {file.tell()} of {whole} bytes")
    except HTTPError as error:
        if error.code != 416:  # nothing left to send: the part is whole, or worthless, as the md5 will tell
            raise OSError(f"{url} answered {error.code} {error.reason}. Download it by hand to {target}.") from error
    except (HTTPException, OSError) as error:
        raise OSError(
            f"Downloading {url} broke off ({error!r}). What came is in {part}; call again to go on from there."
        ) from error
    try:
        _check_md5(part, md5)
    except ValueError as error:
        part.unlink()
        raise OSError(f"{error} The download was deleted; call again to retry.") from error
    part.replace(target)

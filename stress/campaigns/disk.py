"""Disks that are full, read-only or forbidden: the error names the file, and what was there before is still there."""

import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Any
from unittest import mock

from skmae.datasets import _cifar10, fetch_cifar10
from skmae.vit._checkpoint import Checkpointer
from stress._children import files_in, outlives
from stress._frame import Failure, Trial
from stress.campaigns.kills import archive, images, serving, small, weights_of

BUDGET = 150
SLICE = 1
_NOBODY = 65534


def case(trial: Trial) -> None:
    work, hurdle = trial.choose(*WORKS), trial.choose(*HURDLES)
    before, amount = trial.chance(0.7), int(2 ** trial.rng.uniform(0, 17))
    trial.cell(work.__name__, "", "", hurdle.__name__)
    trial.note(work=work.__name__, hurdle=hurdle.__name__, before=before, amount=amount)
    with tempfile.TemporaryDirectory() as name, hurdle.place(name, amount) as place:
        os.chmod(name, 0o755)  # the hurdle may be that somebody else comes
        folder = Path(place, "folder")
        folder.mkdir()
        if before:
            outlives(prepare, work, str(folder))
        kept = {name: Path(folder, name).read_bytes() for name in files_in(folder)}
        outlives(attempt, work, hurdle, str(folder), amount, f"{name}/said")
        said, error = json.loads(Path(name, "said").read_text())
        trial.note(error=error)
        if error and (said != "OSError" or str(folder) not in error):
            raise Failure(f"{said}: {error}")
        hurdle.undo(folder)
        is_kept(folder, kept, "done" if not error else said)
        outlives(attempt, work, Nothing, str(folder), 0, f"{name}/said")
        said, error = json.loads(Path(name, "said").read_text())
        if said != work.expected():
            raise Failure(f"afterwards: {said}: {error}")


def is_kept(folder: Path, kept: dict[str, bytes], outcome: str) -> None:
    """Whole files stay, the same or newer; nothing half-written lies beside them."""
    found = files_in(folder)
    lost = [name for name in kept if name not in found and not name.endswith(".part")]
    if lost:
        raise Failure(f"lost: {lost}")
    if outcome != "done":
        changed = [
            name for name in kept if name.endswith("safetensors") and Path(folder, name).read_bytes() != kept[name]
        ]
        half = [name for name in found if name not in kept and Path(name).name.startswith((".", "tmp"))]
        if changed or half:
            raise Failure(f"changed: {changed}, left behind: {half}")


# -- what is written --------------------------------------------------------------------------------------------------


class Training:
    """A training with a checkpoint, after some of its epochs."""

    @staticmethod
    def before(folder: str) -> None:
        write, written = Checkpointer.write, []

        def twice(self: Any, name: str) -> None:
            if len(written) == 2:
                raise KeyboardInterrupt
            written.append(name)
            write(self, name)

        with mock.patch.object(Checkpointer, "write", twice):
            try:
                small(max_epochs=5, checkpoint=folder).fit(images())
            except KeyboardInterrupt:
                return

    @staticmethod
    def do(folder: str) -> str:
        return md5(weights_of(small(max_epochs=5, checkpoint=folder).fit(images()))).hexdigest()

    @staticmethod
    @cache
    def expected() -> str:
        return result_of(Training)


class Weights:
    """Weights written over others."""

    @staticmethod
    def before(folder: str) -> None:
        small(max_epochs=1).fit(images()).save_weights(Path(folder, "mae.safetensors"))

    @staticmethod
    def do(folder: str) -> str:
        mae = small(max_epochs=2, image_shape=(4, 4, 3)).fit(images())
        path = Path(folder, "mae.safetensors")
        mae.save_weights(path)
        return md5(weights_of(mae.load_weights(path))).hexdigest()

    @staticmethod
    @cache
    def expected() -> str:
        return result_of(Weights)


class Download:
    """An archive, of which a part may be there."""

    @staticmethod
    def before(folder: str) -> None:
        Path(folder, "cifar-10-binary.tar.gz.part").write_bytes(archive()[:10_000])

    @staticmethod
    def do(folder: str) -> str:
        with serving(archive(), moods=range(3, 4)) as url:
            _cifar10._URL, _cifar10._MD5 = url, md5(archive()).hexdigest()
            return md5(fetch_cifar10(folder, subset="test").images.tobytes()).hexdigest()

    @staticmethod
    @cache
    def expected() -> str:
        return result_of(Download)


WORKS = [Training, Training, Weights, Download]


def result_of(work: Any) -> str:
    with tempfile.TemporaryDirectory() as name:
        outlives(attempt, work, Nothing, name, 0, f"{name}/said")
        return json.loads(Path(name, "said").read_text())[0]


def prepare(work: Any, folder: str) -> None:
    work.before(folder)


def attempt(work: Any, hurdle: Any, folder: str, amount: int, report: str) -> None:
    """Try in a child, and write down what came of it: a result, or the kind of an error and its text."""
    with open(report, "w") as file, tempfile.TemporaryDirectory() as elsewhere:
        work.do(elsewhere)  # all that is imported late is imported now
        hurdle.put(folder, amount)
        try:
            said = [work.do(folder), ""]
        except Exception as error:
            said = ["OSError" if isinstance(error, OSError) else type(error).__name__, str(error)]
        hurdle.lift()
        json.dump(said, file)


# -- what is in the way -----------------------------------------------------------------------------------------------


class Nothing:
    """Nothing is in the way."""

    @staticmethod
    def place(name: str, amount: int) -> Any:
        """Where the folder is."""
        return tempfile.TemporaryDirectory(dir=name)

    @staticmethod
    def put(folder: str, amount: int) -> None:
        """In the child."""

    @staticmethod
    def lift() -> None:
        """In the child, before it says what happened."""

    @staticmethod
    def undo(folder: Path) -> None:
        """So that the next try may succeed."""


class FilesOfLimitedSize(Nothing):
    """Writing fails after some bytes."""

    @staticmethod
    def put(folder: str, amount: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (amount, resource.RLIM_INFINITY))

    @staticmethod
    def lift() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class FullDisk(Nothing):
    """A file system with room for some bytes more; one of limited files where none can be mounted."""

    @staticmethod
    def place(name: str, amount: int) -> Any:
        return Mounted(name)

    @staticmethod
    def put(folder: str, amount: int) -> None:
        if not os.path.ismount(Path(folder).parent):
            return FilesOfLimitedSize.put(folder, amount)
        disk = os.statvfs(folder)
        with open(Path(folder).parent / "ballast", "wb") as file:
            file.write(bytes(max(disk.f_bavail * disk.f_frsize - amount, 0)))
        return None

    @staticmethod
    def lift() -> None:
        FilesOfLimitedSize.lift()

    @staticmethod
    def undo(folder: Path) -> None:
        (folder.parent / "ballast").unlink(missing_ok=True)


class Mounted:
    """A small file system in memory, where one can be mounted."""

    def __init__(self, name: str):
        self.path = Path(name, "disk")

    def __enter__(self) -> str:
        self.path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(self.path)]
        self.mounted = bool(shutil.which("mount")) and not subprocess.run(command, capture_output=True).returncode
        return str(self.path)

    def __exit__(self, *error: object) -> None:
        if self.mounted:
            subprocess.run(["umount", str(self.path)], check=True)


class ForbiddenFolder(Nothing):
    """Somebody else's folder, which may be read."""

    @staticmethod
    def put(folder: str, amount: int) -> None:
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            os.setegid(_NOBODY)
            os.seteuid(_NOBODY)

    @staticmethod
    def lift() -> None:
        if os.getuid() == 0:
            os.seteuid(0)
            os.setegid(0)

    @staticmethod
    def undo(folder: Path) -> None:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)


class SecretFolder(ForbiddenFolder):
    """Somebody else's folder, which may not be looked into."""

    @staticmethod
    def put(folder: str, amount: int) -> None:
        ForbiddenFolder.put(folder, amount)
        if os.geteuid() != 0:
            os.seteuid(os.getuid())
        Path(folder).chmod(0)
        if os.getuid() == 0:
            os.seteuid(_NOBODY)


HURDLES = [FilesOfLimitedSize, FilesOfLimitedSize, FullDisk, FullDisk, ForbiddenFolder, SecretFolder]

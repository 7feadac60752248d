"""Work done in a process of its own, which may be killed at any instant."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from stress._frame import Failure


@cache
def _context() -> Any:
    """Children of a server that has loaded everything and run nothing: a fork of it is there at once, and clean."""
    context = multiprocessing.get_context("forkserver")
    # the last takes longer to import, at the first training, than the training that is to be killed
    context.set_forkserver_preload(["stress.campaigns.kills", "stress.campaigns.disk", "torch._dynamo"])
    return context


def survives(seconds: float, function: Callable[..., None], *arguments: Any) -> bool:
    """Run a function of a module in a child, and kill that after some time; False if it was killed before its end."""
    child = _context().Process(target=function, args=arguments)
    child.start()
    child.join(seconds)
    if child.exitcode is None:
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    exitcode = child.exitcode
    child.close()
    if exitcode not in (0, -signal.SIGKILL):
        raise Failure(f"a child ended with {exitcode}")
    return exitcode == 0


def outlives(function: Callable[..., None], *arguments: Any) -> float:
    """Run a function of a module in a child, to its end; the seconds that this took."""
    begin = time.monotonic()
    if not survives(600, function, *arguments):
        raise Failure("a child did not end within ten minutes")
    return time.monotonic() - begin


def files_in(folder: str) -> set[str]:
    """Names of all files, relative to the folder."""
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}

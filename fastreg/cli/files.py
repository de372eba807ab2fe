"""The files that are written: none in the place of another, and none by half."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fastreg.cli.errors import UserError


def check_outputs(outputs: Mapping[str, str | None], inputs: Mapping[str, str | None]) -> None:
    """Refuse files that cannot be written, or only over another one, before any work is done.

    Parameters
    ----------
    outputs, inputs : mapping of str to str or None
        What each file is for, such as ``--model``, and its path; None: not asked for.

    Raises
    ------
    UserError
        If a path is that of a folder, in no folder, or that of an input or another output.
    """
    taken = {Path(path).resolve(): what for what, path in inputs.items() if path is not None}
    for what, path in outputs.items():
        if path is None:
            continue
        if Path(path).is_dir():
            raise UserError(f"cannot write {path}: it is a folder")
        if not Path(path).parent.is_dir():
            raise UserError(f"{what} {path}: there is no folder {Path(path).parent}")
        place = Path(path).resolve()
        if place in taken and (place.is_file() or not place.exists()):
            raise UserError(f"{what} {path}: this file is already used for {taken[place]}")
        taken[place] = what


def write_whole(path: str | Path, raw: bytes) -> None:
    """Write a file in one step, so that no half-written one can be met.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # /dev/stdout and the like
            path.write_bytes(raw)
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {path}: {reason}") from error

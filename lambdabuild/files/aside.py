"""Write what only spares the next run work: whole, or not at all, and without a word when the disk refuses."""

from __future__ import annotations

import os


def write(file: str, data: bytes) -> bool:
    """Written aside and renamed; gives whether it was. A disk that is full or read-only only costs time later."""
    temporary = f"{file}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(temporary, "wb") as stream:
            stream.write(data)
        os.replace(temporary, file)
    except BaseException as error:  # an interruption, too
        try:
            os.unlink(temporary)
        except OSError:
            pass
        if not isinstance(error, OSError):
            raise
        return False
    return True

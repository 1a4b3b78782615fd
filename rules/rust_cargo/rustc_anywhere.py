"""Stands between cargo and rustc, so that a crate gives the same bytes in every folder.

Arguments: ``FOLDER=NAME...`` (what a folder of this machine is called in a binary), ``--``, then rustc and its own.
Source: https://doc.rust-lang.org/cargo/reference/config.html#buildrustc-wrapper

cargo derives ``-C metadata``, which enters the names of symbols, also from the absolute path of a path dependency
outside of the workspace. So it is derived anew here from what makes one compilation another, with the folders' names.
"""

import hashlib
import os
import sys
from collections.abc import Iterator

OF_THIS_MACHINE = ("metadata=", "extra-filename=", "linker=", "link-arg=", "incremental=")
PATHS = ("--extern", "-L", "--out-dir")


def command(arguments: list[str]) -> list[str]:
    """The call of rustc for what cargo asks."""
    end = arguments.index("--")
    folders, rustc = arguments[:end], arguments[end + 1 :]
    metadata = f"metadata={_digest(rustc[1:], folders)}"
    asked = [metadata if argument.startswith("metadata=") else argument for argument in rustc]
    return [*asked, *(f"--remap-path-prefix={folder}" for folder in folders)]


def _digest(arguments: list[str], folders: list[str]) -> str:
    named = "\0".join([*_kept(arguments), *(os.environ.get(f"CARGO_PKG_{name}", "") for name in ("NAME", "VERSION"))])
    for folder in reversed(folders):  # the last that fits is the nearest, as with rustc
        path, _, name = folder.rpartition("=")
        named = named.replace(path, name)
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def _kept(arguments: list[str]) -> Iterator[str]:
    before = ""
    for argument in arguments:
        if before not in PATHS and not argument.startswith(OF_THIS_MACHINE):
            yield argument
        before = argument


if __name__ == "__main__":
    found = command(sys.argv[1:])
    os.execvp(found[0], found)

"""Build from a Python program: ``lambdabuild.build("service", ["Orders"])`` returns where each artifact is.

    import lambdabuild

    orders = lambdabuild.build("service", ["Orders"])["Orders"]
    print(orders.zip, orders.code_sha256)

The build is a program of its own, ``lambdabuild output``: it may fork and change its folder, and one that is killed
takes nothing of yours with it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from lambdabuild.core.errors import BadSettings, NoSource, ToolFailed, ToolMissing
from lambdabuild.core.plain import JsonObject
from lambdabuild.core.records import Struct

COMMAND = (sys.executable, "-P", "-m", "lambdabuild")
"""Nothing in the project's folder is imported in place of a module of ours (``-P``)."""
S3 = re.compile(r"s3://([^/]+)/(.+)")
PROGRESS = re.compile(r"nothing to do: |[a-z]+(:\S+)?  \d+\.\d\d s($|  )")
"""What a run prints of each step, and when there are none: more than users of another program want to know."""


class Artifact(Struct, frozen=True):
    """A function, layer or source that is built. Paths are absolute; what it does not have is an empty text."""

    name: str
    zip: str
    tree: str
    """The same as a folder, if this run wrote folders."""
    sha256: str
    """The digest of the zip, in hexadecimal."""
    code_sha256: str
    """The same in base64, as Lambda's CodeSha256 and Terraform's source_code_hash have it."""
    zip_bytes: int
    location: str
    """Where it was uploaded: ``s3://BUCKET/KEY``, or a path when no bucket is named."""
    s3_bucket: str
    s3_key: str
    image: str
    """The name of an image on this machine."""
    runtime: str
    architecture: str
    handler: str
    layers: tuple[Artifact, ...] = ()
    """The project's layers that a function runs with, in order."""


def build(
    folder: str | os.PathLike[str] = ".",
    names: Sequence[str] = (),
    *,
    settings: Mapping[str, object] | None = None,
    **more_settings: object,
) -> Mapping[str, Artifact]:
    """Build what is named in a project, by default everything, and return it by name. What is up to date stays.

    Other arguments are settings, as in lambdabuild.toml, and take precedence over it: ``bucket="b"``,
    ``functions={"Orders": {"path": "src", "runtime": "python3.13"}}``; or all of them are one mapping, ``settings``.
    What the build has to say goes to standard error. Raises ToolFailed (LB502) with lambdabuild's own words if the
    build fails, BadSettings (LB107) for a value that no setting can have, NoSource (LB302) if there is no such folder.
    """
    folder = os.path.abspath(folder)
    if not os.path.isdir(folder):
        raise NoSource(f"{folder} is not a folder", help="name the folder of a project")
    asked = [f"{key}={value}" for key, value in flat({**(settings or {}), **more_settings})]
    text = _output([*COMMAND, "output", "--for", "json", *(names or ["--all"]), *asked], folder)
    items = json.loads(text)
    by_name = {names[0]: items} if len(names) == 1 else items
    return {name: _artifact(item, folder) for name, item in by_name.items()}


def flat(settings: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Return nested settings as the command line has them: ``functions.Orders.path``. Raises BadSettings (LB107)."""
    for name, value in settings.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{key}.")
        elif value is not None:
            yield key, _text(key, value)


def _text(key: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float | os.PathLike):
        return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    if isinstance(value, Sequence) and all(isinstance(part, str) and "," not in part for part in value):
        return ",".join(value)
    raise BadSettings(
        f"the setting {key} cannot be {value!r}",
        help="give a text, a number, true or false, or a list of texts without commas; else use lambdabuild.toml",
    )


def _output(argv: Sequence[str], folder: str) -> str:
    """Run lambdabuild; return what it prints, and pass on what it has to say."""
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    try:
        ran = subprocess.run(
            argv,
            cwd=folder,
            env={**environment, "NO_COLOR": "1"},  # what it says may end up in the text of an error
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise ToolMissing(
            f"cannot start {argv[0]}: {error.strerror}", help="install it: pip install doit-lambdabuild"
        ) from error
    said = "".join(line for line in ran.stderr.splitlines(keepends=True) if not PROGRESS.match(line))
    if ran.returncode:
        raise ToolFailed(f"lambdabuild ended with exit code {ran.returncode} in {folder}", tail=said.strip())
    sys.stderr.write(said)
    return ran.stdout


def _artifact(item: JsonObject, folder: str) -> Artifact:
    in_s3 = S3.fullmatch(item["location"])

    def path(value: str | None) -> str:
        return os.path.normpath(os.path.join(folder, value)) if value else ""

    return Artifact(
        name=item["name"],
        zip=path(item.get("zip")),
        tree=path(item.get("tree")),
        sha256=item["sha256"],
        code_sha256=item["code_sha256"],
        zip_bytes=item.get("zip_bytes", 0),
        location=item["location"] if in_s3 or item.get("kind") == "image" else path(item["location"]),
        s3_bucket=in_s3[1] if in_s3 else "",
        s3_key=in_s3[2] if in_s3 else "",
        image=item.get("image", ""),
        runtime=item.get("runtime", ""),
        architecture=item.get("architecture", ""),
        handler=item.get("handler", ""),
        layers=tuple(_artifact(layer, folder) for layer in item.get("layers", ())),
    )

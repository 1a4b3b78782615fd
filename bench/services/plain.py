"""N functions of F files each, told to lambdabuild, sam, ninja and serverless; and a copy of the sample app."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

DODO = "from lambdabuild.project import doit_project\n\nglobals().update(doit_project(__file__))\n"
TRANSFORM = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
HEAD = "Transform: AWS::Serverless-2016-10-31\nGlobals:\n  Function: {Runtime: python3.11, Handler: app.handler}\nResources:\n"
CODE = "def handler(event, context):\n    return %d\n"


def write(folder: Path, functions: int, files: int, requirements: str = "", *, git: bool = True) -> Path:
    """Write a SAM service, with a dodo.py, in a git checkout. Functions of more than 100 files have them in nested folders."""
    text = HEAD
    for number in range(functions):
        source = folder / f"src/f{number:04}"
        source.mkdir(parents=True)
        for index, name in enumerate(_names(files)):
            path = source / name
            if index % 10 < 2:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {number} {index}\n" + CODE % number * 4)
        if requirements:
            (source / "requirements.txt").write_text(requirements)
        text += (
            f"  Fn{number:04}:\n    Type: AWS::Serverless::Function\n    Properties: {{CodeUri: src/f{number:04}}}\n"
        )
    (folder / "template.yaml").write_text(text)
    (folder / "dodo.py").write_text(DODO)
    if git:
        commit(folder)
    return folder


def _names(files: int) -> Iterator[str]:
    """As a folder of one's own code has them, or as node_modules does: forty packages, ten files a folder."""
    yield "app.py"
    for index in range(1, files):
        yield f"m{index}.py" if files <= 100 else f"vendored/p{index // 50}/lib/d{index // 10 % 5}/m{index}.py"


def commit(folder: Path) -> None:
    (folder / ".gitignore").write_text("build/\n.aws-sam/\nout/\n.ninja_*\nbuild.ninja\n")
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "made"]):
        subprocess.run([*git, *command], cwd=folder, check=True)


def write_lock(source: Path, requirements: str, uv: str) -> Path:
    """A function's pyproject.toml with its uv.lock; gives the same lock as installers read it."""
    wanted = ", ".join(f'"{line}"' for line in requirements.split())
    (source / "pyproject.toml").write_text(
        f'[project]\nname = "made"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = [{wanted}]\n'
    )
    exported = source.parent / "locked.txt"
    export = ["export", "--quiet", "--no-emit-project", "--output-file", str(exported)]
    for command in (["lock", "--quiet"], [*export, "--frozen"]):
        subprocess.run([uv, *command], cwd=source, check=True, stdout=subprocess.DEVNULL)
    return exported


def write_ninja(folder: Path) -> None:
    """What ninja has to know to build the same: one edge a function, all its files as inputs."""
    lines = ["rule copy\n  command = cp $first $out"]
    for source in sorted((folder / "src").iterdir()):
        names = sorted(f"src/{source.name}/{path.name}" for path in source.iterdir())
        lines.append(f"build out/{source.name}: copy {' '.join(names)}\n  first = {names[0]}")
    (folder / "build.ninja").write_text("\n".join(lines) + "\n")


def serverless(functions: int, events: int) -> str:
    """A serverless.yml with so many events a function."""
    text = "service: made\nprovider: {name: aws, runtime: python3.11}\nfunctions:\n"
    queue = "arn:aws:sqs:us-east-1:123456789012:queue"
    for number in range(functions):
        text += f"  f{number}:\n    handler: app.handler\n    environment: {{STAGE: '${{sls:stage}}'}}\n"
        listed = [f"sqs: {queue}{number}", "schedule: rate(5 minutes)", f"sns: topic{number}",
                  f"httpApi: GET /f{number}", f"s3: bucket{number}"][:events]  # fmt: skip
        text += "    events:\n" + "".join(f"      - {event}\n" for event in listed) if listed else ""
    return text


def sample_app(folder: Path) -> Path:
    """A copy of the sample app."""
    source = Path(__file__).parent.parent / "sample-app"
    return Path(shutil.copytree(source, folder, ignore=shutil.ignore_patterns("build", "node_modules", "__pycache__")))


def edit(folder: Path, name: str) -> None:
    with (folder / name).open("a") as stream:
        stream.write(f"# {time.time_ns()}\n")

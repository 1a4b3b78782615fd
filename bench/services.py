"""Made services: N functions of F files each, with and without packages, told to lambdabuild, sam, ninja and serverless."""

from __future__ import annotations

import subprocess
from pathlib import Path

DODO = "from lambdabuild.project import doit_project\n\nglobals().update(doit_project(__file__))\n"
HEAD = "Transform: AWS::Serverless-2016-10-31\nGlobals:\n  Function: {Runtime: python3.11, Handler: app.handler}\nResources:\n"
CODE = "def handler(event, context):\n    return %d\n"


def write(folder: Path, functions: int, files: int, requirements: str = "") -> Path:
    """A SAM service, with a dodo.py, in a git checkout."""
    text = HEAD
    for number in range(functions):
        source = folder / f"src/f{number:04}"
        source.mkdir(parents=True)
        for index in range(files):
            name = "app" if index == 0 else f"m{index}"
            (source / f"{name}.py").write_text(f"# {number} {index}\n" + CODE % number * 4)
        if requirements:
            (source / "requirements.txt").write_text(requirements)
        text += (
            f"  Fn{number:04}:\n    Type: AWS::Serverless::Function\n    Properties: {{CodeUri: src/f{number:04}}}\n"
        )
    (folder / "template.yaml").write_text(text)
    (folder / "dodo.py").write_text(DODO)
    (folder / ".gitignore").write_text("build/\n.aws-sam/\nout/\n.ninja_*\nbuild.ninja\n")
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "made"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


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
        listed = [f"sqs: {queue}{number}", "schedule: rate(5 minutes)", f"sns: topic{number}"][:events]
        text += "    events:\n" + "".join(f"      - {event}\n" for event in listed) if listed else ""
    return text

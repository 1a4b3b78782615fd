"""Made services: N functions of F files each, with and without packages, told to lambdabuild, sam, ninja and serverless."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
        listed = [f"sqs: {queue}{number}", "schedule: rate(5 minutes)", f"sns: topic{number}"][:events]
        text += "    events:\n" + "".join(f"      - {event}\n" for event in listed) if listed else ""
    return text


def sample_app(folder: Path) -> Path:
    """A copy of the sample app."""
    source = Path(__file__).parent.parent / "sample-app"
    return Path(shutil.copytree(source, folder, ignore=shutil.ignore_patterns("build", "node_modules", "__pycache__")))


def bundled(folder: Path, functions: int = 10) -> Path:
    """Functions in TypeScript that esbuild bundles: much is downloaded to make little."""
    packages = {
        "private": True,
        "dependencies": {"@aws-sdk/client-dynamodb": "3.954.0", "zod": "3.23.8"},
        "devDependencies": {"esbuild": "0.25.12", "typescript": "5.6.3"},
    }
    head = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
    one = "  Fn{0}:\n    Type: AWS::Serverless::Function\n    Metadata: {{BuildMethod: esbuild}}\n    Properties: {{CodeUri: src/f{0}, Runtime: nodejs22.x, Handler: app.handler}}\n"
    for number in range(functions):
        source = folder / f"src/f{number}"
        source.mkdir(parents=True)
        (source / "app.ts").write_text(
            'import { DynamoDBClient } from "@aws-sdk/client-dynamodb";\nimport { z } from "zod";\n'
            f"const client = new DynamoDBClient({{}}), shape = z.object({{ id: z.literal({number}) }});\n"
            "export const handler = async (event: unknown) => [client, shape.parse(event)];\n"
        )
    (folder / "template.yaml").write_text(head + "".join(map(one.format, range(functions))))
    (folder / "package.json").write_text(json.dumps(packages))
    subprocess.run(["npm", "install", "--package-lock-only", "--silent", "--ignore-scripts"], cwd=folder, check=True)
    return folder


def wait_for(port: int, seconds: float = 20) -> None:
    """Until a server takes connections."""
    until = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """An S3 server on loopback with a bucket, as settings in the environment; needs moto."""
    import boto3

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Path(sys.executable).with_name("moto_server")
    process = subprocess.Popen([str(server), "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    url = f"http://127.0.0.1:{port}"
    try:
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        wait_for(port)
        client.create_bucket(Bucket="team")
        yield {**keys, "LAMBDABUILD_ENDPOINT_URL": url, "LAMBDABUILD_CACHE__REMOTES": "s3://team/cache"}
    finally:
        process.terminate()
        process.wait()

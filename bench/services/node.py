"""Functions in Node.js and TypeScript, with packages."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bench.services.plain import TRANSFORM

PINNED = (
    "lodash@4.17.21 uuid@9.0.1 dayjs@1.11.13 semver@7.6.3 ini@4.1.3 minimist@1.2.8 escape-html@1.0.3 "
    "etag@1.8.1 mime@3.0.0 bytes@3.1.2 cookie@0.6.0 depd@2.0.0 ms@2.1.3 destroy@1.2.0 fresh@0.5.2 "
    "inherits@2.0.4 methods@1.1.2 parseurl@1.3.3 setprototypeof@1.2.0 statuses@2.0.1 toidentifier@1.0.1 "
    "unpipe@1.0.0 vary@1.1.2 safe-buffer@5.2.1 merge-descriptors@1.0.3 range-parser@1.2.1 encodeurl@2.0.0 "
    "ee-first@1.1.1 content-type@1.0.5 ieee754@1.2.1 jmespath@0.16.0 base64-js@1.5.1 bluebird@3.7.2 "
    "async@3.2.6 zod@3.23.8 nanoid@3.3.8 commander@12.1.0 dotenv@16.4.7 he@1.2.0 "
)
SMALL = dict(pin.split("@") for pin in PINNED.split())
"""Packages that need no others, with their versions."""
BUNDLED = {"@aws-sdk/client-dynamodb": "3.954.0", "zod": "3.23.8"}
TYPESCRIPT = """import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
const client = new DynamoDBClient({}), shape = z.object({ id: z.literal(NUMBER) });
export const handler = async (event: unknown) => [client, shape.parse(event)];
"""
ESBUILD = (
    "    Metadata: {BuildMethod: esbuild, BuildProperties: {Minify: true, Target: es2022, EntryPoints: [app.ts]}}\n"
)


def bundled(folder: Path, functions: int = 10) -> Path:
    """Functions in TypeScript that esbuild bundles: much is downloaded to make little."""
    packages = {
        "private": True,
        "dependencies": BUNDLED,
        "devDependencies": {"esbuild": "0.25.12", "typescript": "5.6.3"},
    }
    head = TRANSFORM
    one = "  Fn{0}:\n    Type: AWS::Serverless::Function\n    Metadata: {{BuildMethod: esbuild}}\n    Properties: {{CodeUri: src/f{0}, Runtime: nodejs22.x, Handler: app.handler}}\n"
    for number in range(functions):
        source = folder / f"src/f{number}"
        source.mkdir(parents=True)
        (source / "app.ts").write_text(TYPESCRIPT.replace("NUMBER", str(number)))
    (folder / "template.yaml").write_text(head + "".join(map(one.format, range(functions))))
    (folder / "package.json").write_text(json.dumps(packages))
    subprocess.run(["npm", "install", "--package-lock-only", "--silent", "--ignore-scripts"], cwd=folder, check=True)
    return folder


def packages(number: int) -> dict[str, str]:
    """Thirty packages that need no others: one of four sets, because functions of one service share most."""
    names = list(SMALL)[number % 4 * 3 :][:30]
    return {name: SMALL[name] for name in names}


def write_npm(folder: Path, functions: int) -> Path:
    """Functions with thirty packages each, and a lock file."""
    return _write(
        folder, functions, packages, "index.js", "exports.handler = async () => require('ms')('NUMBER h');\n", ""
    )


def write_esbuild(folder: Path, functions: int) -> Path:
    """Functions in TypeScript to bundle, each with its own package.json and lock file."""
    return _write(folder, functions, lambda _: BUNDLED, "app.ts", TYPESCRIPT, ESBUILD)


def _write(
    folder: Path, functions: int, wanted: Callable[[int], dict[str, str]], name: str, code: str, build: str
) -> Path:
    text = TRANSFORM
    for number in range(functions):
        source = folder / f"src/f{number:04}"
        source.mkdir(parents=True)
        (source / name).write_text(code.replace("NUMBER", str(number)))
        write_manifest(source, wanted(number))
        handler = f"{name.partition('.')[0]}.handler"
        text += (
            f"  Fn{number:04}:\n    Type: AWS::Serverless::Function\n{build}"
            f"    Properties: {{CodeUri: src/f{number:04}, Runtime: nodejs22.x, Handler: {handler}}}\n"
        )
    (folder / "template.yaml").write_text(text)
    return folder


def write_manifest(source: Path, wanted: dict[str, str]) -> None:
    """A package.json with its lock, which npm makes once for equal ones."""
    text = json.dumps({"name": "made", "version": "1.0.0", "private": True, "dependencies": wanted})
    (source / "package.json").write_text(text)
    (source / "package-lock.json").write_text(_lock(text))


@cache
def _lock(manifest: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "package.json").write_text(manifest)
        npm = ["npm", "install", "--package-lock-only", "--silent", "--ignore-scripts"]
        subprocess.run(npm, cwd=folder, check=True)
        return (Path(folder) / "package-lock.json").read_text()

"""Forty apps like those of public collections of patterns: one to five functions each, in mixed languages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from bench.services import compiled, node, plain

MIXES: tuple[tuple[str, ...], ...] = (
    ("python",),
    ("python with packages", "python"),
    ("node",),
    ("node with packages",),
    ("typescript", "typescript"),
    ("python with packages", "python with packages", "python", "layer"),
    ("go",),
    ("python", "node with packages", "typescript", "python with packages", "node"),
)
"""What an app is made of; later apps of the same mix have more functions, and other packages."""
PYTHON = (
    "requests==2.32.5\n",
    "boto3==1.43.3\n",
    "pyyaml==6.0.3\n",
    "requests==2.32.5\npython-dateutil==2.9.0.post0\n",
)
NODE = ({"uuid": "9.0.1"}, {"@aws-sdk/client-dynamodb": "3.954.0"}, {"dayjs": "1.11.13", "lodash": "4.17.21"})
MOST_FUNCTIONS = 5


def write(folder: Path, apps: int) -> Iterator[Path]:
    for number in range(apps):
        yield write_app(folder / f"app{number:02}", number)


def write_app(folder: Path, number: int) -> Path:
    generation, mix = divmod(number, len(MIXES))
    kinds = MIXES[mix]
    functions = sum(kind != "layer" for kind in kinds)
    more = min(generation % 3, MOST_FUNCTIONS - functions)
    text = plain.TRANSFORM
    for index, kind in enumerate((*kinds, *kinds[:1] * more)):
        source = folder / f"src/f{index}"
        source.mkdir(parents=True)
        text += KINDS[kind](source, f"Fn{index}", number + index)
    (folder / "template.yaml").write_text(text)
    return folder


def _function(name: str, source: Path, runtime: str, handler: str, metadata: str = "") -> str:
    properties = f"{{CodeUri: src/{source.name}, Runtime: {runtime}, Handler: {handler}}}"
    return f"  {name}:\n    Type: AWS::Serverless::Function\n{metadata}    Properties: {properties}\n"


def _python(source: Path, name: str, number: int) -> str:
    (source / "app.py").write_text(plain.CODE % number)
    (source / "events.py").write_text(plain.CODE % (number + 1))
    return _function(name, source, "python3.11", "app.handler")


def _python_with_packages(source: Path, name: str, number: int) -> str:
    (source / "requirements.txt").write_text(PYTHON[number % len(PYTHON)])
    return _python(source, name, number)


def _node(source: Path, name: str, number: int) -> str:
    (source / "index.mjs").write_text(f"export const handler = async () => {number};\n")
    return _function(name, source, "nodejs22.x", "index.handler")


def _node_with_packages(source: Path, name: str, number: int) -> str:
    node.write_manifest(source, NODE[number % len(NODE)])
    return _node(source, name, number)


def _typescript(source: Path, name: str, number: int) -> str:
    node.write_manifest(source, node.BUNDLED)
    (source / "app.ts").write_text(node.TYPESCRIPT.replace("NUMBER", str(number)))
    return _function(name, source, "nodejs22.x", "app.handler", node.ESBUILD)


def _go(source: Path, name: str, number: int) -> str:
    compiled.write_function(source, "go", number)
    return compiled.resource(name, f"src/{source.name}", "go")


def _layer(source: Path, name: str, number: int) -> str:
    (source / "requirements.txt").write_text(PYTHON[number % len(PYTHON)])
    (source / "shared.py").write_text(plain.CODE % number)
    properties = f"{{ContentUri: src/{source.name}, CompatibleRuntimes: [python3.11]}}"
    return (
        f"  {name}:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {{BuildMethod: python3.11}}\n"
        f"    Properties: {properties}\n"
    )


KINDS: dict[str, Callable[[Path, str, int], str]] = {
    "python": _python,
    "python with packages": _python_with_packages,
    "node": _node,
    "node with packages": _node_with_packages,
    "typescript": _typescript,
    "go": _go,
    "layer": _layer,
}
"""Write the files of a function or layer; return its lines of the template."""

"""A project in a folder of its own, and lambdabuild run in it as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAMPLE_APP = ROOT / "sample-app"

PLAIN_FUNCTION = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: app.handler
      CodeUri: src
"""
"""The smallest template that builds something."""


@dataclass(frozen=True)
class Ran:
    """How a command ended: exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def steps(self) -> list[str]:
        """The steps that ran, of a run with ``--format json``, in alphabetical order."""
        return sorted(event["task"] for event in self.events if event["event"] == "done")

    @property
    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def summary(self) -> dict:
        return self.events[-1]


class Sandbox:
    """A project's folder."""

    def __init__(self, folder: Path, *, checks_handlers: bool = False) -> None:
        self.folder, self.checks_handlers = folder, checks_handlers
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, files: Mapping[str, str | bytes]) -> Sandbox:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(textwrap.dedent(content), encoding="utf-8")
        return self

    def append(self, name: str, text: str) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as stream:
            stream.write(text)

    def path(self, name: str) -> Path:
        return self.folder / name

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LAMBDABUILD_")}
        # A step that another test ran would be restored, and not run: tests about the cache say so.
        usual = {"PYTHONHASHSEED": "random", "LAMBDABUILD_CACHE__ENABLED": "false"}
        # Most tests have functions of a file or two that nobody starts: tests about handlers say so.
        usual |= {} if self.checks_handlers else {"LAMBDABUILD_CHECK_HANDLER": "false"}
        return kept | usual | dict(more or {})

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 300) -> Ran:
        """``lambdabuild`` with these arguments."""
        return self.command([sys.executable, "-m", "lambdabuild", *arguments], env=env, timeout=timeout)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "lambdabuild", *arguments],
            cwd=self.folder,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, argv: list[str], *, env: Mapping[str, str] | None = None, timeout: float = 300) -> Ran:
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def build(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
        """A build that must succeed, told as JSON lines."""
        ran = self.run("build", "--format", "json", *arguments, env=env)
        assert ran.code == 0, ran.said
        return ran

    @property
    def manifest(self) -> dict:
        return json.loads((self.folder / "build/manifest.json").read_text())

    def names(self, artifact: str, build_dir: str = "build") -> list[str]:
        """What is in a zip of the build folder."""
        with zipfile.ZipFile(self.folder / build_dir / f"{artifact}.zip") as archive:
            return archive.namelist()

    def content(self, artifact: str, name: str) -> bytes:
        with zipfile.ZipFile(self.folder / "build" / f"{artifact}.zip") as archive:
            return archive.read(name)

    def unzip(self, artifact: str, folder: Path) -> Path:
        """The artifact in a folder that is emptied for it, with its permissions."""
        shutil.rmtree(folder, ignore_errors=True)
        with zipfile.ZipFile(self.folder / "build" / f"{artifact}.zip") as archive:
            for item in archive.infolist():
                Path(archive.extract(item, folder)).chmod(item.external_attr >> 16 & 0o777)
        return folder

    def zips(self) -> dict[str, bytes]:
        """Every zip of the build folder: ``{path: bytes}``."""
        build = self.folder / "build"
        found = (path for path in build.rglob("*.zip") if not path.relative_to(build).parts[0].startswith("."))
        return {str(path.relative_to(build)): path.read_bytes() for path in sorted(found)}


def python_of(version: str) -> str:
    """The interpreter of a version, with its real name: the one that runs the tests, or another of this machine."""
    if sys.version.startswith(version + "."):
        return os.path.realpath(sys.executable)
    uv = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", "--no-project", version]
    return os.path.realpath(subprocess.run(uv, capture_output=True, text=True, check=True).stdout.strip())


def sample_app(folder: Path, *, in_all_languages: bool = True) -> Sandbox:
    """A copy of the sample app, or of the part that needs nothing but Python, npm and make."""
    shutil.copytree(SAMPLE_APP, folder, ignore=shutil.ignore_patterns("build", "node_modules", "__pycache__"))
    app = Sandbox(folder, checks_handlers=True)
    if not in_all_languages:
        before, _, rest = app.path("template.yaml").read_text().partition("  # One file, bundled from TypeScript")
        app.path("template.yaml").write_text(before + rest[rest.index("  # Built by its own Makefile") :])
        settings = app.path("lambdabuild.toml")
        settings.write_text(settings.read_text().replace('[functions.ShowCatalog]\nrule = "nodejs_npm_esbuild"\n', ""))
    return app

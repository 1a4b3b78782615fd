"""Apps of the AWS CDK that use our constructs, in Python and in TypeScript, synthesised as the CDK's command line does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest
from cdk import cdk_modules
from sandbox import ROOT, Ran, Sandbox

__all__ = ["cdk_modules"]

QUIET = {
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1", "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1", "CDK_DISABLE_VERSION_CHECK": "1",
    "CDK_DISABLE_CLI_TELEMETRY": "true",
}  # fmt: skip
CONTEXT = {"aws:cdk:enable-asset-metadata": True, "aws:cdk:enable-path-metadata": True}
COUNTING = """\
import os, sys
if "lambdabuild" in sys.orig_argv:
    with open(os.environ["RUNS"], "a") as stream:
        stream.write(" ".join(sys.orig_argv) + "\\n")
"""
"""Python imports a module ``sitecustomize`` at each start."""


@pytest.fixture(scope="session")
def npm_package(cdk_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our package as npm publishes it: compiled, packed and unpacked."""
    folder = tmp_path_factory.mktemp("npm") / "lambdabuild-cdk"
    shutil.copytree(ROOT / "lambdabuild/cdk/npm", folder)
    (folder / "node_modules").symlink_to(cdk_modules)
    packed = subprocess.run(["npm", "pack", "--silent"], cwd=folder, capture_output=True, text=True, check=False)
    assert packed.returncode == 0, packed.stdout + packed.stderr
    out = folder.parent / "out"
    shutil.unpack_archive(folder / packed.stdout.split()[-1], out)
    return out / "package"


class CdkApp(Sandbox):
    """A folder with an app, in either language."""

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        self.write({"counting/sitecustomize.py": COUNTING})
        # The CDK's environment has no lambdabuild, and ours has no CDK: the one sees the packages of the other.
        paths = [str(self.path("counting")), str(ROOT), sysconfig.get_path("purelib")]
        usual = QUIET | {"PYTHONPATH": os.pathsep.join(paths), "RUNS": str(self.path("runs"))}
        return super().environment(usual | dict(more or {}))

    def synth(self, command: list[str], out: str = "cdk.out", **context: object) -> Ran:
        """Run the app as ``cdk synth`` runs it; with ``bundling-stacks=[]``, as ``cdk ls`` does."""
        self.path("runs").unlink(missing_ok=True)
        known = CONTEXT | {name.replace("_", "-"): value for name, value in context.items()}
        on = {"CDK_OUTDIR": str(self.path(out)), "CDK_CONTEXT_JSON": json.dumps(known)}
        return self.command(command, env=on)

    @property
    def runs(self) -> list[str]:
        """The runs of lambdabuild that the last synth started."""
        path = self.path("runs")
        return path.read_text().splitlines() if path.exists() else []

    def template(self, name: str, out: str = "cdk.out") -> dict:
        return json.loads(self.path(f"{out}/{name}.template.json").read_text())

    def files(self, name: str, out: str = "cdk.out") -> dict[str, dict]:
        """The files of an asset manifest, without templates."""
        every = json.loads(self.path(f"{out}/{name}.assets.json").read_text())["files"]
        return {key: file for key, file in every.items() if not file["source"]["path"].endswith(".json")}


def of_type(template: dict, kind: str) -> dict[str, dict]:
    """The resources of a type by the last readable part of their path in the app."""
    return {
        resource["Metadata"]["aws:cdk:path"].split("/")[-2]: resource
        for resource in template["Resources"].values()
        if resource["Type"] == f"AWS::Lambda::{kind}"
    }


def with_packages(app: CdkApp, cdk_modules: Path, npm_package: Path) -> CdkApp:
    """Install what an app in TypeScript imports, and say how lambdabuild is started."""
    app.path("node_modules").mkdir(parents=True)
    for name in ("aws-cdk-lib", "constructs", "@types"):
        app.path(f"node_modules/{name}").symlink_to(cdk_modules / name)
    shutil.copytree(npm_package, app.path("node_modules/lambdabuild-cdk"))
    return app


def compiled(app: CdkApp, cdk_modules: Path) -> Ran:
    """Compile app.ts, strictly."""
    strict = ["--strict", "--skipLibCheck", "--module", "commonjs", "--target", "es2022", "--types", "node"]
    return app.command(["node", str(cdk_modules / "typescript/bin/tsc"), *strict, "app.ts"])


OURS = [sys.executable, "-m", "lambdabuild"]

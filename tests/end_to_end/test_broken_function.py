"""A mistake of one function stops what needs that function, and nothing else."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from sandbox import Ran, Sandbox

GOOD = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  G:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: g}
  F:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: f}
"""
LAYER = """\
  L:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: f}
"""
HANDLER = "def handler(event, context):\n    return 1\n"


@dataclass(frozen=True)
class Case:
    """Files over a good project that break F, and the mistake."""

    code: str
    f: str = ""
    """What stands in the template instead of F's properties."""
    files: Mapping[str, str] = field(default_factory=dict)
    metadata: str = ""

    @property
    def all_files(self) -> dict[str, str]:
        old = "{Runtime: python3.11, Handler: app.handler, CodeUri: f}"
        new = GOOD.replace(old, self.f) if self.f else GOOD
        return {"template.yaml": new + self.metadata, **self.files}


CASES = {
    "missing folder": Case("LB302", "{Runtime: python3.11, Handler: app.handler, CodeUri: nowhere}"),
    "folder that is a link to nothing": Case("LB302", "{Runtime: nodejs22.x, Handler: app.handler, CodeUri: g/up}"),
    "missing manifest": Case("LB303", files={"lambdabuild.toml": "[functions.F]\nmanifest = 'f/needs.txt'\n"}),
    "no Makefile": Case("LB303", metadata="    Metadata: {BuildMethod: makefile}\n"),
    "no rule": Case("LB301", "{Runtime: pyhton3.11, Handler: app.handler, CodeUri: f}"),
    "unknown build method": Case("LB301", metadata="    Metadata: {BuildMethod: makefiel}\n"),
    "unknown CodeUri": Case(
        "LB106", "{Runtime: python3.11, Handler: app.handler, CodeUri: !Sub 'f/${AWS::AccountId}'}"
    ),
    "unknown name in CodeUri": Case("LB108", "{Runtime: python3.11, Handler: app.handler, CodeUri: !Sub '${Stge}'}"),
    "no runtime": Case("LB104", "{Handler: app.handler, CodeUri: f}"),
    "unknown architecture": Case("LB104", "{Runtime: python3.11, Handler: a.b, CodeUri: f, Architectures: [arm]}"),
    "a rule of settings that is not there": Case(
        "LB301", files={"lambdabuild.toml": "[functions.F]\nrule = 'pyhton'\n"}
    ),
    "a source that is not there": Case("LB107", files={"lambdabuild.toml": "[functions.F]\nsource = 'lib'\n"}),
    "an include that is not there": Case("LB415", files={"lambdabuild.toml": "[functions.F]\ninclude = ['x.json']\n"}),
    "packages that cannot be shared": Case(
        "LB304",
        files={"lambdabuild.toml": "[functions.F]\nauto_layers = true\nbytecode = true\n", "f/requirements.txt": ""},
    ),
    "an image of a Dockerfile that is not named": Case(
        "LB302", "{PackageType: Image}", metadata="    Metadata: {DockerContext: nowhere, Dockerfile: Dockerfile}\n"
    ),
}


@pytest.fixture
def good(project: Sandbox) -> Sandbox:
    return project.write({"template.yaml": GOOD, "g/app.py": HANDLER, "f/app.py": HANDLER + "# other\n"})


def doit(project: Sandbox, *arguments: str) -> Ran:
    if not project.path("dodo.py").exists():
        project.run("init")
    return project.command([sys.executable, "-m", "doit", *arguments])


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_of_one_function_stops_only_what_needs_it(name: str, good: Sandbox) -> None:
    case = CASES[name]
    good.write(case.all_files)

    ran = good.run("build", "G")
    assert ran.code == 0, ran.said
    assert good.content("G", "app.py").decode() == HANDLER
    assert f"warning: function 'F' has a mistake, so neither it nor a template is built: {case.code}: " in ran.err
    ran = doit(good, "build:G")
    assert (ran.code, "up to date" in ran.out, case.code in ran.err) == (0, True, True), ran.said
    for ran in (good.run("build", "F"), good.run("build"), doit(good, "build:F"), doit(good), good.run("plan")):
        assert ran.code == 3, ran.said
        assert ran.err.count(f"{case.code}]: ") == 1, ran.said
    assert not good.path("build/packaged-template.yaml").exists()


def test_what_was_built_says_nothing_of_what_is_broken_since(good: Sandbox) -> None:
    good.build()
    shutil.rmtree(good.path("f"))
    good.append("g/app.py", "# new\n")

    for ran in (good.run("build"), doit(good)):
        assert (ran.code, ran.out) == (3, ""), ran.said
    assert "zip:G" in good.build("G").steps
    for ran in (good.run("build"), doit(good)):
        assert (ran.code, ran.out) == (3, ""), ran.said
    assert "nothing to do" in good.run("build", "G").out
    good.write({"f/app.py": HANDLER + "# other\n"})
    assert "zip:G" not in good.build().steps
    assert "nothing to do: 2 functions up to date" in good.run("build").out


def test_a_run_that_goes_on_builds_the_others_and_no_template(good: Sandbox) -> None:
    good.write(CASES["missing folder"].all_files)

    for arguments in (["keep_going=true"], ["--continue"]):
        ran = good.run("build", *arguments)
        assert ran.code in (1, 2), ran.said
        assert "LB302]: the code folder nowhere/ of function 'F'" in ran.said
        assert good.path("build/G.zip").exists()
        assert not good.path("build/packaged-template.yaml").exists()
        good.path("build/G.zip").unlink()
    assert doit(good, "--continue").code in (1, 2)
    assert good.path("build/G.zip").exists()


def test_a_function_fails_for_the_layer_that_it_uses(good: Sandbox) -> None:
    text = GOOD.replace("CodeUri: g}", "CodeUri: g, Layers: [!Ref L]}") + LAYER.replace(
        "ContentUri: f", "ContentUri: l"
    )
    good.write({"template.yaml": text})

    for ran in (good.run("build", "G"), good.run("zip:G"), good.run("build", "L"), doit(good, "layer:L")):
        assert (ran.code, ran.err.count("LB302]: ")) == (3, 1), ran.said
    assert good.run("build", "F").code == 0
    assert good.run("build", "keep_going=true").code != 0
    assert not good.path("build/packaged-template.yaml").exists()


def test_functions_with_layers_in_common_wait_for_all_that_take_part(good: Sandbox) -> None:
    good.write({
        "lambdabuild.toml": "auto_layers = true\n", "g/requirements.txt": "six==1.17.0\n",
        "template.yaml": CASES["missing folder"].all_files["template.yaml"],
    })  # fmt: skip
    assert (good.run("build", "G").code, good.run("share:plan").code) == (3, 3)

    good.append("lambdabuild.toml", "[functions.F]\nauto_layers = false\n")
    assert good.run("build", "G").code == 0


def test_tasks_of_the_users_own_may_name_what_is_broken(good: Sandbox) -> None:
    good.write(CASES["missing folder"].all_files)
    doit(good, "list")
    good.append("dodo.py", "\n\ndef task_deploy():\n"
                "    return {'actions': ['echo deployed'], 'task_dep': ['zip:F', 'build:F', 'template']}\n")  # fmt: skip

    assert doit(good, "build:G").code == 0
    for wanted in (["deploy"], ["build:G", "deploy"], []):
        ran = doit(good, *wanted)
        assert (ran.code, "deployed" in ran.out, "LB302" in ran.err) == (3, False, True), ran.said


def test_mistakes_of_all_are_told_at_once_by_a_run_of_all(good: Sandbox) -> None:
    good.write({"template.yaml": GOOD.replace("CodeUri: f", "CodeUri: a").replace("CodeUri: g", "CodeUri: b")})

    assert good.run("build").err.count("LB302]: ") == 2
    assert good.run("build", "G").err.count("LB302]: ") == 1

"""Code and packages that functions share: ``include``, ``requirements``, ``dependencies``, ``zip_dependencies``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_wheels import make_wheel
from sandbox import Sandbox

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.11, Handler: app.handler}}
Resources:
  One: {Type: AWS::Serverless::Function, Properties: {CodeUri: src/one}}
  Two: {Type: AWS::Serverless::Function, Properties: {CodeUri: src/two}}
"""
LINKS = "--find-links wheels\n--no-index\n"


@pytest.fixture
def shared(project: Sandbox) -> Sandbox:
    """Two functions with code and requirements in common, and packages in a folder."""
    wheels = project.path("wheels")
    for name, version, requires in (("common", "1.0", ()), ("common", "2.0", ()), ("mine", "1.0", ("common",))):
        make_wheel(wheels, name, version, requires=requires)
    return project.write({
        "template.yaml": TEMPLATE,
        "lambdabuild.toml": 'include = ["shared", "config/app.json"]\nrequirements = ["requirements-all.txt"]\n'
        '[functions.One]\ninclude = ["one-more"]\n',
        "requirements-all.txt": f"{LINKS}common\n",
        "src/one/app.py": "import common, helper, mine, util\n\ndef handler(event, context):\n"
        "    return [common.VERSION, mine.VERSION, util.WHO, open('app.json').read()]\n",
        "src/one/requirements.txt": "mine\ncommon<2\n",
        "src/one/util.py": "WHO = 'one'\n",
        "src/two/app.py": "import util\n\ndef handler(event, context):\n    return util.WHO\n",
        "shared/util.py": "WHO = 'all'\n",
        "shared/helper.py": "",
        "shared/__pycache__/helper.pyc": "x",
        "one-more/helper.py": "ONE = 1\n",
        "config/app.json": "{}",
    })  # fmt: skip


def called(project: Sandbox, name: str, folder: Path, code: str = "import app; print(app.handler(None, None))") -> str:
    """What code prints in the unzipped artifact, with nothing else on the path."""
    place = project.unzip(name, folder)
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, '.'); {code}"]
    return subprocess.run(command, cwd=place, check=True, capture_output=True, text=True).stdout.strip()


def test_what_functions_share_lies_at_the_root_of_each_zip(shared: Sandbox, tmp_path: Path) -> None:
    ran = shared.build()

    assert shared.names("One") == [
        "app.json", "app.py", "common-1.0.dist-info/METADATA", "common-1.0.dist-info/WHEEL", "common.py", "helper.py",
        "mine-1.0.dist-info/METADATA", "mine-1.0.dist-info/WHEEL", "mine.py", "util.py",
    ]  # fmt: skip
    assert called(shared, "One", tmp_path / "one") == "['1.0', '1.0', 'one', '{}']"
    assert shared.content("One", "helper.py") == b"ONE = 1\n"
    assert called(shared, "Two", tmp_path / "two") == "all"
    assert shared.content("Two", "common.py") == b"VERSION = '2.0'\n", "resolved for each function by itself"

    told = [note for event in ran.events if event["event"] == "done" for note in event.get("notes", ())]
    assert "One: util.py comes from src/one and shared; that of src/one is used" in told
    assert "One: helper.py comes from one-more and shared; that of one-more is used" in told

    assert shared.build().steps == []
    assert shared.run("build").out.startswith("nothing to do")
    shared.append("shared/util.py", "# edited\n")
    assert "the file shared/util.py changed" in shared.run("why", "Two").out
    steps = shared.build().steps
    assert "copy:Two" in steps and "resolve:Two" not in steps
    shared.write({"config/app.json": "{1}", "shared/new.py": ""})
    assert "the file config/app.json changed" in shared.run("why", "One").out
    assert "copy:One" in shared.build().steps
    assert "new.py" in shared.names("One")
    shared.append("requirements-all.txt", "mine\n")
    assert {"resolve:One", "resolve:Two"} <= set(shared.build().steps)
    assert "mine.py" in shared.names("Two")


def test_requirements_that_cannot_go_together_are_told_with_both_places(shared: Sandbox) -> None:
    shared.write({"requirements-all.txt": f"{LINKS}common==2.0\n"})
    ran = shared.run("build", "One")
    assert ran.code != 0
    assert "LB416]: function 'One': common<2 and common==2.0 cannot go together" in ran.said
    assert "src/one/requirements.txt:2:1" in ran.said and "requirements-all.txt:3:1" in ran.said
    ran = shared.run("build", "One", "resolver=pip")
    assert "LB416]: function 'One': common<2 and common==2.0 cannot go together" in ran.said


def test_paths_in_a_shared_file_are_relative_to_it(shared: Sandbox) -> None:
    shared.write({
        "team/requirements.txt": "--find-links ../wheels\n--no-index\n./lib\nmine\n",
        "team/lib/setup.py": "from setuptools import setup\nsetup(name='teamlib', version='1', py_modules=['teamlib'])\n",
        "team/lib/teamlib.py": "",
        "src/one/requirements.txt": "common\n",
        "lambdabuild.toml": '[functions.One]\nrequirements = ["team/requirements.txt"]\n',
    })  # fmt: skip
    shared.path("src/one/app.py").write_text("def handler(event, context):\n    return 1\n")
    # What is built needs setuptools from the index, which --no-index would forbid.
    shared.write({"team/requirements.txt": "--find-links ../wheels\n./lib\nmine==1.0\ncommon==1.0\n"})
    shared.build("One")
    assert {"teamlib.py", "mine.py", "common.py"} <= set(shared.names("One"))
    shared.append("team/lib/teamlib.py", "x = 1\n")
    assert "resolve:One" in shared.build("One").steps


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('include = ["shraed"]', "LB415]: shraed, named by include of function 'One', does not exist"),
        ('include = ["shraed"]', "did you mean shared?"),
        (
            '[functions.One]\nrequirements = ["nowhere/x.txt"]',
            "LB415]: nowhere/x.txt, named by requirements of function 'One', does not exist",
        ),
        ("include = 1", "LB107]: setting 'include' is 1, expected a list of texts"),
    ],
)
def test_what_is_to_go_in_and_is_not_there_is_told_before_anything_is_built(
    shared: Sandbox, setting: str, words: str
) -> None:
    shared.write({"lambdabuild.toml": setting + "\n"})
    ran = shared.run("build")
    assert ran.code != 0
    assert words in ran.said
    assert not shared.path("build/One.zip").exists()


def test_a_function_may_have_no_packages_or_have_them_zipped(shared: Sandbox, tmp_path: Path) -> None:
    shared.append("lambdabuild.toml", "zip_dependencies = true\n[functions.Two]\ndependencies = false\n")
    shared.path("src/one/app.py").write_text(
        "import unzip_requirements\nimport common, mine\n\ndef handler(event, context):\n"
        "    return common.__file__, mine.VERSION\n"
    )
    shared.build()
    assert shared.names("Two") == ["app.json", "app.py", "helper.py", "util.py"]
    assert shared.names("One") == [
        ".requirements.zip", "app.json", "app.py", "helper.py", "unzip_requirements.py", "util.py",
    ]  # fmt: skip
    place = tmp_path / "unpacked"
    code = f"import builtins, os; import importlib.util as u; s = open('unzip_requirements.py').read().replace('/tmp/sls-py-req', {str(place)!r}); open('unzip_requirements.py', 'w').write(s); import app; print(app.handler(None, None))"
    assert called(shared, "One", tmp_path / "one", code) == f"('{place}/common.py', '1.0')"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("tmp")) == []
    before = shared.zips()
    assert shared.build().steps == []
    shutil.rmtree(shared.path("build/.lambdabuild/out/zipped"))
    shared.path("build/One.zip").unlink()
    shared.build()
    assert shared.zips() == before
    shared.run("clean")
    shared.build()
    assert shared.zips() == before


def test_packages_that_are_not_wanted_take_along_what_only_they_need(shared: Sandbox) -> None:
    shared.append("lambdabuild.toml", 'options = {without = ["Mine"]}\n')
    shared.path("requirements-all.txt").write_text(LINKS)
    shared.path("src/one/requirements.txt").write_text("mine\n")
    shared.build("One")
    assert not [name for name in shared.names("One") if name.startswith(("mine", "common"))]


def test_a_lock_stands_and_what_others_need_is_added_to_it(project: Sandbox) -> None:
    project.write({
        "template.yaml": TEMPLATE,
        "lambdabuild.toml": 'requirements = ["all.txt"]\n[functions.Two]\ndependencies = false\n',
        "all.txt": "six==1.17.0\nidna\n",
        "src/two/app.py": "",
        "src/one/app.py": "",
        "src/one/pyproject.toml": '[project]\nname = "one"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["idna==3.7"]\n',
    })  # fmt: skip
    lock = [sys.executable, "-m", "uv", "lock", "--quiet", "--project", "src/one", "--python", sys.executable]
    assert project.command(lock).code == 0
    project.build()
    versions = {one["name"]: one["version"] for one in project.manifest["functions"]["One"]["packages"]}
    assert versions == {"idna": "3.7", "six": "1.17.0"}
    assert project.names("Two") == ["app.py"]
    assert project.build().steps == []

    project.write({"all.txt": "idna==3.10\n"})
    ran = project.run("build")
    assert (
        "LB416]: function 'One': all.txt ask for what does not go with the versions of src/one/pyproject.toml"
        in ran.said
    )
    project.append("lambdabuild.toml", '[functions.One]\noptions = {without = ["idna"]}\n')
    project.build()
    assert project.names("One") == ["app.py"]

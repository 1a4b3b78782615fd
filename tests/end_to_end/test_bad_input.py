"""What users get wrong: each gives a code, a place and what to do about it, and leaves what was built alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sandbox import PLAIN_FUNCTION, Ran, Sandbox


@dataclass(frozen=True)
class Case:
    """A good project with ``files`` put over it, and what is said of that."""

    name: str
    files: Mapping[str, str | bytes]
    code: str
    says: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def with_code(line: str) -> dict[str, str]:
    return {"template.yaml": PLAIN_FUNCTION.replace("      CodeUri: src\n", line)}


def needs(text: str) -> dict[str, str]:
    return {"src/requirements.txt": text}


RING = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  A:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: app.handler
      CodeUri: src
      Environment: {Variables: {OTHER: !Ref B}}
  B:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: app.handler
      CodeUri: src
      Environment: {Variables: {OTHER: !GetAtt A.Arn}}
"""
MAKE = PLAIN_FUNCTION.replace("  Orders:\n", "  Orders:\n    Metadata: {BuildMethod: makefile}\n")
NODE = PLAIN_FUNCTION.replace("python3.11", "nodejs22.x")

CASES = [
    Case("broken YAML", {"template.yaml": "Resources:\n  A: [1,\n  B: {}\n"}, "LB102", ("template.yaml:4:1",)),
    Case("broken JSON", {"template.json": '{"Resources": {"A": }}'}, "LB102", ("template.json:1:21",),
         ("template=template.json",)),
    Case("an empty template", {"template.yaml": ""}, "LB102", ("template.yaml:1:1", "empty")),
    Case("a template that is not UTF-8", {"template.yaml": b"Resources:\n  A: \xff\n"}, "LB101", ("template.yaml",)),
    Case("no such template", {}, "LB101", ("other.yaml",), ("template=other.yaml",)),
    Case("no Resources", {"template.yaml": "Description: x\n"}, "LB104", ("template.yaml:1:1", "Resources")),
    Case("an unknown runtime", {"template.yaml": PLAIN_FUNCTION.replace("python3.11", "pyhton3.11")}, "LB301",
         ("template.yaml:3:3", "pyhton3.11", "did you mean")),
    Case("no runtime", {"template.yaml": PLAIN_FUNCTION.replace("      Runtime: python3.11\n", "")}, "LB104",
         ("template.yaml:3:3", "Runtime")),
    Case("an unknown build method", {"template.yaml": MAKE.replace("makefile", "makefiel")}, "LB301",
         ("template.yaml:3:3", "did you mean 'makefile'")),
    Case("an unknown architecture", with_code("      CodeUri: src\n      Architectures: [arm]\n"), "LB104",
         ("template.yaml:9:22", "arm64")),
    Case("a missing code folder", with_code("      CodeUri: scr\n"), "LB302", ("template.yaml:3:3", "scr/")),
    Case("a name that does not exist", with_code("      CodeUri: !Sub 'src/${Stge}'\n"), "LB108",
         ("template.yaml:8:16", "Stge")),
    Case("a circular reference", {"template.yaml": RING}, "LB105", ("template.yaml:9:40", "A -> B -> A")),
    Case("a parameter that the template does not have", {}, "LB108", ("Stgae",), ("param.Stgae=x",)),
    Case("an unknown setting", {"lambdabuild.toml": "build_dri = 'x'\n"}, "LB107",
         ("lambdabuild.toml:1:1", "did you mean 'build_dir'")),
    Case("an unknown setting on the command line", {}, "LB107", ("buckt", "did you mean 'bucket'"), ("buckt=x",)),
    Case("an unknown setting in the environment", {}, "LB107", ("LAMBDABUILD_OFLINE", "offline"), (),
         {"LAMBDABUILD_OFLINE": "1"}),
    Case("a setting of the wrong type", {"lambdabuild.toml": "\njobs = 'many'\n"}, "LB107", ("lambdabuild.toml:2:1",)),
    Case("settings that are not TOML", {"lambdabuild.toml": "jobs = = 1\n"}, "LB107", ("lambdabuild.toml:1:8",)),
    Case("settings for a function that is not there", {"lambdabuild.toml": "[functions.Ordres]\nbytecode = true\n"},
         "LB107", ("Ordres", "did you mean 'Orders'")),
    Case("a package that does not exist", needs("six==1.17.0\nreqeusts-that-nobody-made==1.0\n"), "LB408",
         ("src/requirements.txt:2:1", "reqeusts-that-nobody-made", "Orders")),
    Case("a version that does not exist", needs("six==99.0\n"), "LB408", ("src/requirements.txt", "six")),
    Case("a requirement that cannot be read", needs("six\nsix ===== 1\n"), "LB402", ("src/requirements.txt:2",)),
    Case("an include that is not there", needs("-r base.txt\n"), "LB402", ("src/requirements.txt:1:1", "base.txt")),
    Case("a wheel that does not exist for the platform", needs("numpy==1.19.5\n"), "LB403",
         ("numpy 1.19.5", "manylinux_2_26_x86_64", "manylinux2014_x86_64", "use_container")),
    Case("a hash that is not the package's",
         needs("six==1.17.0 --hash=sha256:" + "0" * 64 + "\n"), "LB404", ("src/requirements.txt:1:1", "six")),
    Case("a package without a hash where others have one",
         needs("six==1.17.0 --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274\nidna==3.10\n"),
         "LB404", ("src/requirements.txt:2:1", "idna")),
    Case("nothing in the store while offline", needs("six==1.17.0\n"), "LB603", ("six",), ("--offline",),
         {"XDG_CACHE_HOME": "/nonexistent/cache"}),
    Case("an index that is not there", needs("six==1.17.0\n"), "LB604", ("127.0.0.1",), (),
         {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}),
    Case("no make target", {"template.yaml": MAKE, "src/Makefile": "build-Order:\n\ttrue\n"}, "LB402",
         ("src/Makefile", "build-Orders")),
    Case("a failing make target", {"template.yaml": MAKE, "src/Makefile": "build-Orders:\n\t@echo reason >&2; exit 3\n"},
         "LB502", ("make failed with exit code 2", "reason", "command: ", "folder: ", "Orders")),
    Case("no Makefile", {"template.yaml": MAKE}, "LB303", ("template.yaml:3:3", "Makefile")),
    Case("a package.json that is not JSON", {"template.yaml": NODE, "src/package.json": "{\n  'a': 1}"}, "LB402",
         ("src/package.json:2:3",)),
    Case("a package.json of the wrong shape", {"template.yaml": NODE, "src/package.json": '{"dependencies": ["ms"]}'},
         "LB402", ("src/package.json", "dependencies")),
    Case("an npm package that does not exist",
         {"template.yaml": NODE, "src/package.json": '{"dependencies": {"ms-that-nobody-made": "1.0.0"}}'}, "LB408",
         ("src/package.json", "ms-that-nobody-made")),
    Case("a lock file that does not fit", {"template.yaml": NODE,
         "src/package.json": '{"name": "a", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}}',
         "src/package-lock.json": '{"name": "a", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {}}}'},
         "LB402", ("package-lock.json", "npm install")),
    Case("a pyproject.toml for another Python", {"src/pyproject.toml":
         "[project]\nname = 'a'\nversion = '1'\nrequires-python = '>=3.12'\ndependencies = ['six']\n"}, "LB408",
         ("src/pyproject.toml", "3.11")),
    Case("a rule that cannot be read", {"rules/mine/rule.toml": "naem = 'mine'\n"}, "LB401",
         ("rules/mine/rule.toml", "did you mean 'name'")),
    Case("a rule that breaks down", {"rules/python_pip/rule.toml":
         "name = 'python_pip'\nlanguage = 'python'\ndependency_manager = 'x'\nruntimes = ['python3.*']\nentry = 'rule.py'\n",
         "rules/python_pip/rule.py": "def copy(job):\n    return 1 / 0\n"}, "LB401", ("ZeroDivisionError", "rule.py")),
    Case("a function that does not exist", {}, "LB108", ("Ordres", "did you mean 'Orders'"), ("Ordres",)),
    Case("an S3 bucket that nobody answers for", {}, "LB601", ("127.0.0.1:9",),
         ("bucket=b", "endpoint_url=http://127.0.0.1:9", "region=eu-west-1"),
         {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = Sandbox(tmp_path_factory.mktemp("built") / "project")
    project.write({"template.yaml": PLAIN_FUNCTION, "src/app.py": "def handler(event, context):\n    return 1\n"})
    project.build()
    return project.folder


@pytest.fixture
def good(built: Path, project: Sandbox) -> Sandbox:
    """A project that is built."""
    shutil.copytree(built, project.folder, symlinks=True, dirs_exist_ok=True)
    return project


def check(ran: Ran, code: str, says: tuple[str, ...]) -> None:
    assert ran.code != 0
    assert f"{code}]: " in ran.said, ran.said
    assert "help: " in ran.said, ran.said
    assert not re.search("^Traceback", ran.err, re.MULTILINE), ran.err
    for text in says:
        assert text in ran.said, ran.said


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_mistake_is_told_and_nothing_built_is_lost(case: Case, good: Sandbox) -> None:
    before = good.zips(), good.path("build/packaged-template.yaml").read_bytes()
    good.write(case.files)
    ran = good.run("build", *case.arguments, env=case.env)

    check(ran, case.code, case.says)
    assert (good.zips(), good.path("build/packaged-template.yaml").read_bytes()) == before


def test_a_key_that_is_written_twice_is_a_warning_of_every_run_that_reads_it(good: Sandbox) -> None:
    good.write({"template.yaml": PLAIN_FUNCTION.replace("CodeUri: src", "CodeUri: nowhere\n      CodeUri: src")})
    ran = good.build()

    (warning,) = ran.summary["warnings"]
    assert "'CodeUri' is written twice" in warning
    assert "template.yaml:8:7\n  at template.yaml:9:7" in warning
    assert "warning: LB103: 'CodeUri'" in good.run("plan").said + ran.err


MISSING = """\
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {BodyS3Location: api.yaml}}
  Ready: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.11, Handler: a.b, CodeUri: ready.zip}}
Metadata: {AWS::ServerlessRepo::Application: {ReadmeUrl: README.md}}
"""


def test_a_file_that_only_a_deployment_needs_is_missed_where_it_is_sent(good: Sandbox) -> None:
    good.write({"template.yaml": PLAIN_FUNCTION + MISSING})
    notes = good.build().summary["notes"]

    for place, name in {"9:70": "api.yaml", "10:101": "ready.zip", "11:58": "README.md"}.items():
        assert any(note.startswith(f"template.yaml:{place}: {name}") for note in notes), notes
    assert "BodyS3Location: ../api.yaml" in good.path("build/packaged-template.yaml").read_text()
    assert "CodeUri: ../ready.zip" in good.path("build/built-template.yaml").read_text()

    ran = good.run("build", "bucket=b", "endpoint_url=http://127.0.0.1:9")
    check(ran, "LB302", ("template.yaml:9:70", "api.yaml", "needs it"))


def test_code_that_is_a_single_file_is_packed_alone(good: Sandbox) -> None:
    good.write({"src/other.py": "", **with_code("      CodeUri: src/app.py\n")})
    good.build()
    (place,) = (place for place in good.path("build/.store").rglob("*.zip") if "app.py" in names_of(place))
    assert "other.py" not in names_of(place)

    with zipfile.ZipFile(good.path("src/ready"), "w") as archive:
        archive.writestr("app.py", "ready = True")
    good.write(with_code("      CodeUri: src/ready\n"))
    good.build()
    assert any(
        place.read_bytes() == good.path("src/ready").read_bytes()
        for place in good.path("build/.store").rglob("*")
        if place.is_file()
    )


def names_of(place: Path) -> list[str]:
    with zipfile.ZipFile(place) as archive:
        return archive.namelist() if len(archive.namelist()) == 1 else []


def test_doit_itself_tells_a_mistake_without_a_traceback(good: Sandbox) -> None:
    good.run("init")
    good.write({"template.yaml": RING})
    ran = good.command([sys.executable, "-m", "doit"])

    check(ran, "LB105", ("template.yaml:9:40",))


def test_all_mistakes_of_a_kind_are_told_at_once(good: Sandbox) -> None:
    good.write({"template.yaml": RING.replace("CodeUri: src\n      Environment: {Variables: {OTHER: !Ref B}}", "CodeUri: a")
                .replace("CodeUri: src", "CodeUri: b")})  # fmt: skip
    ran = good.run("build")

    assert ran.err.count("LB302]: ") == 2
    good.write({"template.yaml": RING.replace("      Runtime: python3.11\n", "").replace("!Ref B", "x")})
    assert good.run("build").err.count("LB104]: ") == 2


def test_a_link_that_leaves_the_project_is_refused(good: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    os.symlink(tmp_path / "secret", good.path("src/link"))
    check(good.run("build"), "LB405", ("src/link", "leaves the project"))

    good.write({".lambdabuildignore": "link\n"})
    good.build()


def test_a_code_folder_that_is_a_link_out_of_the_project_is_refused(good: Sandbox, tmp_path: Path) -> None:
    Sandbox(tmp_path / "elsewhere").write({"app.py": "x = 1\n"})
    os.symlink(tmp_path / "elsewhere", good.path("linked"))
    good.write(with_code("      CodeUri: linked\n"))
    check(good.run("build"), "LB405", ("linked", "leaves the project"))

    good.build("project_root=..")
    good.write(with_code("      CodeUri: ../elsewhere\n"))
    good.build()


def test_an_artifact_without_a_file_is_refused(good: Sandbox) -> None:
    good.write({"src/.lambdabuildignore": "*\n"})

    check(good.run("build"), "LB405", ("src", "empty zip"))


def test_a_link_to_nothing_and_a_link_into_itself_are_refused(good: Sandbox) -> None:
    os.symlink("nowhere", good.path("src/dangling"))
    os.symlink("..", good.path("src/up"))
    check(good.run("build"), "LB405", ("src/dangling", "src/up"))


def test_a_folder_where_a_file_should_be_is_told(good: Sandbox) -> None:
    good.path("build/Orders.zip").unlink()
    good.path("build/Orders.zip").mkdir()
    check(good.run("build"), "LB504", ("build/Orders.zip", "folder"))

    good.path("build/Orders.zip").rmdir()
    good.build()


def test_a_file_where_the_build_folder_should_be_is_told(good: Sandbox) -> None:
    shutil.rmtree(good.path("build"))
    good.write({"build": "mine"})
    check(good.run("build"), "LB504", ("build",))

    assert good.path("build").read_text() == "mine"


@pytest.fixture
def small_disk(good: Sandbox) -> Iterator[Path]:
    """The build folder on a disk of 300 kB."""
    folder = good.path("small")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_told_and_what_was_built_is_intact(good: Sandbox, small_disk: Path) -> None:
    good.build("build_dir=small")
    before = (small_disk / "Orders.zip").read_bytes()
    good.write({"src/large.bin": os.urandom(400_000)})
    check(good.run("build", "build_dir=small"), "LB504", ("No space left", "make room"))

    assert (small_disk / "Orders.zip").read_bytes() == before
    good.path("src/large.bin").unlink()
    assert good.build("build_dir=small").code == 0


def as_a_user(good: Sandbox, *arguments: str) -> Ran:
    """Run without root's right to read and write everything."""
    command = [sys.executable, "-m", "lambdabuild", *arguments]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search",
                   *command]  # fmt: skip
    return good.command(command)


def test_a_file_that_may_not_be_read_is_told(good: Sandbox) -> None:
    good.path("src/app.py").chmod(0)
    os.utime(good.path("src/app.py"), (1, 1))
    check(as_a_user(good, "build"), "LB505", ("src/app.py",))


def test_a_folder_that_may_not_be_written_is_told(good: Sandbox) -> None:
    good.write({"src/app.py": "x = 1\n"})
    good.path("build").chmod(0o500)
    ran = as_a_user(good, "build")
    good.path("build").chmod(0o755)

    check(ran, "LB504", ("build",))


def test_a_tool_that_is_missing_is_told(good: Sandbox, tmp_path: Path) -> None:
    good.write({"template.yaml": MAKE, "src/Makefile": "build-Orders:\n\ttrue\n"})
    ran = good.run("build", env={"PATH": str(tmp_path)})

    check(ran, "LB501", ("make", "Orders"))


def test_native_files_of_the_source_for_another_processor_are_refused(good: Sandbox) -> None:
    aarch64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00" + bytes(44)
    good.write({"src/native.so": aarch64})

    check(good.run("build"), "LB407", ("native.so", "x86_64"))


def test_what_is_too_large_for_lambda_is_told_before_anything_is_sent(good: Sandbox) -> None:
    with good.path("src/large.bin").open("wb") as stream:
        stream.truncate(262_144_001)
    sent = sorted(path.name for path in good.path("build/.store").rglob("*.zip"))

    check(good.run("build"), "LB602", ("262,144,000", "large.bin"))
    assert sorted(path.name for path in good.path("build/.store").rglob("*.zip")) == sent


def sparse(place: Path, size: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as stream:
        stream.truncate(size)


LARGE_LAYER = """
  L:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer}
"""


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"src/a.bin": 6_000_000_000, "src/z.txt": 0}, "src/ has 6,000,000"),
        ({f"src/data/{n}.npy": 60_000_000 for n in range(5)}, "src/ has 300,000"),
        ({"layer/python/model.pt": 5_000_000_000}, "layer 'L': the code folder layer/ has 5,000,000,0"),
    ],
)
def test_what_is_too_large_is_told_before_a_byte_of_it_is_read(sizes: dict[str, int], says: str, good: Sandbox) -> None:
    good.write({"template.yaml": PLAIN_FUNCTION + LARGE_LAYER, "layer/python/own.py": ""})
    for name, size in sizes.items():
        sparse(good.path(name), size)
    began = time.monotonic()
    check(good.run("build"), "LB602", (says, "262,144,000 unzipped"))
    assert time.monotonic() - began < 30

    good.write({".lambdabuildignore": "*.bin\n*.npy\n*.pt\n"})
    good.build()


def test_what_is_too_large_is_told_before_it_is_read_for_scripts(good: Sandbox) -> None:
    good.write(
        {
            "template.yaml": PLAIN_FUNCTION.replace("python3.11", "nodejs22.x"),
            "src/app.js": "exports.handler = 1\n",
            "src/package.json": '{"name": "a", "version": "1.0.0", "scripts": {"postinstall": "node -e 1"}}',
        }
    )
    sparse(good.path("src/dump.sql"), 7_000_000_000)

    check(good.run("build"), "LB602", ("src/ has 7,000,000", "dump.sql"))


def test_what_is_large_and_not_shipped_is_no_mistake(good: Sandbox) -> None:
    sparse(good.path("src/input.bin"), 300_000_000)
    good.write({"lambdabuild.toml": "[commands]\nOrders = 'cp app.py \"$ARTIFACTS_DIR\"'\n"})
    good.build()


def test_six_layers_are_too_many(good: Sandbox) -> None:
    arns = ", ".join(f"arn:aws:lambda:eu-west-1:1:layer:l:{number}" for number in range(6))
    good.write(with_code(f"      CodeUri: src\n      Layers: [{arns}]\n"))

    check(good.run("build"), "LB602", ("6 layers", "5"))

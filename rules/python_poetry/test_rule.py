"""python_poetry: the packages of a pyproject.toml of Poetry, as its poetry.lock says.

The lock files here are Poetry's own: that of 1.2 has format 1.1, that of 1.8 has 2.0, the others have 2.1.
"""

import hashlib
import json
import shutil
import struct
import subprocess
import tomllib
from pathlib import Path

import pytest
from made_wheels import make_wheel
from private_index import PrivateIndex
from rule_example import call_python, example, function, packages, template
from sandbox import Sandbox

from lambdabuild.python.poetry import constraints
from lambdabuild.python.poetry import lock as poetry
from lambdabuild.python.targets import Platform

HERE = Path(__file__).parent
LOCKS = ("poetry-1.2.lock", "poetry-1.8.lock", "poetry-2.5.lock")
FORCED = "[functions.Example]\nrule = 'python_poetry'\n"
LIB = {
    "lib/lib.py": "VERSION = 'one'\n",
    "lib/pyproject.toml": "[tool.poetry]\nname = 'lib'\nversion = '0.1.0'\ndescription = ''\nauthors = []\n"
    "packages = [{include = 'lib.py'}]\n[tool.poetry.dependencies]\npython = '^3.9'\nsix = '*'\n"
    "[build-system]\nrequires = ['poetry-core']\nbuild-backend = 'poetry.core.masonry.api'\n",
}
ANSWER = "def handler(event, context):\n    import mod\n    return mod.VERSION\n"


def options(**chosen: list[str]) -> dict[str, str]:
    lines = [f"{name} = {names!r}\n" for name, names in chosen.items()]
    return {"lambdabuild.toml": "".join(["[functions.Example.options]\n", *lines])}


def locked(project: Sandbox, lock: str, resource: str) -> Sandbox:
    """The project that the locks are of, with its local package."""
    project.write({**LIB, "template.yaml": template(resource), "src/app.py": "handler = lambda e, c: 1\n"})
    shutil.copy(HERE / "locks/pyproject.toml", project.path("src"))
    shutil.copy(HERE / "locks" / lock, project.path("src/poetry.lock"))
    return project


def by_hand(project: Sandbox, entries: str) -> Sandbox:
    """A lock that is written by hand, for a package called mod."""
    manifest = "[tool.poetry.dependencies]\npython = '^3.9'\nmod = '^1.0'\n"
    (digest, *_) = poetry.content_hashes(tomllib.loads(manifest))
    lock = f"[[package]]\nname = 'mod'\nversion = '1.5'\noptional = false\npython-versions = '*'\ngroups = ['main']\n{entries}"
    lock += f"[metadata]\nlock-version = '2.1'\npython-versions = '^3.9'\ncontent-hash = '{digest}'\n"
    files = {"src/pyproject.toml": manifest, "src/poetry.lock": lock, "src/app.py": ANSWER}
    return project.write({"template.yaml": template(function()), **files})


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_example_is_built_and_answers_the_same_everywhere(project: Sandbox, tmp_path: Path) -> None:
    example(project, HERE, function())
    before = files_of(project.path("src"))
    project.build()

    assert call_python(project, {"domain": "bücher.example"}) == "xn--bcher-kva.example"
    assert packages(project) == {"idna": "3.20"}
    assert not {"pyproject.toml", "poetry.lock"} & set(project.names("Example"))
    assert files_of(project.path("src")) == before
    assert project.build().steps == []
    other = example(Sandbox(tmp_path / "another place" / "deeper"), HERE, function())
    other.build("--offline")
    assert other.zips() == project.zips()

    project.append("src/app.py", "# edited\n")
    assert "resolve:Example" not in project.build().steps


@pytest.mark.parametrize("lock", LOCKS)
def test_every_format_of_the_lock_gives_what_groups_and_extras_ask_for_on_the_target(
    lock: str, project: Sandbox
) -> None:
    locked(project, lock, function(Architectures="[arm64]"))
    project.write(options(groups=["main", "dev"], extras=["settings", "local"])).build()

    assert packages(project) == {
        "click": "8.1.8", "idna": "3.9", "iniconfig": "2.1.0", "lib": "0.1.0", "python-dotenv": "1.2.1",
        "six": "1.17.0", "tornado": "6.5.10",
    }  # fmt: skip
    assert "lib.py" in project.names("Example")
    (name,) = (name for name in project.names("Example") if name.endswith(".so"))
    assert struct.unpack("<H", project.content("Example", name)[18:20]) == (183,)

    project.write({"lib/lib.py": "VERSION = 'two'\n"})
    assert "resolve:Example" in project.build().steps
    assert b"two" in project.content("Example", "lib.py")

    locked(project, lock, function(runtime="python3.13"))
    project.path("lambdabuild.toml").unlink()
    project.build()
    assert packages(project) == {"idna": "3.20", "tornado": "6.5.10"}


def test_a_group_alone_is_a_layer_of_its_own_and_python_looks_below_python(project: Sandbox) -> None:
    layer = "  Example:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {BuildMethod: python3.12}\n    Properties: {ContentUri: src}\n"
    example(project, HERE, layer).write(options(groups=["dev"])).build()

    assert [package["name"] for package in project.manifest["layers"]["Example"]["packages"]] == ["iniconfig"]
    assert "python/iniconfig/__init__.py" in project.names("Example")


def test_only_what_has_a_hash_of_the_lock_is_taken(project: Sandbox) -> None:
    example(project, HERE, function())
    lock = project.path("src/poetry.lock")
    lock.write_text(lock.read_text().replace("sha256:a", "sha256:b"))
    ran = project.run("build")

    assert ran.code != 0
    assert "LB404" in ran.said
    assert "src/poetry.lock:4:" in ran.said
    assert "poetry lock" in ran.said


MISTAKES = [
    ({"src/pyproject.toml": ("idna (>=3.10,<4.0)", "idna (>=3.9,<4.0)")}, ("LB402", "bring it up to date with: poetry lock")),
    ({"src/poetry.lock": ("[[package]]", "[[package]")}, ("LB402", "src/poetry.lock:3:10", "is not TOML")),
    ({"src/poetry.lock": ('name = "idna"\n', "")}, ("LB402", "poetry.lock cannot be read", "'name'")),
    ({"src/poetry.lock": ('"2.1"', '"3.0"')}, ("LB402", "unknown format 3.0")),
    ({"src/pyproject.toml": ('">=3.9"', '">=3.12"')}, ("LB408", "Python 3.11", "src/pyproject.toml")),
    ({"src/pyproject.toml": ("package-mode = false", "dependencies = 3")}, ("LB402", "tool.poetry.dependencies", "no table")),
]  # fmt: skip


@pytest.mark.parametrize(("edits", "said"), MISTAKES, ids=[said[1] for _, said in MISTAKES])
def test_a_mistake_is_told_with_its_place(
    edits: dict[str, tuple[str, str]], said: tuple[str, ...], project: Sandbox
) -> None:
    example(project, HERE, function())
    for name, (old, new) in edits.items():
        file = project.path(name)
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))
    ran = project.run("build")

    assert ran.code != 0
    assert all(words in ran.said for words in said), ran.said
    assert "Traceback" not in ran.said


def test_a_group_or_an_extra_that_is_not_there_is_told(project: Sandbox) -> None:
    example(project, HERE, function()).write(options(extras=["mroe"]))
    ran = project.run("build")

    assert "LB402" in ran.said
    assert "mroe" in ran.said
    assert "name one of: more" in ran.said


def test_a_private_source_is_asked_with_the_password_of_the_environment(project: Sandbox) -> None:
    wheel = make_wheel(project.path("wheels"), "mod", "1.5")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with PrivateIndex(project.path("wheels")) as index:
        entry = f"files = [{{file = '{wheel.name}', hash = 'sha256:{digest}'}}]\n[package.source]\ntype = 'legacy'\n"
        by_hand(project, f"{entry}url = 'http://{index.host}/simple'\nreference = 'my-own'\n")
        env = {"POETRY_HTTP_BASIC_MY_OWN_USERNAME": index.user, "POETRY_HTTP_BASIC_MY_OWN_PASSWORD": index.password}
        env |= {"UV_NO_CACHE": "1", "XDG_CACHE_HOME": str(project.path("cache"))}
        ran = project.run("build", env=env)

    assert ran.code == 0, ran.said
    assert call_python(project, {}) == "1.5"
    for path in project.path("build").rglob("*"):
        assert not path.is_file() or index.password.encode() not in path.read_bytes(), path


def test_git_addresses_and_files_of_a_lock_need_no_index(project: Sandbox) -> None:
    project.write(
        {"repo/pyproject.toml": "[project]\nname = 'mod'\nversion = '1.5'\n", "repo/mod.py": "VERSION = 'git'\n"}
    )
    git = ["git", "-C", str(project.path("repo")), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    source = f"url = 'file://{project.path('repo')}'\nreference = 'main'\nresolved_reference = '{commit}'\n"
    by_hand(project, f"files = []\n[package.source]\ntype = 'git'\n{source}").build()
    assert call_python(project, {}) == "git"
    (fact,) = project.manifest["functions"]["Example"]["packages"]
    assert fact["built_from"] == commit

    wheel = make_wheel(project.path("wheels"), "mod", "1.5")
    file = f"files = [{{file = '{wheel.name}', hash = 'sha256:{'0' * 64}'}}]\n[package.source]\ntype = 'file'\nurl = '../wheels/{wheel.name}'\n"
    by_hand(project, file)
    assert "LB404" in project.run("build").said
    file = file.replace("hash = 'sha256:" + "0" * 64, "hash = 'md5:0")
    by_hand(project, file).build()
    assert call_python(project, {}) == "1.5"

    other = make_wheel(project.path("wheels"), "mod", "1.5", "cp311-cp311-manylinux_2_17_aarch64")
    ran = by_hand(project, file.replace(wheel.name, other.name)).run("build")
    assert "LB403" in ran.said
    assert "--> src/poetry.lock" in ran.said


def test_without_a_lock_the_constraints_are_resolved(project: Sandbox) -> None:
    nested = "name = 'other'\nversion = '1'\ndescription = ''\nauthors = []\n[tool.poetry.dependencies]\nlib = {path = '../lib'}\n"
    project.write({
        **LIB, "template.yaml": template(function()), "src/app.py": "import lib\nhandler = lambda e, c: lib.VERSION\n",
        "lambdabuild.toml": FORCED,
        "src/pyproject.toml": "[tool.poetry.dependencies]\npython = '^3.9'\nidna = [{version = '~3.9', python = '<3.12'},"
        " {version = '3.10', python = '>=3.12'}]\ncolorama = {version = '*', platform = 'win32'}\nother = {path = '../other'}\n",
        "other/other.py": "", "other/pyproject.toml": f"[tool.poetry]\n{nested}"
        "[build-system]\nrequires = ['poetry-core']\nbuild-backend = 'poetry.core.masonry.api'\n",
    })  # fmt: skip
    project.build()

    assert call_python(project, {}) == "one"
    assert packages(project).keys() == {"idna", "lib", "other", "six"}
    assert packages(project)["idna"] == "3.9"
    (metadata,) = (name for name in project.names("Example") if name.startswith("other-") and "METADATA" in name)
    assert b"\nRequires-Dist: lib\n" in project.content("Example", metadata)
    assert not project.path("src/poetry.lock").exists()


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        ("[tool.poetry.dependencies]\nidna = '3.9 || ^3.10'\n", "src/pyproject.toml:2:"),
        ("[tool.poetry.dependencies]\nidna = '*'\n[dependency-groups]\nmain = ['six']\n", "src/pyproject.toml:1:"),
    ],
    ids=["constraint", "group"],
)  # fmt: skip
def test_without_a_lock_what_only_poetry_can_resolve_is_told(manifest: str, place: str, project: Sandbox) -> None:
    project.write({"template.yaml": template(function()), "lambdabuild.toml": FORCED, "src/app.py": ""})
    ran = project.write({"src/pyproject.toml": manifest}).run("build")

    assert "LB408" in ran.said
    assert "by Poetry only" in ran.said
    assert place in ran.said
    assert "help: make a poetry.lock with: poetry lock" in ran.said


def test_a_pyproject_without_a_poetry_lock_is_built_as_before(project: Sandbox) -> None:
    example(project, HERE, function())
    project.path("src/poetry.lock").unlink()
    for settings in ("", "[functions.Example]\nmanifest = 'src/pyproject.toml'\n"):
        project.write({"lambdabuild.toml": settings}).build()
        assert packages(project).keys() == {"idna"}
    project.write({"lambdabuild.toml": ""})
    assert json.loads(project.run("plan", "--format", "json").out)["builds"][0]["key"]["rule"] == "python_uv"


@pytest.mark.parametrize(
    ("constraint", "plain"),
    [
        ("^1.2.3", ">=1.2.3,<2.0.0"), ("^0.2.3", ">=0.2.3,<0.3.0"), ("^0.0.3", ">=0.0.3,<0.0.4"), ("^0.0", ">=0.0,<0.1"),
        ("~1.2.3", ">=1.2.3,<1.3.0"), ("~1", ">=1,<2"), ("1.*", "==1.*"), ("*", ""), ("1.2", "==1.2"), ("=1.2", "==1.2"),
        ("~=1.2", ">=1.2,<2.0"), (">=1 <2", ">=1,<2"), ("!=1.5", "!=1.5"), (">1,!=1.5", ">1,!=1.5"), ("", ""),
        ("1.0+local", "==1.0+local"), ("^2!1.2", ">=2!1.2,<2!2.0"), ("^1 || ^3", None),
    ],
)  # fmt: skip
def test_constraints_mean_what_they_do_for_poetry(constraint: str, plain: str | None) -> None:
    assert constraints.specifier(constraint) == plain


@pytest.mark.parametrize(
    ("python", "fits"),
    [
        ("^3.9", True), ("<=3.11", True), (">3.11", False), ("3.11", True), ("~3.10", False), (">=3.11.2", True),
        (">=2.7, !=3.0.*", True), ("2.7 || >=3.12", False),
    ],
)  # fmt: skip
def test_a_python_of_two_numbers_is_a_whole_series(python: str, fits: bool) -> None:
    assert constraints.fits_python(python, Platform(11, "x86_64", 26)) is fits


def test_markers_are_held_against_all_extras_at_once() -> None:
    platform = Platform(11, "aarch64", 26)
    marker = 'extra == "cpu" and extra != "gpu" and platform_machine == "aarch64"'

    assert poetry.holds(marker, platform, frozenset({"cpu"}))
    assert not poetry.holds(marker, platform, frozenset({"cpu", "gpu"}))
    assert not poetry.holds(marker, platform)

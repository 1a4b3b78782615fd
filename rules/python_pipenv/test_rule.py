"""python_pipenv: the packages of a Pipfile, as its Pipfile.lock says when there is one.

The lock files here are Pipenv's own.
"""

import hashlib
import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from made_wheels import make_wheel
from private_index import PrivateIndex
from rule_example import call_python, example, function, packages, template
from sandbox import Sandbox

from lambdabuild.python import pipenv

HERE = Path(__file__).parent
LIB = {
    "lib/lib.py": "VERSION = 'one'\n",
    "lib/pyproject.toml": "[project]\nname = 'lib'\nversion = '0.1.0'\ndependencies = ['six']\n"
    "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
    "[tool.setuptools]\npy-modules = ['lib']\n",
}
ANSWER = "def handler(event, context):\n    import mod\n    return mod.VERSION\n"


def groups(*names: str) -> dict[str, str]:
    return {"lambdabuild.toml": f"[functions.Example.options]\ngroups = {list(names)!r}\n"}


def by_hand(project: Sandbox, entry: dict[str, object], url: str = "https://pypi.org/simple") -> Sandbox:
    """A lock that is written by hand, for a package called mod."""
    sources = [{"name": "own", "url": url, "verify_ssl": True}]
    data = {"source": sources, "packages": {"mod": "*"}}
    (digest, *_) = pipenv.pipfile_hashes(data)
    about = {"hash": {"sha256": digest}, "pipfile-spec": 6, "requires": {}, "sources": sources}
    lock = json.dumps({"_meta": about, "default": {"mod": entry}, "develop": {}}, indent=4)
    pipfile = f"[[source]]\nname = 'own'\nurl = '{url}'\nverify_ssl = true\n[packages]\nmod = '*'\n"
    files = {"src/Pipfile": pipfile, "src/Pipfile.lock": lock, "src/app.py": ANSWER}
    return project.write({"template.yaml": template(function()), **files})


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_example_is_built_and_answers_the_same_everywhere(project: Sandbox, tmp_path: Path) -> None:
    example(project, HERE, function())
    before = files_of(project.path("src"))
    project.build()

    assert call_python(project, {"domain": "bücher.example"}) == "xn--bcher-kva.example"
    assert packages(project) == {"idna": "3.20"}
    assert not {"Pipfile", "Pipfile.lock"} & set(project.names("Example"))
    assert files_of(project.path("src")) == before
    assert project.build().steps == []
    other = example(Sandbox(tmp_path / "another place" / "deeper"), HERE, function())
    other.build("--offline")
    assert other.zips() == project.zips()

    project.append("src/app.py", "# edited\n")
    assert "resolve:Example" not in project.build().steps


def test_the_lock_gives_what_the_groups_ask_for_on_the_target(project: Sandbox) -> None:
    project.write({**LIB, "template.yaml": template(function(Architectures="[arm64]")), "src/app.py": "x = 1\n"})
    for name in ("Pipfile", "Pipfile.lock"):
        shutil.copy(HERE / "locks" / name, project.path("src"))
    project.build()

    default = {"click": "8.5.1", "lib": "", "python-dotenv": "1.2.4", "six": "1.17.0", "tornado": "6.5.10"}
    assert packages(project) == default
    (name,) = (name for name in project.names("Example") if name.endswith(".so"))
    assert struct.unpack("<H", project.content("Example", name)[18:20]) == (183,)

    project.write({"lib/lib.py": "VERSION = 'two'\n"})
    assert "resolve:Example" in project.build().steps
    assert b"two" in project.content("Example", "lib.py")

    project.write(groups("develop", "tools")).build()
    assert packages(project) == {"iniconfig": "2.3.1", "six": "1.17.0"}


def test_a_group_alone_is_a_layer_of_its_own_and_python_looks_below_python(project: Sandbox) -> None:
    layer = "  Example:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {BuildMethod: python3.12}\n    Properties: {ContentUri: src}\n"
    example(project, HERE, layer).write(groups("dev-packages")).build()

    assert [package["name"] for package in project.manifest["layers"]["Example"]["packages"]] == ["iniconfig"]
    assert "python/iniconfig/__init__.py" in project.names("Example")


MISTAKES = [
    ({"src/Pipfile": ("~=3.10", "~=3.9")}, ("LB402", "bring it up to date with: pipenv lock")),
    ({"src/Pipfile": ("[packages]", "[packages")}, ("LB402", "src/Pipfile:6:", "is not TOML")),
    ({"src/Pipfile.lock": ('"default": {', '"default": ')}, ("LB402", "src/Pipfile.lock:", "is not JSON")),
    ({"src/Pipfile.lock": ('"_meta": {', '"default": [], "_": {')}, ("LB402", "Pipfile.lock cannot be read")),
    ({"src/Pipfile.lock": ('"sha256:a', '"sha256:b')}, ("LB404", "src/Pipfile.lock:19:", "pipenv lock")),
    ({"src/Pipfile.lock": ('"version": "==3.20"', '"version": "*"')}, ("LB402", "no version of idna")),
    ({"src/app.py": ("", ""), **groups("tset")}, ("LB402", "tset", "name one of: default, develop")),
]  # fmt: skip


@pytest.mark.parametrize(("edits", "said"), MISTAKES, ids=[said[-1] for _, said in MISTAKES])
def test_a_mistake_is_told_with_its_place(
    edits: dict[str, str | tuple[str, str]], said: tuple[str, ...], project: Sandbox
) -> None:
    example(project, HERE, function())
    for name, edit in edits.items():
        before = project.path(name).read_text() if isinstance(edit, tuple) else ""
        project.write({name: before.replace(*edit) if isinstance(edit, tuple) else edit})
    ran = project.run("build")

    assert ran.code != 0
    assert all(words in ran.said for words in said), ran.said
    assert "Traceback" not in ran.said


def test_a_private_source_is_asked_with_the_password_of_the_environment(project: Sandbox) -> None:
    wheel = make_wheel(project.path("wheels"), "mod", "1.5")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with PrivateIndex(project.path("wheels")) as index:
        url = f"http://$INDEX_USER:${{INDEX_TOKEN}}@{index.host}/simple"
        by_hand(project, {"version": "==1.5", "hashes": [f"sha256:{digest}"], "index": "own"}, url)
        env = {"INDEX_USER": index.user, "INDEX_TOKEN": index.password}
        env |= {"UV_NO_CACHE": "1", "XDG_CACHE_HOME": str(project.path("cache"))}
        ran = project.run("build", env=env)
        assert ran.code == 0, ran.said
        assert call_python(project, {}) == "1.5"

        project.path("src/Pipfile.lock").unlink()
        assert project.run("build", env=env).code == 0
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
    by_hand(project, {"git": f"file://{project.path('repo')}", "ref": commit}).build()
    assert call_python(project, {}) == "git"
    (fact,) = project.manifest["functions"]["Example"]["packages"]
    assert fact["built_from"] == commit

    wheel = make_wheel(project.path("wheels"), "mod", "1.5")
    file = {"file": f"../wheels/{wheel.name}", "hashes": [f"sha256:{'0' * 64}"]}
    by_hand(project, file)
    assert "LB404" in project.run("build").said
    by_hand(project, {"file": file["file"]}).build()
    assert call_python(project, {}) == "1.5"


def test_without_a_lock_the_packages_are_resolved_and_a_lock_is_used_once_it_is_there(project: Sandbox) -> None:
    project.write({
        **LIB, "template.yaml": template(function()), "src/app.py": "import lib\nhandler = lambda e, c: lib.VERSION\n",
        "src/Pipfile": "[packages]\nidna = '~=3.9.0'\nlib = {path = '../lib', editable = true}\n"
        "colorama = {version = '*', sys_platform = \"== 'win32'\"}\n"
        "Six = {version = '*', markers = \"python_version < '3.12'\"}\n[requires]\npython_version = '3.12'\n",
    })  # fmt: skip
    ran = project.build()

    assert call_python(project, {}) == "one"
    assert packages(project).keys() == {"idna", "lib", "six"}
    assert packages(project)["idna"] == "3.9"
    assert any("src/Pipfile is for Python 3.12" in note for note in ran.summary["notes"])
    assert not project.path("src/Pipfile.lock").exists()

    project.write({"src/Pipfile": "[packages]\nidna = '==99'\n"})
    ran = project.run("build")
    assert "LB408" in ran.said
    assert "src/Pipfile:" in ran.said

    shutil.copytree(HERE / "example", project.path("src"), dirs_exist_ok=True)
    project.build()
    assert packages(project) == {"idna": "3.20"}


def test_a_name_in_any_spelling_and_a_category_count_in_the_hash_of_a_pipfile() -> None:
    pipfile = {"packages": {"Six": "*"}, "tools": {"idna": "*"}}

    assert len(pipenv.pipfile_hashes(pipfile)) == 4
    assert pipenv.pipfile_hashes(pipfile) & pipenv.pipfile_hashes({"packages": {"six": "*"}})
    assert not pipenv.pipfile_hashes(pipfile) & pipenv.pipfile_hashes({"packages": {"six": "1.*"}})

"""python_pip: the packages of a requirements.txt, for the function's platform whatever builds them."""

import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from made_wheels import make_wheel
from private_index import PrivateIndex
from rule_example import call_python, example, function, packages, template, unzipped
from sandbox import Sandbox

HERE = Path(__file__).parent
ANSWER = "def handler(event, context):\n    import mod\n    return mod.VERSION\n"


def made(project: Sandbox, requirements: str, resource: str = "", app: str = ANSWER) -> Sandbox:
    """A function whose packages are wheels in wheels/ only."""
    head = "--no-index\n--find-links ../wheels\n"
    return project.write(
        {
            "template.yaml": template(resource or function()),
            "src/requirements.txt": head + requirements,
            "src/app.py": app,
        }
    )


def test_the_example_is_built_and_answers(project: Sandbox) -> None:
    example(project, HERE, function()).build()

    assert call_python(project, {"text": "<b>"}) == "&lt;b&gt;"
    assert packages(project) == {"markupsafe": "3.0.3"}
    assert "requirements.txt" not in project.names("Example")


@pytest.mark.parametrize(
    ("runtime", "architecture", "machine", "tag"),
    [("python3.11", "arm64", 183, "cpython-311-aarch64"), ("python3.13", "x86_64", 62, "cpython-313-x86_64")],
)
def test_native_wheels_are_the_targets(
    runtime: str, architecture: str, machine: int, tag: str, project: Sandbox
) -> None:
    example(project, HERE, function(runtime=runtime, Architectures=f"[{architecture}]")).build()
    (name,) = (name for name in project.names("Example") if name.endswith(".so"))

    assert tag in name
    assert struct.unpack("<H", project.content("Example", name)[18:20]) == (machine,)


def test_a_python_of_the_future_needs_no_edit_of_the_rule(project: Sandbox) -> None:
    make_wheel(project.path("wheels"), "mod", tag="py3-none-any")
    made(project, "mod\n", function(runtime="python3.19")).build()

    assert packages(project) == {"mod": "1.0"}


def test_markers_are_the_targets(project: Sandbox) -> None:
    for name in ("mod", "arm", "old", "new", "mac"):
        make_wheel(project.path("wheels"), name)
    made(
        project,
        'mod\narm; platform_machine == "aarch64"\nold; python_version < "3.12"\nnew; python_version >= "3.12"\n'
        'mac; sys_platform == "darwin"\n',
        function(runtime="python3.13", Architectures="[arm64]"),
    ).build()
    assert set(packages(project)) == {"mod", "arm", "new"}

    project.write({"template.yaml": template(function())}).build()
    assert set(packages(project)) == {"mod", "old"}


@pytest.mark.parametrize(
    ("runtime", "glibcs", "chosen"),
    [
        ("python3.11", (17, 24, 26), 26),
        ("python3.11", (17, 28, 34), 17),
        ("python3.11", (26,), 26),
        ("python3.12", (17, 26, 28, 34, 35), 34),
        ("python3.13", (17, 28, 31), 31),
    ],
)
def test_platform_tags_follow_the_glibc_of_the_runtime(
    runtime: str, glibcs: tuple[int, ...], chosen: int, project: Sandbox
) -> None:
    for glibc in glibcs:
        make_wheel(project.path("wheels"), "mod", f"1.{glibc}", f"py3-none-manylinux_2_{glibc}_x86_64")
    made(project, "mod\n", function(runtime=runtime)).build()

    assert packages(project) == {"mod": f"1.{chosen}"}


def test_an_older_version_that_was_taken_for_want_of_a_wheel_is_told(project: Sandbox) -> None:
    make_wheel(project.path("wheels"), "mod", "1.0", "py3-none-manylinux_2_17_x86_64")
    make_wheel(project.path("wheels"), "mod", "2.0", "py3-none-manylinux_2_39_x86_64")
    sdist(project.path("wheels"), "mod", "2.0")
    ran = made(project, "mod\n").build()

    assert packages(project) == {"mod": "1.0"}
    assert any("mod 1.0 instead of 2.0" in note for note in ran.summary["notes"])


def sdist(folder: Path, name: str, version: str, extension: bool = False) -> None:
    """An sdist of one module, or of one that needs a compiler."""
    work = folder.parent / f"sdist-{name}"
    root = work / f"{name}-{version}"
    root.mkdir(parents=True, exist_ok=True)
    more = f"ext_modules=[Extension('{name}', ['{name}.c'])]" if extension else f"py_modules=['{name}']"
    (root / "setup.py").write_text(
        f"from setuptools import setup, Extension\nsetup(name='{name}', version='{version}', {more})\n"
    )
    (root / f"{name}.py").write_text(f"VERSION = {version!r}\n")
    (root / f"{name}.c").write_text("#error\n")
    (root / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-czf", str(folder / f"{name}-{version}.tar.gz"), "-C", str(work), root.name], check=True)


def test_an_sdist_is_built_when_there_are_no_wheels_and_it_is_pure(project: Sandbox) -> None:
    example(project, HERE, function())
    project.write(
        {
            "src/requirements.txt": "docopt==0.6.2\n",
            "src/app.py": "import docopt\nhandler = lambda e, c: docopt.__version__\n",
        }
    )
    project.build()

    assert call_python(project, {}) == "0.6.2"
    assert packages(project) == {"docopt": "0.6.2"}


def test_an_sdist_that_needs_a_compiler_is_refused(project: Sandbox) -> None:
    sdist(project.path("wheels"), "mod", "1.0", extension=True)
    made(project, "mod\n")
    project.write(
        {
            "src/requirements.txt": "--find-links ../wheels\nmod @ file:"
            + str(project.path("wheels/mod-1.0.tar.gz"))
            + "\n"
        }
    )
    ran = project.run("build")

    assert ran.code != 0
    assert "LB403" in ran.said, ran.said
    assert "mod" in ran.said


def test_included_files_and_constraints_count_as_inputs(project: Sandbox) -> None:
    for version in ("1.0", "2.0"):
        make_wheel(project.path("wheels"), "mod", version)
    made(project, "-r ../base.txt\n-c ../limits.txt\n").write({"base.txt": "mod\n", "limits.txt": "mod<2\n"}).build()
    assert call_python(project, {}) == "1.0"

    project.write({"limits.txt": "mod<3\n"})
    assert "resolve:Example" in project.build().steps
    assert call_python(project, {}) == "2.0"
    project.write({"base.txt": "mod==1.0\n"}).build()
    assert call_python(project, {}) == "1.0"


@pytest.mark.parametrize("line", ["./lib", "-e ./lib", "mod @ file:./lib", "-e lib"])
def test_a_local_project_is_built_from_a_copy_and_counts_as_input(line: str, project: Sandbox) -> None:
    example(project, HERE, function())
    project.write({
        "src/requirements.txt": line.replace("lib", "../a lib" if "@" not in line else "../a%20lib").replace("./..", "..") + "\n",
        "src/app.py": ANSWER, "a lib/mod.py": "VERSION = 'one'\n",
        "a lib/pyproject.toml": "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        "[project]\nname = 'mod'\nversion = '1.0'\n[tool.setuptools]\npy-modules = ['mod']\n",
    })  # fmt: skip
    before = sorted(path.name for path in project.path("a lib").iterdir())
    project.build()
    assert call_python(project, {}) == "one"
    assert sorted(path.name for path in project.path("a lib").iterdir()) == before

    project.write({"a lib/mod.py": "VERSION = 'two'\n"})
    assert "resolve:Example" in project.build().steps
    assert call_python(project, {}) == "two"


def test_a_local_project_with_a_setup_py_only_is_built(project: Sandbox) -> None:
    example(project, HERE, function())
    project.write({
        "src/requirements.txt": "../lib\n", "src/app.py": ANSWER, "lib/mod.py": "VERSION = 'one'\n",
        "lib/setup.py": "from setuptools import setup\nsetup(name='mod', version='1.0', py_modules=['mod'])\n",
    })  # fmt: skip
    project.build()

    assert call_python(project, {}) == "one"
    assert sorted(path.name for path in project.path("lib").iterdir()) == ["mod.py", "setup.py"]


def test_the_index_of_pips_variable_is_asked(project: Sandbox) -> None:
    """A private index that is passed over would be an invitation to whoever takes the name on the public one."""
    example(project, HERE, function())
    ran = project.run(
        "build", env={"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1"}
    )

    assert ran.code != 0
    assert "127.0.0.1:9" in ran.said


def test_a_package_called_build_and_a_program_of_a_local_project_arrive(project: Sandbox) -> None:
    example(project, HERE, function())
    project.write({
        "src/requirements.txt": "../lib\n", "src/app.py": "from mod.build import x\nhandler = lambda e, c: x\n",
        "lib/mod/__init__.py": "", "lib/mod/build/__init__.py": "x = 1\n", "lib/mod/tool": "#!/bin/sh\n",
        "lib/build/rubbish/__init__.py": "", "lib/.git/x": "",
        "lib/pyproject.toml": "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        "[project]\nname = 'mod'\nversion = '1.0'\n[tool.setuptools]\npackages = ['mod', 'mod.build']\n"
        "package-data = {mod = ['tool']}\n",
    })  # fmt: skip
    project.path("lib/mod/tool").chmod(0o755)
    project.build()
    assert call_python(project, {}) == 1
    assert os.access(project.path("build/Example/mod/tool"), os.X_OK)

    project.write({"lib/.git/x": "changed", "lib/mod/__pycache__/x.pyc": ""})
    assert project.build().steps == []


def test_a_project_may_depend_on_the_folder_that_it_is_built_in(project: Sandbox) -> None:
    example(project, HERE, function())
    project.write({
        "src/requirements.txt": "..\n", "src/app.py": "import mod\nhandler = lambda e, c: mod.VERSION\n",
        "mod.py": "VERSION = 'root'\n", "pyproject.toml": "[build-system]\nrequires = ['setuptools']\n"
        "build-backend = 'setuptools.build_meta'\n[project]\nname = 'mod'\nversion = '1.0'\n[tool.setuptools]\npy-modules = ['mod']\n",
    })  # fmt: skip
    project.build()

    assert call_python(project, {}) == "root"
    assert project.build().steps == []


def test_pinned_hashes_are_enforced_for_the_wheel_of_the_target(project: Sandbox) -> None:
    x86 = make_wheel(project.path("wheels"), "mod", "1.0", "py3-none-manylinux_2_17_x86_64")
    make_wheel(project.path("wheels"), "mod", "1.0", "py3-none-manylinux_2_17_aarch64", {"mod.py": "VERSION = 'arm'\n"})
    digest = hashlib.sha256(x86.read_bytes()).hexdigest()
    made(project, f"mod==1.0 \\\n    --hash=sha256:{digest}\n").build()
    assert call_python(project, {}) == "1.0"

    project.write({"template.yaml": template(function(Architectures="[arm64]"))})
    ran = project.run("build")
    assert ran.code != 0
    assert "LB404" in ran.said or "LB403" in ran.said, ran.said
    assert "src/requirements.txt:3" in ran.said


def test_functions_with_equal_manifests_resolve_once(project: Sandbox) -> None:
    make_wheel(project.path("wheels"), "mod")
    project.write({
        "template.yaml": template(function("a"), function("b").replace("Example", "Other"), function("c", Architectures="[arm64]").replace("Example", "Arm")),
        **{f"{name}/requirements.txt": "idna==3.10\n" for name in "abc"}, **{f"{name}/app.py": f"{name} = 1\n" for name in "abc"},
    })  # fmt: skip
    assert [step for step in project.build().steps if step.startswith("resolve")] == ["resolve:Arm", "resolve:Example"]

    for name in "abc":
        project.write({f"{name}/requirements.txt": "idna==3.9\n"})
    steps = project.build().steps
    assert [step for step in steps if step.startswith("resolve")] == ["resolve:Arm", "resolve:Example"]
    assert {"copy:Example", "copy:Other", "copy:Arm"} <= set(steps)


def test_functions_with_the_same_packages_have_them_once_on_disk(project: Sandbox) -> None:
    make_wheel(project.path("wheels"), "mod")
    made(project, "mod\n", function() + function("two").replace("Example", "Two"))
    project.write({"two/app.py": "x = 2\n", "two/requirements.txt": project.path("src/requirements.txt").read_text()})
    project.build()
    one, two = (project.path(f"build/{name}/mod.py") for name in ("Example", "Two"))

    assert one.samefile(two)

    with one.open("a") as stream:
        stream.write("edited = 'in place'\n")
    assert project.build().steps == ["tree:Example", "tree:Two"]
    assert "edited" not in one.read_text() + two.read_text()
    assert one.samefile(two)


def test_an_edited_handler_resolves_nothing_and_a_comment_in_the_requirements_sends_nothing(project: Sandbox) -> None:
    example(project, HERE, function()).build()
    project.append("src/app.py", "# edited\n")
    assert "resolve:Example" not in project.build().steps

    project.append("src/requirements.txt", "# edited\n")
    assert project.build().steps == ["resolve:Example"]


def test_wheels_that_are_in_the_store_build_without_a_network(project: Sandbox) -> None:
    example(project, HERE, function())
    project.build()
    before = project.zips()
    subprocess.run(["rm", "-rf", str(project.path("build"))], check=True)
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_CACHE_DIR": str(project.path("uv-cache"))}
    project.build("--offline", env=nowhere)
    assert project.zips() == before

    project.write({"src/requirements.txt": "markupsafe\n"})
    project.build("--offline", env=nowhere)
    assert "markupsafe" in packages(project)


def test_pip_resolves_when_it_is_asked_to(project: Sandbox) -> None:
    example(project, HERE, function(runtime="python3.13", Architectures="[arm64]"))
    project.write({
        "src/requirements.txt": 'markupsafe==3.0.3\nsix==1.17.0; python_version < "3.12"\nidna==3.10; platform_machine == "aarch64"\n',
        "lambdabuild.toml": "[functions.Example]\nresolver = 'pip'\n",
    })  # fmt: skip
    ran = project.run("why", "Example")
    assert ran.code == 0
    project.build()
    assert packages(project) == {"idna": "3.10", "markupsafe": "3.0.3"}
    with_pip = project.zips()

    project.path("lambdabuild.toml").unlink()
    assert "resolve:Example" in project.build().steps
    assert project.zips() == with_pip


def test_pip_has_local_projects_hashes_and_the_store_as_uv_has(project: Sandbox) -> None:
    wheel = make_wheel(project.path("wheels"), "mod")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    made(project, f"mod==1.0 --hash=sha256:{digest}\n").write({"lambdabuild.toml": "resolver = 'pip'\n"}).build()
    assert call_python(project, {}) == "1.0"
    made(project, f"mod==1.0 --hash=sha256:{'0' * 64}\n")
    ran = project.run("build")
    assert ran.code != 0
    assert "LB404" in ran.said, ran.said

    project.write({
        "src/requirements.txt": "../lib\n", "src/app.py": "import own\nhandler = lambda e, c: own.VERSION\n",
        "lib/own.py": "VERSION = 'own'\n", "lib/setup.py": "from setuptools import setup\nsetup(name='own', py_modules=['own'])\n",
    })  # fmt: skip
    project.build()
    assert call_python(project, {}) == "own"
    assert sorted(path.name for path in project.path("lib").iterdir()) == ["own.py", "setup.py"]

    project.write(
        {"src/requirements.txt": "markupsafe==3.0.3\n", "src/app.py": "import markupsafe\nhandler = lambda e, c: 1\n"}
    )
    project.build()
    subprocess.run(["rm", "-rf", str(project.path("build"))], check=True)
    project.build("--offline", env={"PIP_INDEX_URL": "http://127.0.0.1:9/simple"})
    assert call_python(project, {}) == 1


def test_files_of_a_wheels_data_folder_lie_where_python_finds_them(project: Sandbox) -> None:
    make_wheel(
        project.path("wheels"), "My_Mod", "1.0",
        files={"My_Mod-1.0.data/purelib/mod.py": "VERSION = 'pure'\n", "My_Mod-1.0.data/platlib/other.py": "",
               "My_Mod-1.0.data/scripts/run": "#!python\n", "My_Mod-1.0.data/data/share/x": "x"},
    )  # fmt: skip
    made(project, "my-mod\n").build()

    assert call_python(project, {}) == "pure"
    assert [name for name in project.names("Example") if "dist-info" not in name] == [
        "app.py",
        "mod.py",
        "other.py",
        "share/x",
    ]


def test_programs_inside_wheels_may_still_be_run(project: Sandbox) -> None:
    make_wheel(project.path("wheels"), "mod", files={"mod.py": "", "bin/tool": "#!/bin/sh\n"}, executable=("bin/tool",))
    made(project, "mod\n").build()

    assert os.access(project.path("build/Example/bin/tool"), os.X_OK)
    assert not os.access(project.path("build/Example/mod.py"), os.X_OK)


def test_what_two_packages_both_bring_is_reported_and_the_source_wins(project: Sandbox) -> None:
    make_wheel(project.path("wheels"), "mod")
    ran = made(project, "mod\n").write({"src/mod.py": "VERSION = 'mine'\n"}).build()

    assert call_python(project, {}) == "mine"
    assert any("mod.py comes from" in note for note in ran.summary["notes"])


def test_dependencies_can_be_slimmed(project: Sandbox) -> None:
    make_wheel(project.path("wheels"), "mod", files={"mod.py": "VERSION = 1\n", "tests/test_mod.py": "", "mod.pyi": ""})
    made(project, "mod\n").write({"lambdabuild.toml": "exclude_dependencies = ['tests/', '*.pyi']\n"}).build()

    assert "mod.pyi" not in project.names("Example")
    assert "tests/test_mod.py" not in project.names("Example")
    assert "mod.pyi" in project.manifest["functions"]["Example"]["left_out"]


def test_a_layer_has_its_packages_below_python_and_shares_the_resolution(project: Sandbox) -> None:
    layer = "  Shared:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {BuildMethod: python3.11}\n    Properties: {ContentUri: layer}\n"
    project.write({
        "template.yaml": template(function(), layer), "src/app.py": "", "layer/mine.py": "",
        "src/requirements.txt": "idna==3.10\n", "layer/requirements.txt": "idna==3.10\n",
    })  # fmt: skip
    steps = project.build().steps

    assert [step for step in steps if step.startswith("resolve")] == ["resolve:Example"]
    assert {"python/mine.py", "python/idna/__init__.py"} <= set(project.names("Shared"))


def test_bytecode_is_made_for_the_target_on_request_and_is_the_same_everywhere(
    project: Sandbox, tmp_path: Path
) -> None:
    make_wheel(project.path("wheels"), "mod")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    made(project, "mod\n", function(runtime=f"python{version}"))
    project.write(
        {"src/broken.py": "print 'two'\n", "src/.lambdabuildignore": "secret.py\n", "src/secret.py": "x = 1\n"}
    )
    ran = project.build("bytecode=true")
    caches = [name for name in project.names("Example") if name.endswith(".pyc")]
    tag = f"cpython-{sys.version_info[0]}{sys.version_info[1]}"
    assert caches == [f"__pycache__/app.{tag}.pyc", f"__pycache__/mod.{tag}.pyc"]
    assert any("no bytecode for broken.py" in note for note in ran.summary["notes"])
    pyc = project.content("Example", caches[1])
    assert pyc[4:8] == b"\x01\x00\x00\x00"  # unchecked hash, PEP 552
    assert b"/var/task/mod.py" in pyc

    loaded = subprocess.run([sys.executable, "-I", "-v", "-c", f"import sys; sys.path.insert(0, {str(unzipped(project))!r}); import mod"],
                            capture_output=True, text=True, check=True)  # fmt: skip
    assert "matches" in loaded.stderr
    other = Sandbox(tmp_path / "another place")
    subprocess.run(["cp", "-r", *map(str, project.folder.glob("[!bu]*")), str(other.folder)], check=True)
    other.build("bytecode=true")
    assert other.zips() == project.zips()


def test_a_url_names_a_wheel(project: Sandbox) -> None:
    wheel = make_wheel(project.path("wheels"), "mod")
    example(project, HERE, function())
    project.write({"src/requirements.txt": f"mod @ file://{wheel}\n", "src/app.py": ANSWER}).build()

    assert call_python(project, {}) == "1.0"


def test_a_package_from_git_is_built_and_pinned_by_its_commit(project: Sandbox) -> None:
    example(project, HERE, function())
    project.write(
        {"repo/pyproject.toml": "[project]\nname = 'mod'\nversion = '1.0'\n", "repo/mod.py": "VERSION = 'git'\n"}
    )
    git = ["git", "-C", str(project.path("repo")), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    project.write({"src/requirements.txt": f"mod @ git+file://{project.path('repo')}\n", "src/app.py": ANSWER}).build()

    assert call_python(project, {}) == "git"
    (fact,) = project.manifest["functions"]["Example"]["packages"]
    assert len(fact["built_from"]) == 40


def test_without_a_manifest_the_source_is_all(project: Sandbox) -> None:
    project.write({"template.yaml": template(function()), "src/app.py": "x = 1\n"})

    assert "resolve:Example" not in project.build().steps
    assert project.names("Example") == ["app.py"]


def test_the_manifest_is_found_in_the_code_folder_at_the_root_or_beside_the_template(project: Sandbox) -> None:
    for version in ("1.0", "2.0", "3.0", "4.0"):
        make_wheel(project.path("wheels"), "mod", version)
    lines = "--no-index\n--find-links %s/wheels\nmod==%s\n"
    project.write(
        {"template.yaml": template(function()), "src/app.py": ANSWER, "requirements.txt": lines % (".", "1.0")}
    )
    project.build()
    assert packages(project) == {"mod": "1.0"}

    # The root is also where relative code folders start.
    project.write({"shared/requirements.txt": lines % ("..", "2.0"), "shared/src/app.py": ANSWER})
    project.build("code_root=shared")
    assert packages(project) == {"mod": "2.0"}
    project.write({"src/requirements.txt": lines % ("..", "3.0")}).build()
    assert packages(project) == {"mod": "3.0"}
    project.write(
        {
            "requirements-four.txt": lines % (".", "4.0"),
            "lambdabuild.toml": "[functions.Example]\nmanifest = 'requirements-four.txt'\n",
        }
    )
    project.build()
    assert packages(project) == {"mod": "4.0"}
    assert (
        json.loads(project.run("plan", "--format", "json").out)["resolutions"][0]["manifest"] == "requirements-four.txt"
    )


WAYS = ["in the file", "by a variable in the file", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "netrc"]


@pytest.mark.parametrize(
    ("way", "resolver"),
    [(way, resolver) for way in WAYS for resolver in ("uv", "pip") if (way, resolver) != ("UV_DEFAULT_INDEX", "pip")],
)
def test_a_private_index_is_used_and_its_password_never_told(way: str, resolver: str, project: Sandbox) -> None:
    make_wheel(project.path("wheels"), "mod", "1.5")
    with PrivateIndex(project.path("wheels")) as index:
        bare = f"http://{index.host}/simple"
        lines = {"in the file": f"--index-url {index.url()}\n", "netrc": f"--index-url {bare}\n",
                 "by a variable in the file": f"--index-url http://${{INDEX_USER}}:${{INDEX_TOKEN}}@{index.host}/simple\n"}  # fmt: skip
        env = {
            "UV_NO_CACHE": "1",
            "PIP_FIND_LINKS": "",
            "PIP_NO_CACHE_DIR": "1",
            "XDG_CACHE_HOME": str(project.path("cache")),
        }
        env |= {"INDEX_USER": index.user, "INDEX_TOKEN": index.password} if "variable" in way else {}
        env |= {way: index.url()} if way.isupper() else {}
        if way == "netrc":
            project.write({"netrc": f"machine 127.0.0.1 login {index.user} password {index.password}\n"})
            env["NETRC"] = str(project.path("netrc"))
        project.write({"template.yaml": template(function()), "src/app.py": ANSWER,
                       "src/requirements.txt": lines.get(way, "") + "mod\n"})  # fmt: skip
        ran = project.run("build", f"resolver={resolver}", env=env)
        assert ran.code == 0, ran.said
        assert call_python(project, {}) == "1.5"
        assert any(path.startswith("/files/") for path in index.asked)
        project.write({"src/requirements.txt": lines.get(way, "") + "mod==9\n"})
        ran = project.run("build", f"resolver={resolver}", env=env)

    assert ran.code != 0
    assert index.password not in ran.said
    for path in project.path("build").rglob("*"):
        if path.is_file():
            assert index.password.encode() not in path.read_bytes(), path


def test_the_source_goes_below_its_parent_packages_and_bytecode_with_it(project: Sandbox) -> None:
    modes = {
        "Explicit": ("shop.orders.app.handler", "src", "{ParentPackageMode: explicit, ParentPackages: shop.orders}"),
        "Auto": ("shop.api.main.handler", "shop/api", "{ParentPackageMode: auto}"),
        "Has": ("shop.api.main.handler", ".", "{ParentPackageMode: auto}"),
    }
    resources = (
        f"  {name}:\n    Type: AWS::Serverless::Function\n    Metadata: {{BuildProperties: {properties}}}\n"
        f"    Properties: {{Runtime: python3.11, Handler: {handler}, CodeUri: {code}}}\n"
        for name, (handler, code, properties) in modes.items()
    )
    project.write({
        "template.yaml": template(*resources), "lambdabuild.toml": "bytecode = true\n",
        "src/app.py": "def handler(event, context):\n    return __name__\n", "src/requirements.txt": "idna==3.10\n",
        "shop/api/main.py": "handler = print\n",
    })  # fmt: skip
    ran = project.build()
    assert {"shop/orders/app.py", "shop/orders/__pycache__/app.cpython-311.pyc", "idna/core.py"} <= set(
        project.names("Explicit")
    )
    assert "app.py" not in project.names("Explicit")
    assert call_python(project, {}, name="Explicit", handler="shop.orders.app.handler") == "shop.orders.app"
    assert project.names("Auto") == ["shop/api/__pycache__/main.cpython-311.pyc", "shop/api/main.py"]
    assert {"shop/api/main.py", "src/app.py"} <= set(project.names("Has"))
    assert any("not put below shop/" in note for note in ran.summary["notes"])

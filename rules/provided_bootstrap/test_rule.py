"""provided_bootstrap: a custom runtime that is there already."""

import json
import stat
import zipfile
from pathlib import Path

import invoke
from rule_example import example, function, template
from sandbox import Sandbox

HERE = Path(__file__).parent
SCRIPT = function(runtime="provided.al2023", handler="greeting.hello")


def test_the_example_answers_also_when_its_bootstrap_is_not_executable(project: Sandbox, tmp_path: Path) -> None:
    example(project, HERE, SCRIPT)
    project.path("src/bootstrap").chmod(0o644)
    ran = project.build()

    assert project.names("Example") == ["bootstrap", "greeting.sh"]
    with zipfile.ZipFile(project.path("build/Example.zip")) as archive:
        assert stat.S_IMODE(archive.getinfo("bootstrap").external_attr >> 16) == 0o755
    assert ran.summary["notes"] == ["Example: bootstrap is made executable"]
    task = project.unzip("Example", tmp_path / "task")
    assert invoke.bootstrap(task, {"name": "Ada"}, handler="greeting.hello") == {"heard": {"name": "Ada"}}
    assert not project.path("src/bootstrap").stat().st_mode & stat.S_IXUSR
    assert project.build().steps == []

    other = example(Sandbox(tmp_path / "some where" / "else"), HERE, SCRIPT)
    other.build()
    assert other.zips() == project.zips()


def test_what_lambda_cannot_start_is_an_error(project: Sandbox) -> None:
    project.write({"template.yaml": template(SCRIPT)})
    for content, message in {
        b"echo 1\n": "its bootstrap is neither a program for Linux nor a script",
        b"#!/bin/sh\r\necho 1\r\n": "has Windows line ends, so Linux would look for an interpreter called '/bin/sh\\r'",
        b"MZ\x90\x00": "its bootstrap is a program for Windows",
    }.items():
        ran = project.write({"src/bootstrap": content}).run("build")
        assert f"LB405]: function 'Example': {message}" in ran.err.replace("its bootstrap has", "has")
        assert "--> src/bootstrap:1:1" in ran.err

    ran = project.write({"src/bootstrap": elf(machine=183)}).run("build")
    assert "LB407]: function 'Example' is for x86_64, but has native files for another machine: bootstrap" in ran.err


def elf(machine: int) -> bytes:
    """The head of a program for Linux. Source: https://man7.org/linux/man-pages/man5/elf.5.html"""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + machine.to_bytes(2, "little") + bytes(44)


def test_without_a_bootstrap_a_layer_must_have_it_but_source_must_be_built(project: Sandbox) -> None:
    project.write({
        "template.yaml": template(SCRIPT), "src/greeting.sh": "hello() { echo 1; }\n", "bootstrap": "#!/bin/sh\n",
    })  # fmt: skip
    ran = project.build()
    assert project.names("Example") == ["greeting.sh"]
    assert ran.summary["notes"] == ["Example: no bootstrap in its code folder; one of its layers must have it"]

    ran = project.write({"src/cmd/main.go": "package main\n"}).run("build")
    assert "LB405]: function 'Example' has no bootstrap, and cmd/main.go must be built" in ran.err
    assert "help: add go.mod to its code folder" in ran.err


def test_what_builds_a_bootstrap_goes_before_one_that_is_there(project: Sandbox) -> None:
    others = {
        "Makefile": "custom_make",
        "go.mod": "go_modules",
        "Cargo.lock": "rust_cargo",
        "greeting.sh": "provided_bootstrap",
    }
    functions = [
        function(name, "provided.al2023").replace("Example", rule.replace("_", "")) for name, rule in others.items()
    ]
    project.write({"template.yaml": template(*functions)})
    for name in others:
        project.write({f"{name}/bootstrap": "#!/bin/sh\n", f"{name}/{name}": "", f"{name}/Cargo.toml": ""})
    for name in ("Makefile", "go.mod", "greeting.sh"):
        project.path(f"{name}/Cargo.toml").unlink()
    plan = json.loads(project.run("plan", "--format", "json").out)

    assert {build["key"]["source"]: build["key"]["rule"] for build in plan["builds"]} == others

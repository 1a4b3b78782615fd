"""A crate that is ours is never a stranger's: of a path, of git, of a named registry, or in the place of another."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from rule_example import function, template
from sandbox import Sandbox
from strangers_crates import CrateRegistry

PACKAGE = '[package]\nname = "%s"\nversion = "1.0.0"\nedition = "2021"\n'
OURS = 'pub fn says() -> &\'static str { "ours" }\n'
WANTS = """[dependencies]
local = { path = "../libs/local", version = "1" }
fromgit = { git = "file://GIT" }
named = { version = "*", registry = "ours" }
patched = "1"
strange = "1"
[patch.crates-io]
patched = { path = "../libs/patched" }
"""
CRATES = ("local", "fromgit", "named", "patched", "strange")
MAIN = f'fn main() {{ println!("{{}}", [{", ".join(f"{name}::says()" for name in CRATES)}].join(" ")); }}\n'


def repository(folder: Path) -> Path:
    Sandbox(folder).write({"Cargo.toml": PACKAGE % "fromgit", "src/lib.rs": OURS})
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    return folder


def settings(public: CrateRegistry, private: CrateRegistry) -> str:
    """crates.io is a registry of strangers, and there is one of ours beside it."""
    return (
        f'[source.crates-io]\nreplace-with = "strangers"\n[source.strangers]\nregistry = "sparse+{public.url}"\n'
        f'[registries.ours]\nindex = "sparse+{private.url}"\n'
    )


def says(folder: Path) -> str:
    """What the function prints, which was built below a folder."""
    with zipfile.ZipFile(folder / "built/Example.zip") as archive:
        program = Path(archive.extract("bootstrap", folder / "task"))
    program.chmod(0o755)
    return subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_a_crate_that_is_ours_is_not_taken_of_strangers(project: Sandbox, tmp_path: Path) -> None:
    """Without a lock file, and built in a place with none of cargo's settings above it: those above the code count."""
    wants = WANTS.replace("GIT", str(repository(tmp_path / "repository")))
    app, manifest = Sandbox(project.path("app")), PACKAGE % "shop" + wants
    environment = {"CARGO_HOME": str(tmp_path / "cargo")}
    with (
        CrateRegistry("stranger", ("1.0.0", "99.0.0")) as public,
        CrateRegistry("ours", ("1.2.0",), ("named",)) as private,
    ):
        project.write({
            ".git/HEAD": "", ".cargo/config.toml": settings(public, private),
            "app/lambdabuild.toml": f'build_dir = "{tmp_path}/built"\n',
            "app/template.yaml": template(function(runtime="provided.al2023", handler="bootstrap")),
            "app/src/Cargo.toml": manifest, "app/src/src/main.rs": MAIN,
            **{f"app/libs/{name}/{file}": text for name in ("local", "patched")
               for file, text in (("Cargo.toml", PACKAGE % name), ("src/lib.rs", OURS))},
        })  # fmt: skip
        app.build(env=environment)
        assert says(tmp_path) == "ours ours ours ours stranger"
        assert set(public.asked) <= {"patched", "strange"}
        assert app.build(env=environment).steps == []

        app.append("libs/patched/src/lib.rs", "// edited\n")
        assert "libs/patched" in app.run("why", "Example", env=environment).out
        project.append(".cargo/config.toml", "# edited\n")
        assert "../.cargo/config.toml" in app.run("why", "Example", env=environment).out

        for right, wrong in (
            ("../libs/local", "../libs/gone"), (f"file://{tmp_path}/repository", f"file://{tmp_path}/gone"),
            ('named = { version = "*"', 'gone = { version = "*"'),
        ):  # fmt: skip
            ran = app.write({"src/Cargo.toml": manifest.replace(right, wrong)}).run("build", env=environment)
            assert ran.code != 0
            assert "gone" in ran.said, ran.said
            assert re.search(r"LB40\d", ran.said), ran.said
        assert "gone" not in public.asked

"""rust_cargo: one binary for Lambda's Linux."""

import re
import struct
import subprocess
from pathlib import Path

import invoke
from rule_example import example, function, template
from sandbox import Sandbox

HERE = Path(__file__).parent
ARM64 = 183
"""e_machine of the ELF header."""
PACKAGE = '[package]\nname = "%s"\nversion = "1.0.0"\nedition = "2021"\n'
LOCK = 'version = 3\n\n[[package]]\nname = "shop"\nversion = "1.0.0"\n'


def rust(runtime: str = "provided.al2023", **more: str) -> str:
    return function(runtime=runtime, handler="bootstrap", **more)


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of every file, which a build leaves alone."""
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_example_is_one_binary_and_answers(project: Sandbox, tmp_path: Path) -> None:
    example(project, HERE, rust())
    before = state(project.path("src"))
    project.build()

    assert project.names("Example") == ["bootstrap"]
    assert invoke.bootstrap(project.unzip("Example", tmp_path / "task"), {"name": "Ada"}) == "Hello Ada"
    assert state(project.path("src")) == before
    assert project.build().steps == []

    project.append("src/src/main.rs", "// edited\n")
    assert "compile:Example" in project.build().steps


def test_it_is_built_for_the_processor_and_the_c_library_of_the_runtime(project: Sandbox) -> None:
    example(project, HERE, rust(runtime="provided.al2", Architectures="[arm64]")).build()
    binary = project.content("Example", "bootstrap")

    assert struct.unpack_from("<H", binary, 18)[0] == ARM64
    wanted = [tuple(map(int, version.split(b"."))) for version in re.findall(rb"GLIBC_(\d+\.\d+)", binary)]
    assert (2, 17) <= max(wanted) <= (2, 26)


def with_library(project: Sandbox) -> Sandbox:
    """A function that uses a crate beside it, outside of its workspace, and a function that panics there."""
    return project.write({
        "template.yaml": template(rust(source="functions/shop")),
        "functions/shop/Cargo.toml": PACKAGE % "shop" + '[dependencies]\nwords = {path = "../../libs/words"}\n',
        "functions/shop/Cargo.lock": LOCK + 'dependencies = ["words"]\n\n[[package]]\nname = "words"\nversion = "1.0.0"\n',
        "functions/shop/src/main.rs": 'fn main() { println!("{}", words::hello(std::env::args().count())); }\n',
        "libs/words/Cargo.toml": PACKAGE % "words",
        "libs/words/src/lib.rs": 'pub fn hello(n: usize) -> &\'static str { ["Servus", include_str!("../hello.txt")][n] }\n',
        "libs/words/hello.txt": "Hello",
    })  # fmt: skip


def test_crates_outside_the_code_folder_count_as_input_and_paths_do_not(project: Sandbox, tmp_path: Path) -> None:
    with_library(project)
    before = state(project.folder)
    project.build()
    assert said(project, tmp_path) == "Hello\n"
    assert before.items() <= state(project.folder).items()
    binary = project.content("Example", "bootstrap")
    assert str(tmp_path).encode() not in binary
    assert b"/source/libs/words/src/lib.rs" in binary

    other = with_library(Sandbox(tmp_path / "some where" / "else"))
    other.build()
    assert other.zips() == project.zips()

    assert project.write({"libs/words/README": ""}).build().steps == []
    assert "compile:Example" in project.write({"libs/words/hello.txt": "Hi"}).build().steps
    assert said(project, tmp_path) == "Hi\n"


def test_a_member_of_a_workspace_is_built_with_what_it_uses_of_it(project: Sandbox, tmp_path: Path) -> None:
    manifest = '[package]\nname = "%s"\nversion.workspace = true\nedition = "2021"\n'
    uses = '[dependencies]\nwords = {path = "../words"}\n'
    lock = "".join(
        f'[[package]]\nname = "{name}"\nversion = "1.0.0"\n{more}\n'
        for name, more in (("shop", 'dependencies = ["words"]'), ("tools", ""), ("words", ""))
    )
    project.write({
        "template.yaml": template(rust(source="crates/shop")),
        "Cargo.toml": '[workspace]\nmembers = ["crates/*"]\nresolver = "2"\n\n[workspace.package]\nversion = "1.0.0"\n',
        "Cargo.lock": f"version = 3\n\n{lock}",
        "crates/shop/Cargo.toml": manifest % "shop" + uses,
        "crates/shop/src/main.rs": 'fn main() { println!("{}", words::hello()); }\n',
        "crates/tools/Cargo.toml": manifest % "tools", "crates/tools/src/main.rs": "fn main() {}\n",
        "crates/words/Cargo.toml": manifest % "words",
        "crates/words/src/lib.rs": 'pub fn hello() -> &\'static str { "Hello" }\n',
    })  # fmt: skip
    before = state(project.folder)
    project.build()
    assert said(project, tmp_path) == "Hello\n"
    assert before.items() <= state(project.folder).items()

    assert project.write({"crates/tools/src/main.rs": "fn main() { }\n"}).build().steps == []
    ran = project.write({"crates/words/src/lib.rs": 'pub fn hello() -> &\'static str { "Hi" }\n'}).build()
    assert "compile:Example" in ran.steps
    assert said(project, tmp_path) == "Hi\n"


def said(project: Sandbox, tmp_path: Path, name: str = "bootstrap") -> str:
    code = project.unzip("Example", tmp_path / "task")
    return subprocess.run([str(code / name)], capture_output=True, text=True, check=True).stdout


def test_a_layer_has_the_binary_asked_for_in_bin_and_no_lock_file_is_left(project: Sandbox, tmp_path: Path) -> None:
    properties = "{Binary: two, Mode: debug, CargoLambdaFlags: [--features, loud]}"
    layer = (
        f"  Example:\n    Type: AWS::Serverless::LayerVersion\n"
        f"    Metadata: {{BuildMethod: rust-cargolambda, BuildProperties: {properties}}}\n"
        "    Properties: {ContentUri: src}\n"
    )
    project.write({
        "template.yaml": template(layer), "src/Cargo.toml": PACKAGE % "shop" + "[features]\nloud = []\n",
        "src/src/bin/one.rs": "fn main() {}\n",
        "src/src/bin/two.rs": 'fn main() { println!("{} {}", cfg!(feature = "loud"), cfg!(debug_assertions)); }\n',
    })  # fmt: skip
    ran = project.build()

    assert project.names("Example") == ["bin/two"]
    assert said(project, tmp_path, "bin/two") == "true true\n"
    assert not project.path("src/Cargo.lock").exists()
    assert any("without a Cargo.lock the newest crates are taken" in note for note in ran.summary["notes"])
    assert project.build().steps == []

    project.write({"template.yaml": template(layer.replace("two", "three"))})
    ran = project.run("build")
    assert "LB402]: layer 'Example': its Cargo.toml has no binary 'three'" in ran.err
    assert "help: set the option binary to one of: one, two" in ran.err


def test_mistakes_are_told_in_rusts_words(project: Sandbox) -> None:
    project.write({
        "template.yaml": template(rust()), "src/Cargo.toml": PACKAGE % "shop", "src/Cargo.lock": LOCK,
        "src/src/main.rs": "fn main() {\n    let count: u8 = true;\n}\n",
    })  # fmt: skip
    ran = project.run("build")
    assert "LB405]: function 'Example': the source does not compile" in ran.err
    assert "--> src/src/main.rs:2:21" in ran.err
    assert "expected `u8`, found `bool`" in ran.err

    project.append("src/Cargo.toml", '[dependencies]\ntinyjson = "2.5.1"\n')
    ran = project.run("build")
    assert "LB402]: function 'Example': Cargo.lock does not fit Cargo.toml" in ran.err
    assert project.path("src/Cargo.lock").read_text() == LOCK

    project.append("src/Cargo.toml", "tinyjson = \n")
    ran = project.run("build")
    assert "LB402]: function 'Example': cargo cannot read Cargo.toml" in ran.err
    assert "--> src/Cargo.toml:7:" in ran.err


def test_offline_only_what_is_in_cargos_cache_is_used(project: Sandbox) -> None:
    example(project, HERE, rust())
    ran = project.run("build", "offline=true", env={"CARGO_HOME": str(project.path("empty"))})
    assert "LB603]: function 'Example': cargo's cache has not all crates, and the run is offline" in ran.err

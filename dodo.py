"""The composition root: builds sample-app by default, and holds the repository's own chores.

``python3 dodo.py`` sets everything up in ``.venv`` and then is ``doit``; so one command builds the sample app and
``python3 dodo.py test`` passes the tests, on a bare machine with nothing but Python. Inside the virtual environment
plain ``doit``, ``doit test``, ``doit list`` do the same.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "lambdabuild-set-up"
INSTALLED_FROM = ("pyproject.toml", "lambdabuild/cache/remote_execution.proto")
"""What an installation is made of that does not follow an edit by itself."""

# What the sample app needs beside Python packages, and what all its languages and the tests need: program -> Debian
# packages. Without the second the sample app is built as far as it goes.
TOOLS = {"node": "nodejs", "npm": "npm"}
TEST_TOOLS = {
    **TOOLS, "make": "make", "git": "git", "gcc": "gcc libc6-dev", "mount": "mount", "zip": "zip", "unzip": "unzip",
    "curl": "curl", "go": "golang-go", "cargo": "cargo-web rustc-web libstd-rust-web-dev", "ruby": "ruby",
    "bundle": "ruby-bundler", "javac": "default-jdk-headless", "mvn": "maven", "gradle": "gradle",
    "dockerd": "docker.io", "docker-registry": "docker-registry", "llvm-strip": "llvm", "nginx": "nginx-light",
    "openssl": "openssl", "bwrap": "bubblewrap",
}  # fmt: skip
BENCH_TOOLS = {"git": "git", "strace": "strace", "zip": "zip"}
ARM_RUST = "aarch64-unknown-linux-gnu"
NPM = 10  # the first that can install for another processor; Debian 12 has 9


def set_up(arguments: list[str]) -> int:
    """Make .venv with everything in it, install what is missing from Debian, and become doit."""
    for_tests = "test" in arguments
    wanted = ".[dev]" if for_tests else ".[docs]" if "docs" in arguments else "."
    installed_from = "".join((ROOT / name).read_text() for name in INSTALLED_FROM)
    state = f"{wanted}\n{installed_from}"
    # An installation with more in it serves as well.
    enough = (state, *(f"{extra}\n{installed_from}" for extra in (".[docs]", ".[dev]") if wanted != ".[dev]"))
    if not STAMP.exists() or STAMP.read_text() not in enough:
        make_venv()
        run([str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--editable", wanted])
        # Nobody else may: where PYTHONDONTWRITEBYTECODE is set, every start would compile anew.
        run([str(VENV / "bin/python"), "-m", "compileall", "-q", str(ROOT / "lambdabuild")])
        STAMP.write_text(state)
    provide(TEST_TOOLS if for_tests else TOOLS | BENCH_TOOLS if "bench" in arguments else TOOLS)
    if for_tests:
        provide_npm()
        provide_ruby_headers()
        provide_rust_for_arm()
        provide_postgres()
        provide_base_image()
    os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
    os.chdir(ROOT)
    doit = str(VENV / "bin/doit")
    return subprocess.run([doit, *arguments], check=False).returncode


def make_venv() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  # this file is what an older Python is told by
        sys.exit("lambdabuild needs Python 3.11 or newer; this is " + sys.version.split()[0])
    if (VENV / "bin/python").exists() and run_quietly([str(VENV / "bin/python"), "-m", "pip", "--version"]):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if not run_quietly([sys.executable, "-m", "venv", str(VENV)]):
        # Debian's Python comes without ensurepip.
        install(["python3-venv"], "Python's venv module")
        shutil.rmtree(VENV, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(VENV)])


def provide(tools: dict[str, str]) -> None:
    """Install the programs that are missing, or name them when we may not."""
    missing = [program for program in tools if shutil.which(program) is None]
    if missing:
        install(sorted({package for program in missing for package in tools[program].split()}), ", ".join(missing))


def provide_npm() -> None:
    """A newer npm than Debian's, beside it."""
    if int(said("npm", "--version").partition(".")[0] or 0) >= NPM:
        return
    if os.geteuid() != 0:
        sys.exit(f"missing: npm {NPM} or newer. Install it and run this again: npm install --global npm@{NPM}")
    run(["npm", "install", "--global", "--silent", f"npm@{NPM}"])


def provide_ruby_headers() -> None:
    """What gems with native parts are compiled with."""
    if not Path(said("ruby", "-e", 'print RbConfig::CONFIG["rubyhdrdir"]')).is_dir():
        install(["ruby-dev"], "Ruby's headers")


def provide_rust_for_arm() -> None:
    """Rust's standard library for the other processor."""
    if Path(said("rustc", "--print", "target-libdir", "--target", ARM_RUST)).is_dir():
        return
    if shutil.which("rustup"):
        run(["rustup", "target", "add", ARM_RUST])
        return
    if os.geteuid() == 0 and shutil.which("dpkg"):
        run(["dpkg", "--add-architecture", "arm64"])
        run(["apt-get", "update"])
    install(["libstd-rust-web-dev:arm64"], f"Rust's standard library for {ARM_RUST}")


def provide_postgres() -> None:
    """What BuildGrid keeps its queue in. Debian puts the server's programs on nobody's PATH."""
    if not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        install(["postgresql"], "PostgreSQL")


def provide_base_image() -> None:
    """What the image is made of in which tests build; it has the headers of Node.js to compile add-ons with."""
    sys.path.insert(0, str(ROOT / "tests"))
    import base_image

    missing = base_image.missing()
    if not Path("/usr/include/node/node_api.h").exists():
        missing.append("libnode-dev")
    if missing and shutil.which("dpkg"):
        install(missing, "what the tests' container image is made of")


def install(packages: list[str], what: str) -> None:
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"missing: {what}. Install it and run this again; on Debian: sudo {' '.join(command)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
        run(["apt-get", "update"])
        run(command)


def run(command: list[str]) -> None:
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status:
        sys.exit(f"{' '.join(command)} failed with exit code {status}")


def said(*command: str) -> str:
    """What a program prints; nothing when it fails."""
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def run_quietly(command: list[str]) -> bool:
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(set_up(sys.argv[1:]))


from lambdabuild.project import doit_project  # noqa: E402  # not there before set_up

# The artifacts of the sample app go to build/ beside this file.
globals().update(doit_project(str(ROOT / "sample-app"), build_dir="../build"))


def chore(*commands: list[str]) -> dict:
    """A task of the repository's own: its output is shown as it comes, and it always runs."""

    def action(command: list[str]) -> bool:
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0

    return {"actions": [(action, [command]) for command in commands], "verbosity": 2, "uptodate": [False]}


def task_test() -> dict:
    """run every test, slowest first, on all processors"""
    workers = ["-n", str(os.cpu_count() or 1), "--dist", "loadfile", "--no-loadscope-reorder"]
    pytest = [sys.executable, "-m", "pytest", *workers]
    return chore(pytest)


def task_lint() -> dict:
    """ruff and the type checker"""
    return chore(
        [sys.executable, "-m", "ruff", "check", "."],
        [sys.executable, "-m", "ruff", "format", "--check", "."],
        [sys.executable, "-m", "mypy"],
    )


def task_docs() -> dict:
    """build the documentation into build/docs; a broken link fails"""
    # Not --quiet: mkdocs then counts no warning, and a broken link passes.
    return chore([sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ".mkdocs.yml"])


def task_pictures() -> dict:
    """draw docs/pictures again, from builds of the sample app"""
    return chore([sys.executable, ".ci/pictures.py"])


def task_reference() -> dict:
    """write the generated parts of docs/ again"""
    return chore([sys.executable, ".ci/reference.py"])


def task_bench() -> dict:
    """measure against the peers and write bench/results.md; takes more than an hour"""
    return chore([sys.executable, "-m", "bench"])


def task_wheel() -> dict:
    """build the wheel into dist/"""
    return chore([sys.executable, "-m", "build", "--wheel"])

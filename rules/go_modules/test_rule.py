"""go_modules: one static binary for Linux."""

import hashlib
import json
import struct
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import invoke
from rule_example import example, function, template
from sandbox import Sandbox

HERE = Path(__file__).parent
MACHINES = {"x86_64": 62, "arm64": 183}
"""e_machine of the ELF header."""


def go(**more: str) -> str:
    return function(runtime="provided.al2023", handler=more.pop("handler", "bootstrap"), **more)


def layer(**properties: str) -> str:
    options = json.dumps(properties)
    return (
        f"  Example:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {{BuildMethod: go1.x, BuildProperties: {options}}}\n"
        "    Properties: {ContentUri: src}\n"
    )


def sha256(project: Sandbox) -> str:
    return hashlib.sha256(project.path("build/Example.zip").read_bytes()).hexdigest()


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of every file, which a build leaves alone."""
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}


def machine(binary: bytes) -> int:
    return struct.unpack_from("<H", binary, 18)[0]


MAIN = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println(%s) }\n'


def test_the_example_is_one_program_and_answers(project: Sandbox, tmp_path: Path) -> None:
    example(project, HERE, go())
    before = state(project.path("src"))
    project.build()

    assert project.names("Example") == ["bootstrap"]
    assert invoke.bootstrap(project.unzip("Example", tmp_path / "task"), {"name": "Ada"}) == {"greeting": "Hello Ada"}
    assert machine(project.content("Example", "bootstrap")) == MACHINES["x86_64"]
    assert str(tmp_path).encode() not in project.content("Example", "bootstrap")
    assert state(project.path("src")) == before
    assert project.build().steps == []

    other = example(Sandbox(tmp_path / "some where" / "else"), HERE, go())
    other.build()
    assert sha256(other) == sha256(project)


def test_it_is_built_for_arm64_too_and_for_go1_x_has_the_handlers_name(project: Sandbox) -> None:
    project.write({
        "template.yaml": template(
            go(Architectures="[arm64]"), function(runtime="go1.x", handler="bin/hello").replace("Example", "Old")
        ),
        "src/go.mod": "module hello\n\ngo 1.18\n", "src/main.go": MAIN % '"hello"',
    }).build()  # fmt: skip

    assert machine(project.content("Example", "bootstrap")) == MACHINES["arm64"]
    assert project.names("Old") == ["bin/hello"]


def test_packages_outside_the_code_folder_count_as_input(project: Sandbox, tmp_path: Path) -> None:
    """A module replaced by a folder beside it, one of a go.work, and a package of the module above the code folder."""
    project.write({
        "template.yaml": template(go(source="app/cmd/orders")),
        "lambdabuild.toml": "[functions.Example]\nmanifest = 'app/go.mod'\n",
        "app/go.mod": "module app\n\ngo 1.18\n\nrequire words v0.0.0\n\nreplace words => ../words\n",
        "app/cmd/orders/main.go": 'package main\n\nimport (\n\t"app/inner"\n\t"shared"\n\t"words"\n)\n\nfunc main() { println(words.Hello, inner.Name, shared.End) }\n',
        "app/inner/name.go": 'package inner\n\nconst Name = "Ada"\n',
        "words/go.mod": "module words\n\ngo 1.18\n", "words/words.go": 'package words\n\nconst Hello = "Hello"\n',
        "shared/go.mod": "module shared\n\ngo 1.18\n", "shared/end.go": 'package shared\n\nconst End = "!"\n',
        "go.work": "go 1.18\n\nuse ./app\nuse ./shared\n",
    })  # fmt: skip
    before = state(project.folder)
    project.build()
    assert said(project, tmp_path) == "Hello Ada !\n"
    assert before.items() <= state(project.folder).items()
    assert project.build().steps == []

    for file, text, answer in (
        ("words/words.go", 'package words\n\nconst Hello = "Servus"\n', "Servus Ada !\n"),
        ("app/inner/name.go", 'package inner\n\nconst Name = "Bob"\n', "Servus Bob !\n"),
        ("shared/end.go", 'package shared\n\nconst End = "?"\n', "Servus Bob ?\n"),
    ):
        assert "compile:Example" in project.write({file: text}).build().steps
        assert said(project, tmp_path) == answer


def said(project: Sandbox, tmp_path: Path) -> str:
    code = project.unzip("Example", tmp_path / "task")
    return subprocess.run([str(code / "bootstrap")], capture_output=True, text=True, check=True).stderr


def test_the_program_of_several_is_the_handlers_or_named_by_an_option(project: Sandbox) -> None:
    project.write({
        "template.yaml": template(go(handler="orders"), go(handler="bootstrap").replace("Example", "Unclear")),
        "src/go.mod": "module shop\n\ngo 1.18\n",
        "src/cmd/orders/main.go": MAIN % '"orders here"', "src/cmd/refunds/main.go": MAIN % '"refunds here"',
    })  # fmt: skip
    ran = project.run("build")
    assert ran.code != 0
    assert "LB405]: function 'Unclear' has no main package in its code folder" in ran.err
    assert "set the option package to one of: ./cmd/orders, ./cmd/refunds" in ran.err

    project.write(
        {"lambdabuild.toml": "[functions.Unclear.options]\npackage = './cmd/refunds'\nmode = 'debug'\n"}
    ).build()
    assert b"orders here" in project.content("Example", "bootstrap")
    assert b"refunds here" in project.content("Unclear", "bootstrap")
    assert b".debug_info" in project.content("Unclear", "bootstrap")
    assert b".debug_info" not in project.content("Example", "bootstrap")


def test_a_layer_has_its_program_in_bin_and_flags_are_gos(project: Sandbox) -> None:
    project.write({
        "template.yaml": template(layer(tags=["loud"], ldflags="-X 'main.word=two words'")),
        "src/go.mod": "module example.com/hello/v2\n\ngo 1.18\n",
        "src/main.go": "package main\n\nvar word string\n\nfunc main() { println(word, volume) }\n",
        "src/loud.go": "//go:build loud\n\npackage main\n\nconst volume = 11\n",
    }).build()  # fmt: skip

    assert project.names("Example") == ["bin/hello"]
    assert b"two words" in project.content("Example", "bin/hello")


def test_mistakes_are_told_in_gos_words(project: Sandbox) -> None:
    example(project, HERE, go())
    project.append("src/main.go", "\nfunc broken() { return 1 }\n")
    ran = project.run("build")
    assert "LB405]: function 'Example': the source does not compile" in ran.err
    assert "--> src/main.go:30:" in ran.err
    assert "too many return values" in ran.err

    project.write({"src/main.go": (HERE / "example/main.go").read_text(), "src/go.sum": ""})
    ran = project.run("build")
    assert "LB402]: function 'Example': go.mod and go.sum do not fit the source" in ran.err
    assert "help: bring them up to date with: go mod tidy" in ran.err
    assert project.path("src/go.sum").read_text() == ""

    project.write({"src/go.mod": "module hello\n\ngo 1.18\n\nrequires x v1\n"})
    ran = project.run("build")
    assert "LB402]: function 'Example': go.mod cannot be read" in ran.err
    assert "--> src/go.mod:5:" in ran.err


def test_offline_only_what_is_in_gos_cache_is_used(project: Sandbox) -> None:
    example(project, HERE, go())
    ran = project.run("build", "offline=true", env={"GOMODCACHE": str(project.path("empty"))})
    assert "LB603]: function 'Example': Go's cache has not all modules, and the run is offline" in ran.err

    project.build()
    project.append("src/main.go", "// edited\n")
    project.build("offline=true")


def named(name: str, source: str) -> str:
    """A program in a folder of its own; SAM needs the build method to take a custom runtime for Go's."""
    return go(source=source, metadata="    Metadata: {BuildMethod: go1.x}\n").replace("Example", name)


def test_the_module_of_a_command_is_looked_for_above_its_folder(project: Sandbox) -> None:
    """As go itself does: one go.mod for many commands, a workspace above several modules, vendored packages."""
    project.write({
        "template.yaml": template(named("One", "app/cmd/one"), named("Two", "app/cmd/two"), named("Three", "jobs/nightly")),
        "app/go.mod": "module app\n\ngo 1.18\n", "app/inner/name.go": 'package inner\n\nconst Name = "Ada"\n',
        "app/cmd/one/main.go": 'package main\n\nimport "app/inner"\n\nfunc main() { println(inner.Name) }\n',
        "app/cmd/two/main.go": MAIN % "2",
        "jobs/go.mod": "module jobs\n\ngo 1.18\n\nrequire words v1.0.0\n", "shared/go.mod": "module words\n\ngo 1.18\n",
        "jobs/nightly/main.go": 'package main\n\nimport "words"\n\nfunc main() { println(words.Hello) }\n',
        "shared/words.go": 'package words\n\nconst Hello = "Hello"\n', "go.work": "go 1.18\n\nuse (\n\t./app\n\t./jobs\n\t./shared\n)\n",
    })  # fmt: skip
    project.build()
    assert project.build().steps == []

    project.write({"app/inner/name.go": 'package inner\n\nconst Name = "Bob"\n'})
    assert "app/inner" in project.run("why", "One").out
    assert [step for step in project.build().steps if step.startswith("compile")] == ["compile:One"]

    project.write({"shared/words.go": 'package words\n\nconst Hello = "Servus"\n'})
    assert "shared" in project.run("why", "Three").out
    assert [step for step in project.build().steps if step.startswith("compile")] == ["compile:Three"]

    project.path("shared/go.mod").unlink()
    ran = project.run("build")
    assert ran.code != 0
    assert "LB402" in ran.said
    assert "shared/go.mod" in ran.said


USES_WORDS = 'package main\n\nimport "example.com/words"\n\nfunc main() { println(words.Hello) }\n'
WORDS = 'package words\n\nconst Hello = "%s"\n'
VENDORED = "# example.com/words v1.0.0\n## explicit; go 1.18\nexample.com/words\n"


def test_vendored_packages_and_a_workspace_above_the_templates_folder_count_as_input(
    project: Sandbox, tmp_path: Path
) -> None:
    """Go looks for both above the code folder; what is vendored is asked of no proxy."""
    app = Sandbox(project.path("infra"))
    project.write({
        ".git/HEAD": "", "infra/template.yaml": template(go(source="../app/cmd/one")),
        "app/go.mod": "module app\n\ngo 1.18\n\nrequire example.com/words v1.0.0\n", "app/cmd/one/main.go": USES_WORDS,
        "app/vendor/modules.txt": VENDORED, "app/vendor/example.com/words/words.go": WORDS % "vendored",
    })  # fmt: skip
    with StrangersProxy() as proxy:
        chosen = {"GOPROXY": proxy.url, "GONOSUMDB": "*", "GOSUMDB": "off", "GOMODCACHE": str(tmp_path / "cache")}

        def built(**more: str) -> str:
            app.build(env=chosen | more)
            return said(app, tmp_path).strip()

        assert built() == "vendored"
        assert proxy.asked == []
        assert app.build(env=chosen).steps == []
        project.write({"app/vendor/example.com/words/words.go": WORDS % "edited"})
        assert built() == "edited"

        project.write({"app/vendor/modules.txt": VENDORED.replace("v1.0.0", "v1.0.1")})
        assert "the vendor folder does not fit go.mod" in app.run("build", env=chosen).said
        project.write({"app/vendor/modules.txt": VENDORED})
        assert built() == "edited"

        project.write(
            {"words/go.mod": "module example.com/words\n\ngo 1.18\n", "words/words.go": WORDS % "of the workspace"}
        )
        project.write({"go.work": "go 1.18\n\nuse (\n\t./app\n\t./words\n)\n"})
        assert "the file ../go.work is new" in app.run("why", "Example", env=chosen).out
        assert built() == "of the workspace"
        assert built(GOWORK="off") == "edited"

        project.path("app/vendor").rename(project.path("gone"))
        ran = app.run("build", env=chosen | {"GOWORK": "off", "GOFLAGS": "-mod=vendor"})
        assert "the vendor folder does not fit go.mod" in ran.said


def test_a_module_that_is_local_or_private_is_asked_of_no_proxy(project: Sandbox) -> None:
    """A stranger's proxy has every module there is; what go.mod replaces, or GOPRIVATE names, is not asked of it."""
    project.write({
        "template.yaml": template(go()),
        "src/go.mod": "module hello\n\ngo 1.18\n\nrequire example.com/words v1.0.0\n\nreplace example.com/words => ../words\n",
        "src/main.go": 'package main\n\nimport "example.com/words"\n\nfunc main() { println(words.Hello) }\n',
        "words/go.mod": "module example.com/words\n\ngo 1.18\n", "words/words.go": 'package words\n\nconst Hello = "ours"\n',
    })  # fmt: skip
    with StrangersProxy() as proxy:
        chosen = {"GOPROXY": proxy.url, "GONOSUMDB": "*", "GOSUMDB": "off", "GOMODCACHE": str(project.path("cache"))}
        project.build(env=chosen)
        assert b"ours" in project.content("Example", "bootstrap")

        project.path("words").rename(project.path("gone"))
        ran = project.run("build", env=chosen)
        assert ran.code != 0
        assert "words" in ran.said

        project.write({"src/go.mod": "module hello\n\ngo 1.18\n\nrequire example.com/words v1.0.0\n"})
        assert project.run("build", env=chosen | {"GOPRIVATE": "example.com", "GIT_ALLOW_PROTOCOL": "none"}).code != 0
        assert proxy.asked == []


class StrangersProxy:
    """A module proxy; ``asked`` are the paths that somebody wanted of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name is http.server's
                proxy.asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "StrangersProxy":
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_functions_that_are_built_at_the_same_time_compile_the_standard_library_once(
    project: Sandbox, tmp_path: Path
) -> None:
    log, counts = tmp_path / "log", tmp_path / "counts"
    counts.write_text(f'#!/bin/sh\necho " $* " >> {log}\nexec "$@"\n')
    counts.chmod(0o755)
    for name in ("one", "two"):
        project.write({
            f"src/{name}/go.mod": f"module {name}\n\ngo 1.18\n",
            f"src/{name}/main.go": f'package main\n\nfunc main() {{ println("{name}") }}\n',
        })  # fmt: skip
    project.write({"template.yaml": template(*(named(name, f"src/{name}") for name in ("one", "two")))})
    project.build("jobs=2", env={"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": f"-toolexec={counts}"})
    compiled = [line for line in log.read_text().splitlines() if "/compile " in line and " -p runtime " in line]
    assert len(compiled) == 1

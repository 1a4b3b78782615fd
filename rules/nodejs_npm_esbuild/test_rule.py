"""nodejs_npm_esbuild: bundles, by a rule that is a program in JavaScript."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from rule_example import call_node, example, function, template
from sandbox import Sandbox

HERE = Path(__file__).parent


def bundled(properties: str = "", **more: str) -> str:
    metadata = f"    Metadata: {{BuildMethod: esbuild, BuildProperties: {{{properties}}}}}\n"
    return function(runtime="nodejs22.x", handler="app.handler", metadata=metadata, **more)


def sha256(project: Sandbox) -> str:
    return hashlib.sha256(project.path("build/Example.zip").read_bytes()).hexdigest()


def files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_example_is_one_file_and_answers(project: Sandbox, tmp_path: Path) -> None:
    before = files(HERE / "example")
    example(project, HERE, bundled("Sourcemap: true")).build()

    assert project.names("Example") == ["app.js", "app.js.map"]
    assert call_node(project, {"text": "2 days"}, module="app.js") == "172800000!"
    sources = json.loads(project.path("build/Example/app.js.map").read_text())["sources"]
    assert sources == ["node_modules/ms/index.js", "app.ts", "words.ts"]
    assert files(project.path("src")) == before
    assert project.build().steps == []

    other = example(Sandbox(tmp_path / "some where" / "else"), HERE, bundled("Sourcemap: true"))
    other.build()
    assert sha256(other) == sha256(project)

    project.append("src/words.ts", "// edited\n")
    assert "resolve:Example" not in project.build().steps


def test_a_function_for_another_processor_is_bundled_by_this_machines_esbuild(project: Sandbox) -> None:
    example(project, HERE, bundled(Architectures="[arm64]")).build()
    assert call_node(project, {"text": "1s"}, module="app.js") == "1000!"


def test_options_are_esbuilds_in_either_spelling(project: Sandbox) -> None:
    example(project, HERE, bundled("Minify: false, Format: esm, External: [ms], EntryPoints: [app.ts, words]"))
    project.write(
        {"lambdabuild.toml": '[functions.Example.options]\nbanner = "// mine"\ndefine = {TEXT = "1"}\n'}
    ).build()

    assert project.names("Example") == ["app.mjs", "words.mjs"]
    text = project.path("build/Example/app.mjs").read_text()
    assert text.startswith("// mine\n")
    assert 'import ms from "ms"' in text


def test_what_is_shipped_lies_beside_the_bundle_with_what_it_needs(project: Sandbox) -> None:
    example(project, HERE, bundled())
    project.path("src/package-lock.json").unlink()
    manifest = json.dumps({"dependencies": {"once": "1.4.0", "ms": "2.1.3"}, "devDependencies": {"esbuild": "0.25.12"}})
    text = (
        'import once from "once";\nimport ms from "ms";\nexport const handler = async () => once(() => ms("1s"))();\n'
    )
    project.write({"src/package.json": manifest, "src/app.ts": text})
    project.write({"lambdabuild.toml": '[functions.Example.options]\nship = ["once"]\n'}).build()

    names = project.names("Example")
    assert {"app.js", "node_modules/once/once.js", "node_modules/wrappy/wrappy.js"} <= set(names)
    assert not [name for name in names if "/ms/" in name or "esbuild" in name]
    assert call_node(project, {}, module="app.js") == 1000


def test_a_file_from_outside_the_code_folder_is_bundled_and_counts_as_input(project: Sandbox) -> None:
    example(project, HERE, bundled())
    project.write({
        "src/app.ts": 'import { name } from "../shared/names";\nexport const handler = async () => name;\n',
        "shared/names.ts": 'export const name: string = "one";\n',
    })  # fmt: skip
    project.build()
    assert call_node(project, {}, module="app.js") == "one"

    project.write({"shared/names.ts": 'export const name: string = "two";\n'})
    assert "compile:Example" in project.build().steps
    assert call_node(project, {}, module="app.js") == "two"


def test_mistakes_are_told_where_they_are(project: Sandbox) -> None:
    example(project, HERE, bundled())
    project.write({"src/words.ts": "export const shout = (text => 1;\n"})
    ran = project.run("build")
    assert ran.code != 0
    assert "LB405" in ran.err
    assert "src/words.ts:1:" in ran.err

    project.write({"src/words.ts": 'import nothing from "nothing-there";\nexport const shout = nothing;\n'})
    ran = project.run("build")
    assert 'Could not resolve "nothing-there"' in ran.err
    assert "External" in ran.err

    project.write({"template.yaml": template(bundled().replace("app.handler", "other.handler"))})
    assert "the entry point other does not exist" in project.run("build").err


def test_without_esbuild_it_says_how_to_get_it(project: Sandbox) -> None:
    project.write(
        {"template.yaml": template(bundled()), "src/package.json": "{}", "src/app.ts": "export const a = 1\n"}
    )
    tools = project.path("tools")
    tools.mkdir()
    for name in ("node", "npm"):
        (tools / name).symlink_to(shutil.which(name))
    ran = project.run("build", env={"PATH": f"{tools}:/usr/sbin:/bin"} if not Path("/bin/esbuild").exists() else {})
    assert "npm install --save-dev esbuild" in ran.err


def test_the_rule_is_a_program(project: Sandbox) -> None:
    said = subprocess.run(
        ["node", str(HERE / "rule.mjs")],
        input=json.dumps({"jsonrpc": "2.0", "id": 7, "method": "copy", "params": {}}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(said.stdout)["id"] == 7
    assert json.loads(said.stdout)["error"]["code"] == -32601


def test_bundles_lie_below_the_folder_that_entry_points_share_and_handlers_follow(project: Sandbox) -> None:
    functions = {
        "One": ("src/handlers/orders.handler", "EntryPoints: [src/handlers/orders.ts], Sourcemap: true"),
        "Flat": ("orders.handler", "EntryPoints: [src/handlers/orders.ts]"),
        "None": ("src/handlers/orders.handler", "Minify: false"),
        "Two": ("functions/a/app.handler", "EntryPoints: [functions/a/app.ts, functions/b/app.ts]"),
        "Base": ("src/handlers/orders.handler", "Outbase: ."),
        "Wrong": ("src/handlers/order.handler", "EntryPoints: [src/handlers/orders.ts]"),
    }
    resources = (
        f"  {name}:\n    Type: AWS::Serverless::Function\n"
        f"    Metadata: {{BuildMethod: esbuild, BuildProperties: {{{properties}}}}}\n"
        f"    Properties: {{Runtime: nodejs22.x, CodeUri: src, Handler: {handler}}}\n"
        for name, (handler, properties) in functions.items()
    )
    code = "export const handler = async () => 1;\n"
    files = {f"src/{name}.ts": code for name in ("src/handlers/orders", "functions/a/app", "functions/b/app")}
    package = json.dumps({"devDependencies": {"esbuild": "0.25.12"}})  # and nothing else
    project.write({**files, "src/package.json": package, "template.yaml": template(*resources)})
    ran = project.run("build", "--format", "json", "keep_going=true", "check_handler=true")
    assert [event["task"] for event in ran.events if event["event"] == "fail"] == ["hash:Wrong"]
    assert "did you mean orders.handler?" in ran.out

    project.write({"lambdabuild.toml": "[functions.Wrong]\ncheck_handler = false\n"}).build("check_handler=true")
    names = {name: project.names(name) for name in functions}
    assert names["One"] == ["orders.js", "orders.js.map"]
    assert names["Flat"] == names["None"] == ["orders.js"]
    assert names["Two"] == ["a/app.js", "b/app.js"]
    assert names["Base"] == ["src/handlers/orders.js"]
    built = project.path("build/packaged-template.yaml").read_text()
    for name, handler in {"One": "orders", "Flat": "orders", "None": "orders", "Two": "a/app"}.items():
        assert (
            f"Handler: {handler}.handler"
            in built.partition(f"  {name}:")[2].partition("Type:")[2].partition("Type:")[0]
        )
    assert "Handler: src/handlers/orders.handler" in built.partition("  Base:")[2]
    assert built.count('NODE_OPTIONS: "--enable-source-maps"') == 1

"""What a function's Handler names is in its artifact or its layers, or the build fails and says where it may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Ran, Sandbox

PYTHON, NODE = "python3.11", "nodejs22.x"


def function(name: str, runtime: str, handler: str, code: str, **more: str) -> str:
    properties = {"Runtime": runtime, "Handler": handler, "CodeUri": code, **more}
    lines = "".join(f"      {key}: {value}\n" for key, value in properties.items())
    return f"  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n{lines}"


def template(*resources: str) -> str:
    return "Transform: AWS::Serverless-2016-10-31\nResources:\n" + "".join(resources)


@pytest.fixture
def project(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "project", checks_handlers=True)


def errors(ran: Ran) -> dict[str, dict]:
    """The errors of a run by the names of their functions."""
    found = [event["error"] for event in ran.events if event["event"] == "fail"]
    return {error["message"].partition("function '")[2].partition("'")[0]: error for error in found}


def build(project: Sandbox, **settings: str) -> Ran:
    return project.run("build", "--format", "json", "keep_going=true", *(f"{k}={v}" for k, v in settings.items()))


def test_a_missing_handler_fails_until_it_is_corrected_and_nothing_is_zipped_again(project: Sandbox) -> None:
    text = template(function("Orders", NODE, "orders.handler", "code"))
    project.write({"template.yaml": text, "code/src/orders.js": "exports.handler = async () => 1;\n"})
    for _ in range(2):
        ran = build(project)
        assert ran.code != 0
        error = errors(ran)["Orders"]
        assert error["code"] == "LB409"
        assert "there is no orders.js" in error["message"]
        assert (error["where"][0]["line"], error["where"][0]["column"]) == (7, 16)
        assert "did you mean src/orders.handler?" in error["help"]
        assert not project.path("build/packaged-template.yaml").exists()

    project.write({"template.yaml": text.replace("orders.handler", "src/orders.handler")})
    assert {"zip:Orders", "copy:Orders"}.isdisjoint(project.build().steps)
    assert project.build().steps == []

    project.write({"template.yaml": text})
    assert errors(build(project))["Orders"]["code"] == "LB409"


def test_each_runtime_looks_in_its_own_way(project: Sandbox) -> None:
    jar = 'mkdir -p "$ARTIFACTS_DIR/lib" && cd "$SOURCE_DIR" && python3 -m zipfile -c "$ARTIFACTS_DIR/lib/a.jar" shop/'
    functions = {
        "Py": (PYTHON, "src.app.handler", "py"), "PyWrong": (PYTHON, "src/api.handler", "py"),
        "Node": (NODE, "a/index.handler", "js"), "NodeWrong": (NODE, "index.handler", "js"),
        "Rb": ("ruby3.3", "app.Shop::Api.call", "rb"), "RbWrong": ("ruby3.3", "lib/app.call", "rb"),
        "Jar": ("java21", "shop.Orders::handle", "java"), "JarWrong": ("java21", "shop.Order::handle", "java"),
        "Boot": ("provided.al2023", "x", "boot"), "BootWrong": ("provided.al2023", "x", "py"),
    }  # fmt: skip
    project.write({
        "template.yaml": template(*(function(name, *about) for name, about in functions.items())),
        "lambdabuild.toml": f"[commands]\n'java*' = {{run = '''{jar}'''}}\n"
        "BootWrong = {run = 'touch \"$ARTIFACTS_DIR/bootstrap\"'}\n",
        "py/src/app.py": "", "js/a/index.mjs": "", "rb/app.rb": "", "java/shop/Orders.class": "",
        "boot/bootstrap": "#!/bin/sh\n",
    })  # fmt: skip
    project.path("boot/bootstrap").chmod(0o755)

    found = errors(build(project))
    assert sorted(found) == ["BootWrong", "JarWrong", "NodeWrong", "PyWrong", "RbWrong"]
    assert {error["code"] for error in found.values()} == {"LB409"}
    assert "did you mean src.app.handler?" in found["PyWrong"]["help"]
    assert "did you mean a/index.handler?" in found["NodeWrong"]["help"]
    assert "did you mean app.call?" in found["RbWrong"]["help"]
    assert "there is no shop/Order.class, and none in a jar of lib/" in found["JarWrong"]["message"]
    assert "bootstrap is not executable" in found["BootWrong"]["message"]


def test_layers_of_the_service_count_and_what_nobody_can_read_is_a_note(project: Sandbox) -> None:
    layer = "  Shared:\n    Type: AWS::Serverless::LayerVersion\n    Properties: {ContentUri: layer}\n"
    foreign = "[arn:aws:lambda:eu-west-1:123456789012:layer:wrapper:1]"
    project.write({
        "template.yaml": template(
            layer,
            function("Own", PYTHON, "wrap.handler", "code", Layers="[!Ref Shared]"),
            function("OwnOpt", NODE, "/opt/nodejs/wrap.handler", "code", Layers="[!Ref Shared]"),
            function("Missing", PYTHON, "wrapper.other.handler", "code", Layers="[!Ref Shared]"),
            function("Foreign", PYTHON, "datadog_lambda.handler.handler", "code", Layers=foreign),
            function("Opt", NODE, "/opt/nodejs/node_modules/dd/handler.handler", "code"),
            function("Path", PYTHON, "vendored.handler", "code", Environment="{Variables: {PYTHONPATH: /var/task/v}}"),
            function("Later", PYTHON, "!GetAtt Somewhere.Else", "code"),
        ),
        "layer/python/wrap.py": "", "layer/nodejs/wrap.js": "", "code/app.py": "", "code/v/vendored.py": "",
    })  # fmt: skip
    first = build(project)
    assert sorted(errors(first)) == ["Missing"]

    project.write({"lambdabuild.toml": "[functions.Missing]\ncheck_handler = false\n"})
    notes = [*first.summary["notes"], *project.build().summary["notes"]]
    said = [note for note in notes if "handler" in note.lower()]
    assert {note.partition(":")[0] for note in said} == {"Foreign", "Opt", "Path", "Later"}
    assert any("a layer that is not built here must have it" in note for note in said)
    assert any("it must be where PYTHONPATH says" in note for note in said)
    assert project.build().steps == []


def test_the_check_can_be_switched_off_for_all_or_for_one(project: Sandbox) -> None:
    functions = [function(name, PYTHON, "nothing.handler", f"code/{name}") for name in ("One", "Two")]
    project.write({"template.yaml": template(*functions), "code/One/a.py": "", "code/Two/b.py": ""})
    assert sorted(errors(build(project))) == ["One", "Two"]
    assert build(project, check_handler="false").code == 0
    project.write({"lambdabuild.toml": "check_handler = false\n[functions.Two]\ncheck_handler = true\n"})
    assert sorted(errors(build(project))) == ["Two"]


def test_a_handler_of_globals_is_told_at_its_place_and_one_that_was_left_out_by_its_path(project: Sandbox) -> None:
    project.write({
        "template.yaml": "Transform: AWS::Serverless-2016-10-31\nGlobals:\n  Function:\n    Handler: main.run\n"
        "Resources:\n  Orders:\n    Type: AWS::Serverless::Function\n"
        f"    Properties: {{Runtime: {PYTHON}, CodeUri: code}}\n",
        "lambdabuild.toml": 'exclude = ["main.py"]\n',
        "code/main.py": "", "code/other.py": "",
    })  # fmt: skip
    error = errors(build(project))["Orders"]
    assert error["where"][0]["line"] == 4
    assert "code/main.py lies beside it" in error["message"]


def test_a_serverless_yml_is_checked_after_its_package_patterns(project: Sandbox) -> None:
    project.write({
        "serverless.yml": "service: shop\nprovider: {name: aws, runtime: nodejs22.x}\n"
        "package: {patterns: ['!src/**', 'src/b.js']}\n"
        "functions:\n  a:\n    handler: src/a.handler\n  b:\n    handler: src/b.handler\n",
        "src/a.js": "", "src/b.js": "",
    })  # fmt: skip
    found = errors(build(project))
    assert list(found) == ["a"]
    assert found["a"]["where"][0]["line"] == 6
    assert "src/a.js lies beside it" in found["a"]["message"]


def test_a_handler_in_a_package_counts_wherever_packages_go_but_not_in_their_zip(project: Sandbox) -> None:
    functions = [function(name, PYTHON, "idna.core.encode", f"code/{name}") for name in ("One", "Two")]
    project.write({
        "template.yaml": template(*functions),
        "code/One/requirements.txt": "idna==3.10\n", "code/Two/requirements.txt": "idna==3.10\n",
        "code/One/a.py": "", "code/Two/b.py": "",
    })  # fmt: skip
    assert build(project).code == 0
    assert build(project, auto_layers="true").code == 0
    assert "idna/core.py" not in project.names("One")
    assert sorted(errors(build(project, zip_dependencies="true"))) == ["One", "Two"]


def test_a_step_that_a_cache_has_is_checked_as_any_other(project: Sandbox, tmp_path: Path) -> None:
    cached = {"cache.enabled": "true", "cache.dir": str(tmp_path / "cache")}
    project.write({"template.yaml": template(function("F", PYTHON, "app.handler", "code")), "code/other.py": ""})
    assert "F" in errors(build(project, **cached))
    other = Sandbox(tmp_path / "other", checks_handlers=True)
    other.write({"template.yaml": template(function("F", PYTHON, "app.handler", "code")), "code/other.py": ""})
    assert "F" in errors(build(other, **cached))

"""Thirty functions with overlapping requirements, whose packages become layers of their own accord."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import invoke
import pytest
import yaml
from made_wheels import make_wheel
from sandbox import Sandbox

pytestmark = pytest.mark.slow

CFN_LINT = str(Path(sys.executable).with_name("cfn-lint"))

MIXES = {
    "Api": ("requests==2.32.3", "pydantic==2.9.2"),
    "Data": ("numpy==1.26.4", "PyYAML==6.0.2", "attrs==24.2.0"),
    "Files": ("boto3==1.35.40", "PyYAML==6.0.2", "click==8.1.7"),
    "Mail": ("jinja2==3.1.4", "attrs==24.2.0", "requests==2.32.3"),
    "Model": ("numpy==1.26.4", "pydantic==2.9.2", "boto3==1.35.40", "click==8.1.7"),
}
"""Kinds of functions, six of each."""
MODULES = {"PyYAML": "yaml"}
VERSION = "import importlib, importlib.metadata\n\n\ndef handler(event, context):\n    return {name: [importlib.metadata.version(name), importlib.import_module(module).__file__] for name, module in event.items()}\n"
FUNCTION = """\
  {name}:
    Type: AWS::Serverless::Function
    Properties: {{CodeUri: src/{name}/}}
"""
NAMES = [f"{kind}{number}" for kind in MIXES for number in range(1, 7)]


def requirements(name: str) -> tuple[str, ...]:
    return MIXES[name[:-1]]


def thirty_functions(project: Sandbox) -> Sandbox:
    """All of it, built."""
    head = (
        "Transform: AWS::Serverless-2016-10-31\n"
        "Globals: {Function: {Runtime: python3.11, Handler: app.handler}}\n"
        "Resources:\n"
    )
    files = {"lambdabuild.toml": "auto_layers = true\n"}
    files["template.yaml"] = head + "".join(FUNCTION.format(name=name) for name in NAMES)
    for name in NAMES:
        files[f"src/{name}/app.py"] = f"# {name}\n{VERSION}"
        files[f"src/{name}/requirements.txt"] = "".join(f"{line}\n" for line in requirements(name))
    project.write(files)
    before = project.run("plan").out
    assert "shared layers: known when the packages are resolved" in before
    project.build()
    return project


def shared(project: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = project.manifest["shared_layers"]
    return found


def planned(project: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.run("plan", "--format", "json").out)["shared_layers"]
    return found


def opt_of(project: Sandbox, name: str, folder: Path) -> Path:
    """Everything that a function's layers bring, in one folder, as Lambda unpacks them."""
    for layer in project.manifest["functions"][name]["shared_layers"]:
        subprocess.run(["unzip", "-q", str(project.path(f"build/{layer}.zip")), "-d", str(folder)], check=True)
    return folder


def test_thirty_functions_share_layers_that_nobody_wrote(project: Sandbox, tmp_path: Path) -> None:
    service = thirty_functions(project)

    each_package_is_in_one_layer_of_few_and_big_ones_are_alone(service)
    functions_import_all_they_asked_for_from_their_layers(service, tmp_path)
    all_functions_of_a_kind_have_the_same_layers_in_both_templates(service)
    the_plan_tells_what_layers_spare(service)
    an_edit_of_one_source_sends_its_own_small_zip_and_nothing_else_runs(service)
    another_version_of_a_package_makes_only_the_layer_that_holds_it_anew(service)
    what_was_made_is_seen_to_be_gone_or_changed_and_can_be_cleaned(service)
    whoever_opts_out_keeps_its_packages_and_the_others_layers_stay(service)


def each_package_is_in_one_layer_of_few_and_big_ones_are_alone(service: Sandbox) -> None:
    layers = shared(service)
    packages = [package for layer in layers.values() for package in layer["packages"]]
    alone = {layer["packages"][0] for layer in layers.values() if len(layer["packages"]) == 1}

    assert len(packages) == len(set(packages))
    assert {"numpy", "botocore"} <= {package.partition(" ")[0] for package in alone}
    assert all(len(service.manifest["functions"][name]["shared_layers"]) <= 5 for name in NAMES)


def functions_import_all_they_asked_for_from_their_layers(service: Sandbox, tmp_path: Path) -> None:
    for name in (f"{kind}1" for kind in MIXES):
        code, opt = service.unzip(name, tmp_path / name / "task"), opt_of(service, name, tmp_path / name / "opt")
        wanted = dict(line.split("==") for line in requirements(name))
        event = {package: MODULES.get(package, package) for package in wanted}

        answer = invoke.python(code, event, layers=[opt])

        assert {package: version for package, (version, _) in answer.items()} == wanted
        assert any(str(opt) in file for _, file in answer.values())


def all_functions_of_a_kind_have_the_same_layers_in_both_templates(service: Sandbox) -> None:
    for text in ("packaged-template.yaml", "built-template.yaml"):
        lines = service.path(f"build/{text}").read_text().replace("!Ref ", "")
        resources = yaml.safe_load(lines)["Resources"]
        for name in NAMES:
            assert resources[name]["Properties"]["Layers"] == service.manifest["functions"][name]["shared_layers"]
        for layer in shared(service):
            place = resources[layer]["Properties"]["ContentUri"]
            assert service.path(f"build/{place}").exists(), place
    lint = service.command([CFN_LINT, "--regions", "eu-west-1", "-i", "W", "--", "build/packaged-template.yaml"])
    assert lint.code == 0, lint.said


def the_plan_tells_what_layers_spare(service: Sandbox) -> None:
    told, zips = planned(service), service.zips()
    written = {name: len(content) for name, content in zips.items()}

    assert told["bytes_with_layers"] == pytest.approx(sum(written.values()), rel=0.001)
    assert told["bytes_as_separate_zips"] > 5 * told["bytes_with_layers"]
    for name in NAMES:
        assert told["functions"][name]["upload_bytes"] == written[f"{name}.zip"]
    assert "all together: " in service.run("plan").out
    print({name: told[name] for name in ("bytes_with_layers", "bytes_as_separate_zips")})


def an_edit_of_one_source_sends_its_own_small_zip_and_nothing_else_runs(service: Sandbox) -> None:
    before = {layer: one["sha256"] for layer, one in shared(service).items()}
    service.append("src/Model3/app.py", "# edited\n")

    ran = service.build()

    assert ran.steps == ["copy:Model3", "hash:Model3", "template", "tree:Model3", "upload:Model3", "zip:Model3"]
    assert ran.summary["uploaded"] == 1
    assert ran.summary["uploaded_bytes"] < 50_000
    assert planned(service)["functions"]["Model3"]["upload_bytes_without_layers"] > 20_000_000
    assert {layer: one["sha256"] for layer, one in shared(service).items()} == before
    assert service.build().steps == []
    assert service.run().out.startswith("nothing to do: 30 functions up to date")


def another_version_of_a_package_makes_only_the_layer_that_holds_it_anew(service: Sandbox) -> None:
    before = {layer: (one["sha256"], service.path(f"build/{layer}.zip").stat().st_mtime_ns, one["packages"])
              for layer, one in shared(service).items()}  # fmt: skip
    for number in range(1, 7):
        for kind in ("Api", "Model"):
            path = service.path(f"src/{kind}{number}/requirements.txt")
            path.write_text(path.read_text().replace("pydantic==2.9.2", "pydantic==2.10.6"))

    ran = service.build()

    after = {layer: (one["sha256"], service.path(f"build/{layer}.zip").stat().st_mtime_ns, one["packages"])
             for layer, one in shared(service).items()}  # fmt: skip
    changed = {layer for layer in before if before[layer] != after.get(layer)}
    assert before.keys() == after.keys()  # ids say nothing of versions
    assert changed == {layer for layer in before if any("pydantic" in package for package in before[layer][2])}
    assert not [step for step in ran.steps if step.startswith(("zip:", "upload:", "tree:"))]  # no function's own
    assert ran.summary["uploaded"] == len(changed)


def what_was_made_is_seen_to_be_gone_or_changed_and_can_be_cleaned(service: Sandbox) -> None:
    layer = sorted(shared(service))[0]
    zip_file, tree = service.path(f"build/{layer}.zip"), service.path(f"build/{layer}")
    content = zip_file.read_bytes()

    zip_file.unlink()
    assert service.build().steps == ["share:zip"]
    assert zip_file.read_bytes() == content
    victim = next(path for path in tree.rglob("*.py") if path.stat().st_size)
    os.unlink(victim)
    assert service.build().steps == ["share:tree"]
    assert "share:zip  is up to date" in service.run("why", "Api1").out
    assert "share:plan" in service.run("list", "--all").out
    assert service.run("info", "share:plan").code == 0
    assert service.run("clean", "share:zip", "share:tree").code == 0
    assert not zip_file.exists() and not tree.exists()
    assert service.build().steps == ["share:tree", "share:zip"]
    assert zip_file.read_bytes() == content


def whoever_opts_out_keeps_its_packages_and_the_others_layers_stay(service: Sandbox) -> None:
    before = {layer: one["sha256"] for layer, one in shared(service).items()}
    service.append("lambdabuild.toml", "[functions.Data6]\nauto_layers = false\n")

    service.build()

    assert any(name.startswith("numpy/") for name in service.names("Data6"))
    assert {layer: one["sha256"] for layer, one in shared(service).items()} == before
    assert service.manifest["functions"]["Data6"]["shared_layers"] == []
    service.path("lambdabuild.toml").write_text("")
    service.build()
    assert shared(service) == {}
    assert "Shared" not in service.path("build/packaged-template.yaml").read_text()


# small projects of wheels made by hand


def small(
    project: Sandbox, *, sources: dict[str, str] | None = None, settings: str = "", template: str = ""
) -> Sandbox:
    """Two functions that share ``big``, and ``plugin``, which puts a module into a package of its own, ``host``."""
    wheels = project.folder / "wheels"
    filler = "x = '" + os.urandom(150_000).hex() + "'\n"
    make_wheel(wheels, "big", files={"big/__init__.py": "VERSION = '1.0'\n", "big/data.py": filler})
    make_wheel(wheels, "host", files={"host/__init__.py": filler})
    make_wheel(wheels, "plugin", files={"host/plugin.py": "NAME = 'plugin'\n"})
    make_wheel(wheels, "space_a", files={"space/a.py": filler})
    functions = "".join(FUNCTION.format(name=name) for name in ("A", "B"))
    head = "Transform: AWS::Serverless-2016-10-31\nGlobals: {Function: {Runtime: python3.11, Handler: app.handler}}\n"
    files = {"template.yaml": template or f"{head}Resources:\n{functions}"}
    files["lambdabuild.toml"] = f"auto_layers = true\n{settings}"
    for name, needs in (("A", "big\nhost\nplugin\nspace-a\n"), ("B", "big\nhost\nspace-a\n")):
        files[f"src/{name}/requirements.txt"] = f"--no-index\n--find-links ../../wheels\n{needs}"
        files[f"src/{name}/app.py"] = "def handler(event, context):\n    return {}\n"
    return project.write(files | (sources or {}))


def test_what_would_be_hidden_by_another_place_on_the_path_lies_in_one_place(project: Sandbox, tmp_path: Path) -> None:
    app = "import big, big.own, host.plugin, space.a, space.mine\n\n\ndef handler(event, context):\n    return [big.VERSION, big.own.NAME, host.plugin.NAME, space.mine.NAME]\n"
    small(
        project,
        sources={"src/A/app.py": app, "src/A/big/own.py": "NAME = 'own'\n", "src/A/space/mine.py": "NAME = 'mine'\n"},
    )

    ran = project.build()

    packages = {package for layer in shared(project).values() for package in layer["packages"]}
    assert packages == {"big 1.0", "space-a 1.0"}
    assert any("big 1.0 is in the zip though a layer has it" in note for note in ran.summary["notes"])
    names = set(project.names("A"))
    assert {"big/__init__.py", "big/own.py", "host/__init__.py", "host/plugin.py", "space/mine.py"} <= names
    assert "space/a.py" not in names  # a folder without __init__.py is put together from all places
    answer = invoke.python(project.unzip("A", tmp_path / "task"), {}, layers=[opt_of(project, "A", tmp_path / "opt")])
    assert answer == ["1.0", "own", "plugin", "mine"]
    assert not {"big/__init__.py", "space/a.py"} & set(project.names("B"))


def test_functions_that_cannot_take_part_are_told_with_the_reason(project: Sandbox) -> None:
    properties = "CodeUri: src/A/, Environment: {Variables: {PYTHONPATH: lib}}"
    template = (
        "Transform: AWS::Serverless-2016-10-31\nGlobals: {Function: {Runtime: python3.11, Handler: app.handler}}\nResources:\n"
        f"  A: {{Type: AWS::Serverless::Function, Properties: {{{properties}}}}}\n" + FUNCTION.format(name="B")
    )
    small(project, template=template)

    plan = project.run("plan")

    assert "auto_layers: all packages of A stay in the zip: PYTHONPATH is set" in plan.out
    project.append("lambdabuild.toml", "[functions.A]\nauto_layers = true\n")
    refused = project.run("build")
    assert refused.code == 3
    assert "LB304" in refused.said and "template.yaml:4:3" in refused.said


def test_shared_layers_count_against_lambdas_limits(project: Sandbox) -> None:
    layers = "".join(f"arn:aws:lambda:eu-west-1:123456789012:layer:x:{n}, " for n in range(4))
    template = (
        "Transform: AWS::Serverless-2016-10-31\nGlobals: {Function: {Runtime: python3.11, Handler: app.handler}}\nResources:\n"
        + "".join(FUNCTION.format(name=name).replace("CodeUri", f"Layers: [{layers}], CodeUri") for name in ("A", "B"))
    )
    small(project, template=template)
    project.build()

    assert len(shared(project)) == 1
    project.append("lambdabuild.toml", "[functions.B]\nexclude_dependencies = ['data.py']\n")
    project.build()
    packages = {package for layer in shared(project).values() for package in layer["packages"]}
    assert not any(package.startswith("big") for package in packages)  # what is left out of one is not the other's


HEAD = "Transform: AWS::Serverless-2016-10-31\nGlobals: {Function: {Runtime: python3.11, Handler: app.handler}}\nResources:\n"


def test_a_nested_stack_has_layers_of_its_own_for_none_can_refer_to_its_parents(project: Sandbox) -> None:
    functions = "".join(FUNCTION.format(name=name) for name in ("A", "B"))
    child = "  Child: {Type: AWS::Serverless::Application, Properties: {Location: child.yaml}}\n"
    small(project, template=HEAD + functions + child, sources={"child.yaml": HEAD + functions})

    project.build()

    (own,) = (name for name in shared(project) if "/" not in name)
    assert shared(project)[own]["functions"] == ["A", "B"]
    assert shared(project)[f"Child/{own}"]["functions"] == ["Child/A", "Child/B"]
    for stack in ("", "Child/"):
        text = project.path(f"build/{stack}packaged-template.yaml").read_text().replace("!Ref ", "")
        assert yaml.safe_load(text)["Resources"]["A"]["Properties"]["Layers"] == [own]
        place = yaml.safe_load(text)["Resources"][own]["Properties"]["ContentUri"]
        assert project.path(f"build/{stack}{place}").is_file()


def test_a_serverless_yml_is_compiled_as_if_the_layers_stood_in_it(project: Sandbox) -> None:
    functions = "\n".join(f"  {name}: {{handler: app.handler, module: src/{name}}}" for name in ("A", "B"))
    service = (
        "service: shop\nprovider: {name: aws, runtime: python3.11, layers: ['arn:aws:lambda:us-east-1:123456789012:layer:x:1']}\n"
        f"package: {{individually: true}}\nfunctions:\n{functions}\n"
    )
    small(project, sources={"serverless.yml": service}, settings='template = "serverless.yml"\n')

    project.build()

    (name,) = shared(project)
    text = project.path("build/packaged-template.json").read_text()
    resources = json.loads(text)["Resources"]
    reference = {"Ref": f"{name}LambdaLayer"}
    assert resources["ALambdaFunction"]["Properties"]["Layers"][1:] == [reference]
    assert resources[reference["Ref"]]["Properties"]["Content"]["S3Key"] == shared(project)[name]["key"]
    assert project.run("compile").out == text
    assert project.build().steps == []


def test_a_killed_run_leaves_nothing_half_done(project: Sandbox) -> None:
    small(project).build()
    whole = project.zips()
    for path in project.path("build").glob("*.zip"):
        path.unlink()
    started = project.start("build")
    while not list(project.path("build").glob("Shared*.zip")) and started.poll() is None:
        pass
    started.kill()
    started.communicate()

    project.build()

    assert project.zips() == whole

"""The constructs for the AWS CDK: real apps, synthesised offline, in Python and in TypeScript."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import jsonschema
import pytest
from cdk import cdk_modules, cdk_python, cdk_tools
from cdk_constructs import OURS, QUIET, CdkApp, compiled, npm_package, of_type, with_packages
from sandbox import Ran

__all__ = ["cdk_modules", "cdk_python", "cdk_tools", "npm_package"]

SOURCES = {
    "src/orders/app.py": "import idna, tool\n\n\ndef handler(event, context): return 1\n",
    "src/orders/requirements.txt": "idna==3.10\n",
    "src/refunds/app.py": "def handler(event, context): return 2\n",
    "layer/python/tool.py": "X = 1\n",
}
IN_PYTHON = """
import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from lambdabuild.cdk import Function, Layer

PYTHON = dict(handler="app.handler", runtime=lambda_.Runtime.PYTHON_3_11)

class Child(cdk.NestedStack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        Function(self, "Nested", path="src/refunds", **PYTHON)

class Shop(cdk.Stack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        tools = Layer(self, "Tools", path="layer")
        Function(self, "Orders", path="src/orders", layers=[tools], memory_size=256, **PYTHON).current_version
        Function(self, "Refunds", path="src/refunds", architecture=lambda_.Architecture.ARM_64, **PYTHON)
        Child(self, "Child")

app = cdk.App()
Shop(app, "Shop")
Shop(cdk.Stage(app, "Prod"), "Shop")
app.synth()
"""
IN_TYPESCRIPT = """
import { App, NestedStack, Stack, Stage } from 'aws-cdk-lib';
import { Architecture, Runtime } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { LambdabuildFunction, LambdabuildLayer } from 'lambdabuild-cdk';

const python = { handler: 'app.handler', runtime: Runtime.PYTHON_3_11 };

class Child extends NestedStack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    new LambdabuildFunction(this, 'Nested', { path: 'src/refunds', ...python });
  }
}

class Shop extends Stack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    const tools = new LambdabuildLayer(this, 'Tools', { path: 'layer' });
    new LambdabuildFunction(this, 'Orders', { path: 'src/orders', layers: [tools], memorySize: 256, ...python }).currentVersion;
    new LambdabuildFunction(this, 'Refunds', { path: 'src/refunds', architecture: Architecture.ARM_64, ...python });
    new Child(this, 'Child');
  }
}

const app = new App();
new Shop(app, 'Shop');
new Shop(new Stage(app, 'Prod'), 'Shop');
app.synth();
"""


@pytest.fixture(scope="module")
def shop(cdk_python: Path, tmp_path_factory: pytest.TempPathFactory) -> CdkApp:
    """An app in Python, synthesised once."""
    app = CdkApp(tmp_path_factory.mktemp("shop"), checks_handlers=True)
    app.write({**SOURCES, "app.py": IN_PYTHON})
    ran = app.synth([str(cdk_python), "app.py"])
    assert ran.code == 0, ran.said
    assert len(app.runs) == 1
    assert "built 3 functions and 1 layer" in ran.err, ran.said
    return app


def without_notes_of_jsii(ran: Ran) -> str:
    """What was said, without its warning of old versions of Node.js."""
    return "".join(line for line in ran.err.splitlines(keepends=True) if not line.startswith("b'!!"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def key_of(resource: dict) -> str:
    properties = resource["Properties"]
    return properties.get("Code", properties.get("Content"))["S3Key"]


def test_every_asset_is_the_artifact_under_its_own_digest(shop: CdkApp) -> None:
    for out, name in (("cdk.out", "Shop"), ("cdk.out/assembly-Prod", "ProdShop82526E42")):
        files = shop.files(name, out)
        assert len(files) == 3  # of Refunds and Nested, which are alike, there is one
        for key, file in files.items():
            assert file["source"]["packaging"] == "file"
            assert digest(shop.path(out) / file["source"]["path"]) == key
            assert {one["objectKey"] for one in file["destinations"].values()} == {f"{key}.zip"}
    built = {path.name: digest(path) for path in shop.path(".lambdabuild/cdk").glob("*.zip")}
    template = shop.template("Shop")
    assert key_of(of_type(template, "Function")["Orders"]) == f"{built['Orders.zip']}.zip"
    assert key_of(of_type(template, "LayerVersion")["Tools"]) == f"{built['Tools.zip']}.zip"


def test_the_zip_is_what_lambdabuild_makes(shop: CdkApp) -> None:
    orders = of_type(shop.template("Shop"), "Function")["Orders"]
    with zipfile.ZipFile(shop.path("cdk.out") / orders["Metadata"]["aws:asset:path"]) as archive:
        assert {"app.py", "idna/__init__.py"} <= set(archive.namelist())
    assert orders["Metadata"]["aws:asset:is-bundled"] is True
    assert orders["Metadata"]["aws:asset:property"] == "Code"
    assert orders["Properties"]["MemorySize"] == 256


def test_a_nested_stack_and_a_stage_have_their_functions_of_the_same_run(shop: CdkApp) -> None:
    nested = next(shop.path("cdk.out").glob("ShopChild*.nested.template.json"))
    inner = of_type(json.loads(nested.read_text()), "Function")["Nested"]
    prod = of_type(shop.template("ProdShop82526E42", "cdk.out/assembly-Prod"), "Function")
    refunds = of_type(shop.template("Shop"), "Function")["Refunds"]
    assert f"{digest(shop.path('.lambdabuild/cdk/Child-Nested.zip'))}.zip" == key_of(inner)
    assert key_of(prod["Refunds"]) == key_of(refunds)
    assert refunds["Properties"]["Architectures"] == ["arm64"]


def test_the_asset_manifest_is_as_the_cdks_schema_has_it(shop: CdkApp, cdk_tools: Path) -> None:
    schema = json.loads((cdk_tools / "@aws-cdk/cloud-assembly-schema/schema/assets.schema.json").read_text())
    jsonschema.validate(json.loads(shop.path("cdk.out/Shop.assets.json").read_text()), schema)


def test_typescript_gives_the_same_templates(
    shop: CdkApp, cdk_modules: Path, npm_package: Path, tmp_path: Path
) -> None:
    app = with_packages(CdkApp(tmp_path, checks_handlers=True), cdk_modules, npm_package)
    app.write({**SOURCES, "app.ts": IN_TYPESCRIPT})
    ran = compiled(app, cdk_modules)
    assert ran.code == 0, ran.said
    for built in ("built 3 functions and 1 layer", ""):
        ran = app.synth(["node", "app.js"], lambdabuild__command=OURS, **{"lambdabuild:command": OURS})
        assert ran.code == 0, ran.said
        assert len(app.runs) == 1
        assert built in ran.err if built else not ran.err, ran.said
    assert app.template("Shop")["Resources"] == shop.template("Shop")["Resources"]
    assert app.files("Shop") == shop.files("Shop")


def test_an_edit_builds_one_function_and_nothing_changed_builds_none(cdk_python: Path, tmp_path: Path) -> None:
    app = CdkApp(tmp_path).write({**SOURCES, "app.py": IN_PYTHON})
    command = [str(cdk_python), "app.py"]
    assert app.synth(command).code == 0
    before = app.template("Shop")
    ran = app.synth(command)
    assert (ran.code, without_notes_of_jsii(ran), len(app.runs)) == (0, "", 1)
    assert app.template("Shop") == before

    app.append("src/orders/app.py", "# more\n")
    ran = app.synth(command)
    assert "built 1 function; reused 2 functions and 1 layer" in ran.err, ran.said
    before, after = of_type(before, "Function"), of_type(app.template("Shop"), "Function")
    assert {name for name in before if key_of(before[name]) != key_of(after[name])} == {"Orders"}
    versions = [name for name in app.template("Shop")["Resources"] if "CurrentVersion" in name]
    assert len(versions) == 1


def test_cdk_ls_builds_nothing_and_cdk_synth_what_it_names(cdk_python: Path, cdk_tools: Path, tmp_path: Path) -> None:
    app = CdkApp(tmp_path).write(
        {**SOURCES, "app.py": IN_PYTHON, "cdk.json": json.dumps({"app": f"{cdk_python} app.py"})}
    )
    program = ["node", str(cdk_tools / "aws-cdk/bin/cdk"), "--no-notices"]
    listed = app.command([*program, "ls"], env=QUIET)
    assert listed.code == 0, listed.said
    assert "Shop" in listed.out.split()
    assert (app.runs, app.path(".lambdabuild").exists()) == ([], False)

    ran = app.command([*program, "synth", "--quiet", "--exclusively", "Shop"], env=QUIET)
    assert ran.code == 0, ran.said
    assert len(app.runs) == 1
    assert {file["source"]["packaging"] for file in app.files("Shop").values()} == {"file"}


MANY = """
import { App, Stack } from 'aws-cdk-lib';
import { Runtime } from 'aws-cdk-lib/aws-lambda';
import { LambdabuildFunction } from 'lambdabuild-cdk';

const stack = new Stack(new App(), 'Hundred');
for (let i = 0; i < 100; i++) {
  new LambdabuildFunction(stack, `F${i}`, { path: `src/f${i}`, handler: 'app.handler', runtime: Runtime.PYTHON_3_11 });
}
(stack.node.root as App).synth();
"""


def test_a_hundred_functions_are_one_run(cdk_modules: Path, npm_package: Path, tmp_path: Path) -> None:
    app = with_packages(CdkApp(tmp_path), cdk_modules, npm_package)
    app.write({f"src/f{i}/app.py": f"def handler(event, context): return {i}\n" for i in range(100)} | {"app.ts": MANY})
    ran = compiled(app, cdk_modules)
    assert ran.code == 0, ran.said
    ran = app.synth(["node", "app.js"], **{"lambdabuild:command": OURS})
    assert ran.code == 0, ran.said
    assert len(app.runs) == 1
    keys = {key_of(one) for one in of_type(app.template("Hundred"), "Function").values()}
    assert len(keys) == 100
    assert {path.name for path in app.path("cdk.out").glob("asset.*")} == {f"asset.{key}" for key in keys}


DETAILS = """
import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from lambdabuild.cdk import Function, Layer

PYTHON = dict(handler="app.handler", runtime=lambda_.Runtime.PYTHON_3_11)

@jsii.implements(cdk.IAspect)
class OnArm:
    def visit(self, node):
        if isinstance(node, lambda_.CfnFunction):
            node.architectures = ["arm64"]

app = cdk.App()
names = cdk.Stack(app, "Names")
Function(Construct(names, "a"), "b c", path="src/refunds", **PYTHON)
Function(Construct(names, "a-b"), "c", path="src/orders", settings={"dependencies": False, "check_handler": False}, **PYTHON)
Function(names, "L" * 200, path="src/refunds", **PYTHON)
Function(names, "Own", path="service/code", build_name="orders", **PYTHON)
Function(names, "Whole", path=".", **PYTHON, settings={"exclude": ["service/"], "check_handler": "false"})
arm = cdk.Stack(app, "Arm")
cdk.Aspects.of(arm).add(OnArm())
Layer(arm, "Packages", manifest="native.txt", compatible_runtimes=[PYTHON["runtime"]],
      compatible_architectures=[lambda_.Architecture.ARM_64])
both = Layer(arm, "Both", path="layer")
other = lambda_.LayerVersion.from_layer_version_arn(arm, "Other", "arn:aws:lambda:eu-west-1:123456789012:layer:other:1")
Function(arm, "Native", path="src/native", layers=[both, other], **PYTHON)
app.synth()
"""


@pytest.fixture(scope="module")
def details(cdk_python: Path, tmp_path_factory: pytest.TempPathFactory) -> CdkApp:
    app = CdkApp(tmp_path_factory.mktemp("details"), checks_handlers=True).write({
        **SOURCES, "app.py": DETAILS, "native.txt": "markupsafe==3.0.2\n",
        "src/native/app.py": "import tool, other\n\n\ndef handler(event, context): pass\n",
        "src/native/requirements.txt": "markupsafe==3.0.2\n",
        "service/lambdabuild.toml": '[functions.orders]\nexclude = ["secret.txt"]\n',
        "service/code/app.py": "def handler(event, context): pass\n", "service/code/secret.txt": "no",
        # Descriptions of something else, which an app's folder may have, too.
        "template.yaml": "Resources: {Orders: {Type: AWS::Serverless::Function}}\n",
    })  # fmt: skip
    app.write({"layer/python/tool.py": "X = 1\n"})
    for _ in range(2):  # the second time cdk.out is there
        ran = app.synth([str(cdk_python), "app.py"])
        assert ran.code == 0, ran.said
    return app


def names_in(app: CdkApp, resource: dict) -> list[str]:
    with zipfile.ZipFile(app.path("cdk.out") / f"asset.{key_of(resource)}") as archive:
        return archive.namelist()


def test_any_id_becomes_a_legal_name_of_its_own(details: CdkApp) -> None:
    functions = of_type(details.template("Names"), "Function")
    assert names_in(details, functions["b c"]) == ["app.py"]
    assert key_of(functions["b c"]) == key_of(functions["L" * 200]) != key_of(functions["c"])
    built = {path.stem for path in details.path(".lambdabuild/cdk").glob("*.zip")}
    assert all(len(name) <= 64 for name in built)
    assert len([name for name in built if name.startswith("a-b-c-")]) == 2


def test_the_nearest_settings_file_applies_under_the_name_that_was_given(details: CdkApp) -> None:
    assert names_in(details, of_type(details.template("Names"), "Function")["Own"]) == ["app.py"]
    assert [run.rpartition("build_dir")[0].split()[-1] for run in details.runs][-1] == "orders"
    assert len(details.runs) == 2


def test_a_cloud_assembly_in_a_functions_folder_is_not_in_its_zip(details: CdkApp) -> None:
    names = names_in(details, of_type(details.template("Names"), "Function")["Whole"])
    assert "src/orders/app.py" in names
    assert not [name for name in names if name.startswith(("cdk.out", ".lambdabuild", "service"))]


def test_what_an_aspect_says_is_built(details: CdkApp) -> None:
    native = of_type(details.template("Arm"), "Function")["Native"]
    assert native["Properties"]["Architectures"] == ["arm64"]
    assert any(name.endswith("aarch64-linux-gnu.so") for name in names_in(details, native))


def test_a_layer_may_have_nothing_but_a_manifest(details: CdkApp) -> None:
    packages = of_type(details.template("Arm"), "LayerVersion")["Packages"]
    assert any(name.endswith("aarch64-linux-gnu.so") for name in names_in(details, packages))
    assert packages["Properties"]["CompatibleRuntimes"] == ["python3.11"]


MISTAKES = """
import json, os, traceback
import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from lambdabuild.cdk import Function, Layer

PYTHON = dict(handler="app.handler", runtime=lambda_.Runtime.PYTHON_3_11)
BOTH = dict(compatible_architectures=[lambda_.Architecture.X86_64, lambda_.Architecture.ARM_64],
            compatible_runtimes=[PYTHON["runtime"]])
UNKNOWN = lambda_.Runtime(cdk.Fn.ref("AWS::Region"), lambda_.RuntimeFamily.PYTHON)
CASES = {
    "no folder": lambda s: Function(s, "F", path="src/ordres", **PYTHON),
    "code too": lambda s: Function(s, "F", path="src/refunds", code=lambda_.Code.from_inline("x"), **PYTHON),
    "nothing to build": lambda s: Layer(s, "L"),
    "no manifest": lambda s: Layer(s, "L", manifest="requirements.txt"),
    "comma": lambda s: Function(s, "F", path="src/refunds", settings={"exclude": ["a,b"]}, **PYTHON),
    "object": lambda s: Function(s, "F", path="src/refunds", settings={"exclude": object()}, **PYTHON),
    "unknown setting": lambda s: Function(s, "F", path="src/refunds", settings={"exlcude": ["a"]}, **PYTHON),
    "unknown runtime": lambda s: Function(s, "F", path="src/refunds", runtime=UNKNOWN, handler="app.handler"),
    "no handler": lambda s: Function(s, "F", path="src/refunds", runtime=PYTHON["runtime"], handler="nope.handler"),
    "no package": lambda s: Function(s, "F", path="src/broken", **PYTHON),
    "no manifest of its rule": lambda s: Function(s, "F", path="src/refunds", runtime=lambda_.Runtime.JAVA_21, handler="a.B::c"),
    "two layers": lambda s: Layer(s, "L", manifest="native.txt", **BOTH),
}
said = {}
for name, make in CASES.items():
    app = cdk.App()
    try:
        make(cdk.Stack(app, "Stack"))
        app.synth()
    except Exception as error:
        said[name] = str(error)
json.dump(said, open("said.json", "w"))
"""


@pytest.fixture(scope="module")
def mistakes(cdk_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    app = CdkApp(tmp_path_factory.mktemp("mistakes"), checks_handlers=True).write({
        **SOURCES, "app.py": MISTAKES, "native.txt": "markupsafe==3.0.2\n",
        "src/broken/app.py": "def handler(event, context): pass\n",
        "src/broken/requirements.txt": "idna==999.0\n",
    })  # fmt: skip
    ran = app.synth([str(cdk_python), "app.py"])
    assert ran.code == 0, ran.said
    return json.loads(app.path("said.json").read_text())


@pytest.mark.parametrize(
    ("case", "code", "text"),
    [
        ("no folder", "LB302", "the code folder src/ordres of Stack/F does not exist"),
        ("code too", "LB107", "Stack/F has a code"),
        ("nothing to build", "LB107", "neither a path nor a manifest"),
        ("no manifest", "LB302", "the manifest requirements.txt of Stack/L does not exist"),
        ("comma", "LB107", "the setting functions.F.exclude cannot be ['a,b']"),
        ("object", "LB107", "the setting functions.F.exclude cannot be <object"),
        ("unknown setting", "LB107", "did you mean 'exclude'?"),
        ("unknown runtime", "LB106", "the runtime of Stack/F is not known before it is deployed"),
        ("no handler", "LB4", "nope"),
        ("no package", "LB4", "idna==999.0"),
        ("no manifest of its rule", "LB303", "pom.xml"),
        ("two layers", "LB610", "the layer Stack/L is not the same for"),
    ],
)
def test_a_mistake_fails_the_synth_with_its_code_and_what_to_do(
    case: str, code: str, text: str, mistakes: dict[str, str]
) -> None:
    said = mistakes[case]
    assert code in said
    assert text in said
    assert "help:" in said
    assert "\x1b" not in said


BAD_APPS = {
    "no program": ("{ path: 'src/refunds', ...python }", "LB501", "nowhere-to-be-found"),
    "no folder": ("{ path: 'src/ordres', ...python }", "LB302", "the code folder src/ordres of Stack/F"),
    "no handler": ("{ path: 'src/refunds', ...python, handler: 'nope.handler' }", "LB502", "nope"),
    "comma": ("{ path: 'src/refunds', ...python, settings: { exclude: ['a,b'] } }", "LB107", "functions.F.exclude"),
}


@pytest.mark.parametrize("case", BAD_APPS)
def test_a_mistake_in_typescript_has_the_same_code(
    case: str, cdk_modules: Path, npm_package: Path, tmp_path: Path
) -> None:
    properties, code, text = BAD_APPS[case]
    app = with_packages(CdkApp(tmp_path, checks_handlers=True), cdk_modules, npm_package)
    app.write({**SOURCES, "app.js": f"""
        const {{ App, Stack }} = require('aws-cdk-lib');
        const {{ Runtime }} = require('aws-cdk-lib/aws-lambda');
        const {{ LambdabuildFunction }} = require('lambdabuild-cdk');
        const python = {{ handler: 'app.handler', runtime: Runtime.PYTHON_3_11 }};
        const app = new App();
        new LambdabuildFunction(new Stack(app, 'Stack'), 'F', {properties});
        app.synth();
    """})  # fmt: skip
    command = "nowhere-to-be-found" if case == "no program" else OURS
    ran = app.synth(["node", "app.js"], **{"lambdabuild:command": command})
    assert ran.code == 1
    assert f"{code}: " in ran.err
    assert text in ran.err
    assert "help: " in ran.err


def test_the_types_refuse_a_code_and_an_unknown_property(cdk_modules: Path, npm_package: Path, tmp_path: Path) -> None:
    app = with_packages(CdkApp(tmp_path), cdk_modules, npm_package)
    app.write({"app.ts": """
        import { Stack } from 'aws-cdk-lib';
        import { Code, Runtime } from 'aws-cdk-lib/aws-lambda';
        import { LambdabuildFunction } from 'lambdabuild-cdk';
        const python = { handler: 'app.handler', runtime: Runtime.PYTHON_3_11 };
        new LambdabuildFunction(new Stack(), 'A', { path: '.', ...python, memorySize: 1 });
        new LambdabuildFunction(new Stack(), 'B', { path: '.', ...python, memroySize: 1 });
        new LambdabuildFunction(new Stack(), 'C', { ...python });
        new LambdabuildFunction(new Stack(), 'D', { path: '.', code: Code.fromInline('x'), ...python });
    """})  # fmt: skip
    ran = compiled(app, cdk_modules)
    assert ran.code == 2
    assert [line.partition("(")[2].partition(",")[0] for line in ran.out.splitlines() if line.startswith("app.ts")] == [
        "7", "8", "9",
    ]  # fmt: skip


def test_a_custom_command_of_the_guide_builds_a_function_at_every_synth(cdk_modules: Path, tmp_path: Path) -> None:
    app = CdkApp(tmp_path)
    app.path("node_modules").mkdir()
    for name in ("aws-cdk-lib", "constructs"):
        app.path(f"node_modules/{name}").symlink_to(cdk_modules / name)
    app.write({**SOURCES, "lambdabuild.toml": """
        [functions.orders]
        path = "src/refunds"
        runtime = "python3.11"
        handler = "app.handler"
    """, "app.js": f"""
        const {{ App, Stack }} = require('aws-cdk-lib');
        const lambda = require('aws-cdk-lib/aws-lambda');
        const app = new App();
        new lambda.Function(new Stack(app, 'Stack'), 'Orders', {{
          code: lambda.Code.fromCustomCommand('build/orders.zip', {json.dumps([*OURS, "build", "orders"])}),
          handler: 'app.handler',
          runtime: lambda.Runtime.PYTHON_3_11,
        }});
        app.synth();
    """})  # fmt: skip
    for stacks in (["**"], []):  # cdk synth, cdk ls
        ran = app.synth(["node", "app.js"], **{"aws:cdk:bundling-stacks": stacks})
        assert ran.code == 0, ran.said
        assert len(app.runs) == 1
        metadata = of_type(app.template("Stack"), "Function")["Orders"]["Metadata"]
        assert digest(app.path("cdk.out") / metadata["aws:asset:path"]) == digest(app.path("build/orders.zip"))

"""[sources]: a distribution of the project's own, built by its own backend and published under its version."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import invoke
import pytest
import yaml
from rule_example import unzipped
from s3_server import S3Server
from sandbox import ROOT, Ran, Sandbox

from lambdabuild.api import source_packages
from lambdabuild.core.errors import CannotWrite, VersionTaken

SEED = ROOT / "tests/seeds/my-lambda-project"
MODULE = "my_lambda_app/lambda_function.py"
VERSION_1, VERSION_2 = "lambda/source/0.1.1/source.zip", "lambda/source/0.1.2/source.zip"
SETTINGS = """
    bucket = "artifacts"
    region = "eu-west-1"
    [tags]
    team = "orders"
    [sources.app]
    prefix = "lambda"
    tags = { stage = "test" }
    metadata = { commit = "c0ffee" }
    """


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


@pytest.fixture
def bucket(server: S3Server) -> Any:
    """An empty bucket called artifacts, as a client."""
    client = server.client()
    try:
        for item in client.list_objects_v2(Bucket="artifacts").get("Contents", ()):
            client.delete_object(Bucket="artifacts", Key=item["Key"])
    except client.exceptions.NoSuchBucket:
        server.bucket("artifacts")
    return client


def environment(server: S3Server) -> dict[str, str]:
    """boto3 finds the server by itself, so that nothing in the settings says that it is not AWS."""
    return {**server.environment, "AWS_ENDPOINT_URL": server.url}


def seed(project: Sandbox, settings: str = SETTINGS) -> Sandbox:
    shutil.copytree(SEED, project.folder, dirs_exist_ok=True)
    return project.write({"lambdabuild.toml": settings})


def with_version(project: Sandbox, version: str) -> None:
    text = project.path("pyproject.toml").read_text()
    project.write({"pyproject.toml": text.replace(text.partition('version = "')[2].partition('"')[0], version)})


def stored(bucket: Any, key: str) -> Mapping[str, Any]:
    """All that S3 says of an object, and its bytes."""
    found = bucket.get_object(Bucket="artifacts", Key=key)
    return {name: found[name] for name in ("ETag", "LastModified", "Metadata", "ContentType")} | {
        "bytes": found["Body"].read()
    }


def run(project: Sandbox, server: S3Server, *arguments: str) -> Ran:
    return project.run(*arguments, env=environment(server))


def test_a_version_is_published_once_and_the_next_leaves_it_as_it_is(
    project: Sandbox, server: S3Server, bucket: Any
) -> None:
    ran = run(seed(project), server, "build")
    assert ran.code == 0, ran.said
    sha256 = hashlib.sha256(project.path("build/app.zip").read_bytes()).hexdigest()
    first = stored(bucket, VERSION_1)
    tags = bucket.get_object_tagging(Bucket="artifacts", Key=VERSION_1)["TagSet"]

    assert first["Metadata"] == {"commit": "c0ffee", "sha256": sha256}
    assert first["ContentType"] == "application/zip"
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "orders", "stage": "test"}
    assert f"https://console.aws.amazon.com/s3/object/artifacts?region=eu-west-1&prefix={VERSION_1}" in ran.out
    assert hashlib.sha256(first["bytes"]).hexdigest() == sha256
    assert project.names("app") == [
        "my_lambda_app-0.1.1.dist-info/METADATA", "my_lambda_app-0.1.1.dist-info/top_level.txt",
        "my_lambda_app/__init__.py", "my_lambda_app/business_logic.py", "my_lambda_app/lambda_function.py",
    ]  # fmt: skip
    assert {path.name for path in project.folder.iterdir()} == {
        "pyproject.toml",
        "lambdabuild.toml",
        "my_lambda_app",
        "build",
    }
    answer = invoke.python(unzipped(project, "app"), {}, "my_lambda_app.lambda_function.lambda_handler")
    assert answer == {"statusCode": 200, "body": "Hello from Lambda!"}
    assert run(project, server, "build").out == "nothing to do: 1 source up to date\n"
    assert "1 there already" in after_forgetting(project, server).out

    project.append(MODULE, "# other bytes\n")
    assert "my_lambda_app/lambda_function.py changed" in run(project, server, "why", "app").out
    refused = run(project, server, "build")
    other = hashlib.sha256(project.path("build/app.zip").read_bytes()).hexdigest()
    assert refused.code == 1
    assert all(words in refused.err for words in ("LB606", sha256, other, "raise the version"))
    with_version(project, "0.1.2")
    assert run(project, server, "build").code == 0
    assert stored(bucket, VERSION_2)["Metadata"]["sha256"] != sha256
    assert stored(bucket, VERSION_1) == first


def after_forgetting(project: Sandbox, server: S3Server) -> Ran:
    for command in (("clean",), ("forget",)):
        assert run(project, server, *command).code == 0
    return run(project, server, "build")


def test_a_development_version_is_replaced_when_that_is_asked_for(project: Sandbox) -> None:
    settings = "[sources.app]\n"
    seed(project, settings)
    with_version(project, "0.1.2.dev1")
    there = project.path("build/.store/source/0.1.2.dev1/source.zip")
    project.build()
    before = there.read_bytes()
    project.append(MODULE, "# more\n")
    assert "LB606" in project.run("build").err
    assert there.read_bytes() == before
    project.write({"lambdabuild.toml": settings + "overwrite = true\n"}).build()
    assert there.read_bytes() == project.path("build/app.zip").read_bytes() != before

    with_version(project, "0.1.2")
    project.build()
    project.append(MODULE, "# and more\n")
    assert "LB606" in project.run("build").err


def contend(barrier: Any, answers: Any, name: str, folder: str, to: source_packages.Destination, rounds: int) -> None:
    """One CI job: publishes zips of its own as versions that another publishes at the same moment."""
    for number in range(rounds):
        path = Path(folder) / f"{name}-{number}.zip"
        path.write_bytes(f"{name} {number}".encode())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        barrier.wait()
        try:
            source_packages.upload(source_packages.Zipped(str(path), sha256, path.stat().st_size), f"1.0.{number}", to)
            answers.put((number, "won", sha256, ""))
        except VersionTaken as error:
            answers.put((number, "lost", sha256, str(error)))


@pytest.mark.parametrize("where", ["s3", "folder"])
def test_of_two_processes_that_publish_one_version_one_wins_and_the_other_is_told(
    where: str, server: S3Server, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    rounds, fork = 30, multiprocessing.get_context("spawn")
    to = source_packages.Destination("artifacts" if where == "s3" else "", str(tmp_path / "store"), "race", "eu-west-1")
    barrier, answers = fork.Barrier(2), fork.Queue()
    jobs = [
        fork.Process(target=contend, args=(barrier, answers, name, str(tmp_path), to, rounds)) for name in ("a", "b")
    ]
    for job in jobs:
        job.start()
    found = [answers.get(timeout=120) for _ in range(2 * rounds)]
    for job in jobs:
        job.join()
    for number in range(rounds):
        said = {how: (sha256, text) for of, how, sha256, text in found if of == number}
        key = f"race/source/1.0.{number}/source.zip"
        content = stored(bucket, key)["bytes"] if where == "s3" else (tmp_path / "store" / key).read_bytes()

        assert set(said) == {"won", "lost"}
        assert hashlib.sha256(content).hexdigest() == said["won"][0]
        assert said["won"][0] in said["lost"][1]
        assert said["lost"][0] in said["lost"][1]


def test_the_steps_can_be_called_one_by_one_and_make_what_the_tasks_make(project: Sandbox, tmp_path: Path) -> None:
    seed(project, "[sources.app]\n").build()
    project.path("build").rename(tmp_path / "built")
    built = source_packages.build(project.folder, project.path("out/source"))
    zipped = source_packages.write_zip(built.folder, project.path("out/source.zip"))

    assert (built.name, built.version, built.requires) == ("my-lambda-app", "0.1.1", ())
    assert Path(zipped.path).read_bytes() == (tmp_path / "built/app.zip").read_bytes()
    to = source_packages.Destination(folder=str(tmp_path / "store"), prefix="lambda")
    first = source_packages.upload(zipped, built.version, to)
    assert (first.sent, first.key, first.sha256) == (True, VERSION_1, zipped.sha256)
    again = source_packages.release(project.folder, project.path("out"), to, resolver="pip")
    assert (again.published.sent, again.published.location) == (False, first.location)
    with pytest.raises(CannotWrite):
        source_packages.build(project.folder, project.path("my_lambda_app"))
    assert project.path(MODULE).exists()


def test_the_example_of_the_docs_does_what_it_says(
    tmp_path: Path, server: S3Server, bucket: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs/guides/source-artifacts.md").read_text()
    example = next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    shutil.copytree(SEED, tmp_path / "my-lambda-project")
    monkeypatch.chdir(tmp_path)
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    exec(example.replace('"my-bucket"', '"artifacts"'), {})

    found = stored(bucket, VERSION_1)
    assert found["Metadata"]["commit"] == "c0ffee"
    said = capsys.readouterr().out.split()
    assert said[:3] == [f"s3://artifacts/{VERSION_1}", found["Metadata"]["sha256"], "True"]
    assert said[3].startswith("https://console.aws.amazon.com/s3/object/artifacts?")


FUNCTION = """
  {name}:
    Type: AWS::Serverless::Function
    Properties: {{Runtime: python3.11, Handler: {handler}, CodeUri: {code}}}
"""


def template(**functions: str) -> str:
    """``Name="handler code"``."""
    resources = (
        FUNCTION.format(name=name, handler=said.split()[0], code=said.split()[1]) for name, said in functions.items()
    )
    return "Transform: AWS::Serverless-2016-10-31\nResources:" + "".join(resources)


SHOP = {
    "pyproject.toml": '[project]\nname = "shop"\nversion = "2.0.0"\ndependencies = ["idna==3.10"]\n[tool.setuptools.packages.find]\nwhere = ["src"]\n',
    "src/shop/__init__.py": "import idna\n\ndef answer(event, context):\n    return idna.encode(event).decode()\n",
    "src/shop/orders.py": "from shop import answer as handler\n",
    "src/handler_outside.py": "",
}


def test_functions_of_one_distribution_are_packaged_once_with_what_they_depend_on(project: Sandbox) -> None:
    settings = "[functions.Orders]\npackaged = true\n[functions.Refunds]\npackaged = true\nexclude = ['orders.py']\n"
    functions = {"Orders": "shop.orders.handler src", "Refunds": "shop.answer src", "Plain": "shop.answer src"}
    project.write({**SHOP, "template.yaml": template(**functions), "lambdabuild.toml": settings})
    steps = project.build().steps

    assert [step for step in steps if step.startswith("package:")] == ["package:Orders"]
    assert len([step for step in steps if step.startswith("resolve:")]) == 1
    assert {"shop/orders.py", "shop-2.0.0.dist-info/METADATA", "idna/__init__.py"} <= set(project.names("Orders"))
    assert "shop/orders.py" not in project.names("Refunds")
    assert "handler_outside.py" in project.names("Plain")
    assert invoke.python(unzipped(project, "Orders"), "ü", "shop.orders.handler") == "xn--tda"
    assert project.build().steps == []
    project.append("src/handler_outside.py", "# no part of it\n")
    assert not {"zip:Orders", "zip:Refunds"} & set(project.build().steps)

    command = """
        bytecode = true
        [functions.Orders]
        packaged = true
        [commands.Orders]
        run = 'cp "$SOURCE_DIR/handler_outside.py" "$ARTIFACTS_DIR/added.txt"'
        adds = true
        """
    project.write({"template.yaml": template(Orders=functions["Orders"]), "lambdabuild.toml": command}).build()
    compiled = {name for name in project.names("Orders") if name.endswith(".pyc") and not name.startswith("idna")}
    assert compiled == {f"shop/__pycache__/{name}.cpython-311.pyc" for name in ("__init__", "orders")}
    assert "added.txt" in project.names("Orders")


def test_a_function_that_could_not_start_from_its_distribution_is_refused(project: Sandbox) -> None:
    text = SHOP["pyproject.toml"].replace("dependencies", 'requires-python = ">=3.12"\ndependencies')
    project.write(
        {**SHOP, "pyproject.toml": text, "lambdabuild.toml": "[sources.shop]\n[functions.Orders]\nsource = 'shop'\n"}
    )
    project.write({"template.yaml": template(Orders="handler_outside.handler src")})
    ran = project.run("build", "check_handler=true")
    assert all(
        words in ran.err for words in ("LB609", "src/handler_outside.py lies beside it", "shop.handler_outside.handler")
    )
    assert "template.yaml:3:3" in ran.err
    assert "function 'Orders' runs python3.11, but shop requires Python >=3.12" in ran.err


def test_a_function_has_a_source_for_its_code_and_can_go_back_to_an_older_version(project: Sandbox) -> None:
    settings = "[sources.app]\nprefix = 'lambda'\n[functions.Hello]\nsource = 'app'\n"
    seed(project, settings).write(
        {"template.yaml": template(Hello="my_lambda_app.lambda_function.lambda_handler nowhere")}
    )
    project.build()
    assert code_uri(project) == f".store/{VERSION_1}"
    assert project.path("build/Hello/my_lambda_app/lambda_function.py").exists()
    assert project.manifest["functions"]["Hello"]["version"] == project.manifest["sources"]["app"]["version"] == "0.1.1"
    project.append(MODULE, "# the next\n")
    with_version(project, "0.1.2")
    project.build()
    assert code_uri(project) == f".store/{VERSION_2}"

    back = project.build("functions.Hello.source_version=0.1.1")
    assert "upload:Hello" in back.steps
    assert code_uri(project) == f".store/{VERSION_1}"
    assert project.build("functions.Hello.source_version=0.1.1").steps == []
    project.write({"lambdabuild.toml": settings + "source_version = '0.0.9'\n"})
    ran = project.run("build")
    assert all(words in ran.err for words in ("LB608", "0.0.9", "Hello"))


def code_uri(project: Sandbox) -> str:
    text = project.path("build/packaged-template.yaml").read_text()
    return str(yaml.safe_load(text)["Resources"]["Hello"]["Properties"]["CodeUri"])


def test_a_serverless_yml_has_sources_and_packaged_functions_too(
    project: Sandbox, server: S3Server, bucket: Any
) -> None:
    project.write({
        **SHOP,
        "serverless.yml": "service: shop\nprovider: {name: aws, runtime: python3.11, deploymentBucket: artifacts, region: eu-west-1}\n"
        "package: {individually: true}\nfunctions:\n  orders: {handler: shop.orders.handler}\n  back: {handler: shop.answer}\n",
        "lambdabuild.toml": "[sources.shop]\n[functions.orders]\npackaged = true\n[functions.back]\nsource = 'shop'\n",
    })  # fmt: skip
    ran = run(project, server, "build")
    assert ran.code == 0, ran.said
    resources = json.loads(project.path("build/packaged-template.json").read_text())["Resources"]
    assert resources["BackLambdaFunction"]["Properties"]["Code"]["S3Key"] == "source/2.0.0/source.zip"
    assert "shop requires idna==3.10, which layers must have" in ran.out
    assert "idna/core.py" in project.names("orders")
    assert "idna/core.py" not in project.names("shop")
    back = run(project, server, "build", "functions.back.source_version=2.0.0")
    assert back.code == 0, back.said
    assert json.loads(project.path("build/packaged-template.json").read_text())["Resources"] == resources


def test_a_project_whose_settings_say_what_to_build_needs_no_template(project: Sandbox) -> None:
    seed(project, "[sources.app]\n")
    for command, has in (("list", "source"), ("list --all", "upload:app"), ("plan", "published as source/VERSION"), ("why", "not been run yet"), ("clean", ""), ("init", "dodo.py")):  # fmt: skip
        ran = project.run(*command.split())
        assert ran.code == 0, ran.said
        assert has in ran.out
        assert "template" not in ran.out
    assert "upload:app" in project.run("info", "source:app").out
    project.path("dodo.py").unlink()
    forked = project.run("run", "-n", "2", "-P", "process", "-a", timeout=60)
    assert forked.code == 0, forked.said
    project.path("pyproject.toml").rename(project.path("moved"))
    project.write({"lambdabuild.toml": ""})
    refused = project.run("build")
    assert refused.code == 3
    assert "LB101" in refused.err
    assert "[sources.NAME]" in refused.err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("[sources.a]\n[sources.b]\n", "LB107]: the sources 'a' and 'b' have the same prefix"),
        ("[sources.a]\npath = 'nowhere'\n", "LB302]: the folder nowhere/ of source 'a'"),
        ("[sources.a]\npath = 'my_lambda_app'\n", "LB303]: source 'a' has no pyproject.toml or setup.py"),
        ("[sources.a]\nmetadata = { sha256 = 'x' }\n", "metadata cannot be 'sha256'"),
        ("[sources.a]\nmetadata = { author = 'Zoë' }\n", "metadata cannot be 'author'"),
        ("[sources.'a b']\n", "cannot be the name of a source"),
        ("[sources.Hello]\n", "the source 'Hello' has the name of something in the template"),
        ("[sources.a]\n[functions.Hello]\nsource = 'b'\n", "names the source 'b'"),
        ("[functions.Hello]\nsource_version = '1'\n", "name the source as well"),
        ("[functions.Hello]\npackaged = true\n[commands]\nHello = 'true'\n", "[commands] has a command for it"),
        ("[functions.Node]\npackaged = true\n", "its runtime is nodejs22.x"),
    ],
)
def test_mistakes_are_told_before_anything_is_built(settings: str, words: str, project: Sandbox) -> None:
    node = FUNCTION.format(name="Node", handler="index.handler", code="my_lambda_app").replace(
        "python3.11", "nodejs22.x"
    )
    text = template(Hello="my_lambda_app.lambda_function.lambda_handler .") + node
    ran = seed(project, settings).write({"template.yaml": text}).run("build")

    assert ran.code == 3
    assert words in ran.err
    assert "help:" in ran.err
    assert not project.path("build").exists()

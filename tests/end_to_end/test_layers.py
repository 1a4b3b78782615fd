"""Layers from tables of the settings, and layers published to Lambda: moto's servers, by HTTP on loopback."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from made_wheels import make_wheel
from s3_server import S3Server
from sandbox import ROOT, Sandbox

SETTINGS = """\
    region = "eu-west-1"

    [layers.deps]
    manifest = "requirements.txt"
    runtimes = ["python3.12"]
    description = "what all need"
    license = "MIT"
"""


class Server(S3Server):
    """``meeting`` holds back every new version until so many are about to be published."""

    meeting: threading.Barrier | None = None

    def _handle(self, environ: dict[str, Any], start: Any) -> Any:
        if (
            self.meeting is not None
            and environ["REQUEST_METHOD"] == "POST"
            and environ["PATH_INFO"].endswith("/versions")
        ):
            self.meeting.wait(60)
        return super()._handle(environ, start)

    def functions(self) -> Any:
        return boto3.client(
            "lambda", endpoint_url=self.url, region_name="eu-west-1", aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )  # fmt: skip

    def versions(self, name: str) -> list[int]:
        return sorted(one["Version"] for one in self.functions().list_layer_versions(LayerName=name)["LayerVersions"])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        requests.post(f"{running.url}/moto-api/reset", timeout=60)  # what it holds, all servers of a process share
        yield running


@pytest.fixture
def layered(project: Sandbox) -> Sandbox:
    """One layer, of wheels that lie in the project."""
    make_wheel(project.folder / "wheels", "tiny", "1.0")
    make_wheel(project.folder / "wheels", "tiny", "2.0")
    return project.write(
        {"lambdabuild.toml": SETTINGS, "requirements.txt": "--no-index\n--find-links wheels\ntiny==1.0\n"}
    )


def publish(project: Sandbox, server: Server, *arguments: str) -> dict[str, Any]:
    """What ``lambdabuild publish:deps`` told of its last step; {} when there was nothing to do."""
    ran = project.run("publish:deps", "format=json", f"endpoint_url={server.url}", *arguments, env=server.environment)
    assert ran.code == 0, ran.said
    return next((one for one in ran.events if one["event"] == "done" and one["task"] == "publish:deps"), {})


def test_a_version_is_published_only_when_content_or_metadata_changed(layered: Sandbox, server: Server) -> None:
    first = publish(layered, server)
    assert (first["published"], server.versions("deps")) == (1, [1])
    [version] = json.loads(layered.path("build/layers.json").read_text())["deps"]
    assert [version["arn"]] == first["versions"] == ["arn:aws:lambda:eu-west-1:123456789012:layer:deps:1"]
    there = server.functions().get_layer_version(LayerName="deps", VersionNumber=1)
    assert there["Content"]["CodeSha256"] == version["code_sha256"]
    assert (there["Description"], there["LicenseInfo"]) == ("what all need", "MIT")
    assert (there["CompatibleRuntimes"], there["CompatibleArchitectures"]) == (["python3.12"], ["x86_64"])

    assert publish(layered, server) == {}, "nothing changed, no step"
    layered.run("forget", "publish:deps")
    assert publish(layered, server)["published"] == 0, "Lambda has it already, whatever we remember"
    layered.append("requirements.txt", "# a comment\n")
    assert publish(layered, server) == {}, "the same packages are the same layer"
    layered.path("build/layers.json").unlink()
    assert publish(layered, server)["versions"] == first["versions"]
    assert server.versions("deps") == [1]

    layered.path("requirements.txt").write_text("--no-index\n--find-links wheels\ntiny==2.0\n")
    assert (publish(layered, server)["published"], server.versions("deps")) == (1, [1, 2])
    layered.path("lambdabuild.toml").write_text(SETTINGS.replace("    ", "").replace("all need", "nobody needs"))
    assert (publish(layered, server)["published"], server.versions("deps")) == (1, [1, 2, 3])


def test_a_second_project_with_the_same_content_publishes_nothing(
    layered: Sandbox, server: Server, tmp_path: Path
) -> None:
    publish(layered, server)
    shutil.copytree(layered.folder, tmp_path / "other", ignore=shutil.ignore_patterns("build"))

    assert publish(Sandbox(tmp_path / "other"), server)["published"] == 0
    assert server.versions("deps") == [1]


def test_with_a_bucket_the_zip_its_manifest_and_what_chose_it_are_kept_beside_the_version(
    layered: Sandbox, server: Server
) -> None:
    bucket = server.bucket("artifacts")
    where = ("bucket=artifacts", "prefix=shop")
    publish(layered, server, *where)

    keys = [item["Key"] for item in bucket.list_objects_v2(Bucket="artifacts", Prefix="shop/layer/")["Contents"]]
    assert keys == [f"shop/layer/deps/1/{name}" for name in ("layer.zip", "manifest.json", "requirements.txt")]
    kept = bucket.get_object(Bucket="artifacts", Key=keys[0])["Body"].read()
    assert kept == layered.path("build/deps.zip").read_bytes()
    said = json.loads(bucket.get_object(Bucket="artifacts", Key=keys[1])["Body"].read())
    assert (said["version"], said["packages"][0]["name"], said["chosen_by"]) == (1, "tiny", ["requirements.txt"])
    assert server.bad_checksums == []

    # A version whose zip has other bytes and the same files, as another compressor makes it: the manifest tells.
    said["code_sha256"] = "another"
    bucket.put_object(Bucket="artifacts", Key=keys[1], Body=json.dumps(said).encode())
    other = layered.path("build/other.zip")
    shutil.copy(layered.path("build/deps.zip"), other)
    other.write_bytes(other.read_bytes()[:-2] + b"\x01\x00!")  # an archive's comment
    about = {"Description": "what all need", "LicenseInfo": "MIT", "CompatibleRuntimes": ["python3.12"]}
    made = server.functions().publish_layer_version(
        LayerName="deps", Content={"ZipFile": other.read_bytes()}, CompatibleArchitectures=["x86_64"], **about
    )
    assert made["Version"] == 2
    said |= {"version": 2, "code_sha256": made["Content"]["CodeSha256"]}
    bucket.put_object(Bucket="artifacts", Key="shop/layer/deps/2/manifest.json", Body=json.dumps(said).encode())
    layered.run("forget", "publish:deps")
    assert publish(layered, server, *where)["versions"][0].endswith(":2")
    assert server.versions("deps") == [1, 2]


def test_permissions_are_added_once_and_taken_back(layered: Sandbox, server: Server) -> None:
    shared = SETTINGS + '    accounts = ["111122223333"]\n    organizations = ["o-t194hfs8cz"]\n'
    layered.write({"lambdabuild.toml": shared})
    publish(layered, server)

    def statements() -> set[str]:
        policy = server.functions().get_layer_version_policy(LayerName="deps", VersionNumber=1)["Policy"]
        return {one["Sid"] for one in json.loads(policy)["Statement"]}

    server.functions().add_layer_version_permission(
        LayerName="deps",
        VersionNumber=1,
        StatementId="theirs",
        Action="lambda:GetLayerVersion",
        Principal="444455556666",
    )
    assert statements() == {"lambdabuild-111122223333", "lambdabuild-o-t194hfs8cz", "theirs"}
    before = server.requests["POST"]
    layered.run("forget", "publish:deps")
    publish(layered, server)
    assert server.requests["POST"] == before

    layered.write({"lambdabuild.toml": SETTINGS + "    public = true\n"})
    assert publish(layered, server)["published"] == 0
    assert statements() == {"lambdabuild-public", "theirs"}


def test_of_old_versions_those_stay_that_are_to_be_kept_or_are_used(layered: Sandbox, server: Server) -> None:
    for number in range(4):
        layered.write({"lambdabuild.toml": SETTINGS.replace("all", str(number))})
        publish(layered, server)
    assert server.versions("deps") == [1, 2, 3, 4], "without a word all are kept"

    iam = boto3.client("iam", endpoint_url=server.url, region_name="eu-west-1", **KEYS)
    role = iam.create_role(RoleName="role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    server.functions().create_function(
        FunctionName="user", Runtime="python3.12", Handler="a.b", Role=role, Code={"ZipFile": b"x"},
        Layers=["arn:aws:lambda:eu-west-1:123456789012:layer:deps:2"],
    )  # fmt: skip
    layered.write({"lambdabuild.toml": SETTINGS.replace("all", "3") + "    keep = 1\n"})
    told = publish(layered, server)

    assert server.versions("deps") == [2, 4]
    assert "deps: version 2 stays, because a function uses it" in told["notes"]


KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


def test_two_jobs_that_publish_the_same_at_once_leave_one_version(
    layered: Sandbox, server: Server, tmp_path: Path
) -> None:
    shutil.copytree(layered.folder, tmp_path / "other")
    server.meeting = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda one: publish(one, server), (layered, Sandbox(tmp_path / "other"))))

    assert sorted(one["published"] for one in told) == [0, 1]
    assert told[0]["versions"] == told[1]["versions"]
    assert server.versions("deps") == [1]


def test_without_an_account_it_is_said_plainly_and_nothing_else_needs_one(layered: Sandbox, server: Server) -> None:
    nobody = {"HOME": str(layered.folder), "AWS_EC2_METADATA_DISABLED": "true"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        nobody[name] = ""
    assert layered.run(env=nobody).code == 0, "a plain run publishes nothing"
    ran = layered.run("publish", env=nobody)

    assert ran.code == 1
    assert "LB611]: cannot list the versions of layer deps: there are no AWS credentials" in ran.err
    assert "Traceback" not in ran.said
    assert layered.run("publish", "offline=true", env=nobody).err.startswith("publish:deps failed\nerror[LB603]: ")
    listed = layered.run("list", "--all")
    assert "publish:deps" in listed.out
    assert "publish:deps  would run" in layered.run("why", "deps").out


def test_a_table_with_several_runtimes_and_architectures(project: Sandbox, server: Server) -> None:
    """Native packages differ and get the folder of each Python; pure ones are equal and get one for all."""
    wheels = project.folder / "wheels"
    make_wheel(wheels, "pure", "1.0")
    for python in ("cp312", "cp313"):
        for machine in ("x86_64", "aarch64"):
            files = {"native.py": f"BUILT_FOR = '{python} {machine}'\n"}
            make_wheel(wheels, "native", "1.0", f"{python}-{python}-manylinux_2_17_{machine}", files)
    project.write({
        "lambdabuild.toml": """\
            [layers.native]
            manifest = "native.txt"
            rule = "python_pip"
            runtimes = ["python3.12", "python3.13"]
            architectures = ["x86_64", "arm64"]

            [layers.deps]
            path = "shared"
            runtimes = ["python3.12", "python3.13"]
            architectures = ["x86_64", "arm64"]

            [layers.words]
            path = "words"
        """,
        "native.txt": "--no-index\n--find-links wheels\nnative\npure\n",
        "shared/requirements.txt": "--no-index\n--find-links ../wheels\npure\n",
        "shared/helper.py": "import pure\n",
        "words/share/words.txt": "hello\n",
        "app.py": "not of any layer\n",
    })  # fmt: skip
    project.build()

    assert [name for name in project.names("native-arm64") if name.endswith(".py")] == [
        f"python/lib/python3.{minor}/site-packages/{name}.py" for minor in (12, 13) for name in ("native", "pure")
    ]
    assert (
        project.content("native-arm64", "python/lib/python3.13/site-packages/native.py")
        == b"BUILT_FOR = 'cp313 aarch64'\n"
    )
    assert [name for name in project.names("deps-x86_64") if name.endswith(".py")] == [
        "python/helper.py",
        "python/pure.py",
    ]
    assert project.names("words") == ["share/words.txt"]
    assert "nothing to do: 5 layers up to date" in project.run().out
    assert project.run("build", "native").code == 0

    # A layer whose artifacts are equal has one version for both processors, another has one for each.
    told = project.run(
        "publish", "format=json", f"endpoint_url={server.url}", "region=eu-west-1", env=server.environment
    )
    assert told.code == 0, told.said
    listed = {
        name: server.functions().list_layer_versions(LayerName=name)["LayerVersions"] for name in ("deps", "native")
    }
    assert [one["CompatibleArchitectures"] for one in listed["deps"]] == [["x86_64", "arm64"]]
    assert sorted(one["CompatibleArchitectures"] for one in listed["native"]) == [["arm64"], ["x86_64"]]
    project.run("forget", "publish")
    again = project.run(
        "publish", "format=json", f"endpoint_url={server.url}", "region=eu-west-1", env=server.environment
    )
    assert {one["published"] for one in again.events if one.get("kind") == "publish" and one["event"] == "done"} == {0}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[layers.a]\n", "LB610]: [layers.a] has neither a path nor a manifest, and the template has no such layer\n  --> lambdabuild.toml:1:2"),
        ("[layers.a]\nmanifest = 'requirements.txt'\n", "has a manifest, but no runtimes"),
        ("[layers.a]\npath = 'src'\narchitectures = ['arm']\n", "layer 'a' is for 'arm'; Lambda knows x86_64 and arm64"),
        ("[layers.a]\npath = 'nowhere'\n", "LB302]: the code folder nowhere/ of layer 'a' does not exist"),
        ("[layers.a]\npath = 'src'\naccounts = ['12']\n", "[layers.a] accounts is ('12',); Lambda takes numbers of 12 digits in quotes"),
        ("[layers.a]\npath = 'src'\nruntime = 'python3.12'\n", "did you mean 'runtimes'?"),
        ("[layers.'a b']\npath = 'src'\n", "a layer cannot be called 'a b'"),
        ("[layers.a-arm64]\npath = 'src'\n[layers.a]\npath = 'src'\narchitectures = ['x86_64', 'arm64']\n", "two layers would be named 'a-arm64'"),
        ("[layers.a]\npath = 'src'\nruntimes = ['python3.12', 'nodejs22.x']\n", "nodejs22.x needs a different rule"),
        ("bytecode = true\n[layers.a]\npath = 'src'\nruntimes = ['python3.12', 'python3.13']\n", "set bytecode = false in [layers.a]"),
    ],
)  # fmt: skip
def test_mistakes_in_a_table_are_told_with_their_place(table: str, words: str, project: Sandbox) -> None:
    project.write({"lambdabuild.toml": table, "src/requirements.txt": "", "requirements.txt": ""})
    ran = project.run("plan")

    assert ran.code == 3, ran.said
    assert words in ran.err
    assert "help: " in ran.err


def test_a_layer_of_a_template_is_published_as_it_says_and_its_table_has_the_last_word(
    project: Sandbox, server: Server
) -> None:
    project.write({
        "template.yaml": """\
            Transform: AWS::Serverless-2016-10-31
            Resources:
              Words:
                Type: AWS::Serverless::LayerVersion
                Properties:
                  LayerName: shop-words
                  Description: from the template
                  LicenseInfo: MIT
                  ContentUri: words
                  CompatibleRuntimes: [python3.12, python3.13]
        """,
        "words/words.txt": "hello\n",
        "lambdabuild.toml": "[layers.Words]\nlicense = 'Apache-2.0'\nexclude = ['*.md']\n",
        "words/README.md": "not shipped\n",
    })  # fmt: skip
    ran = project.run("publish", f"endpoint_url={server.url}", "region=eu-west-1", env=server.environment)

    assert ran.code == 0, ran.said
    assert "publish:Words" in ran.out
    assert "published  arn:aws:lambda:eu-west-1:123456789012:layer:shop-words:1" in ran.out
    made = server.functions().get_layer_version(LayerName="shop-words", VersionNumber=1)
    assert (made["Description"], made["LicenseInfo"]) == ("from the template", "Apache-2.0")
    assert made["CompatibleRuntimes"] == ["python3.12", "python3.13"]
    assert project.names("Words") == ["words.txt"]

    project.write({"lambdabuild.toml": "[layers.Words]\npath = 'x'\n[layers.Wrods]\nkeep = 3\n"})
    said = project.run("plan").err
    assert "layer 'Words' is in the template, which sets its path" in said
    assert "did you mean 'Words'?" in said


EXAMPLES = {
    "python_pip": ("python3.12", "requirements.txt", "python/markupsafe/__init__.py"),
    "python_uv": ("python3.12", "pyproject.toml", "python/markupsafe/__init__.py"),
    "python_poetry": ("python3.12", "poetry.lock", "python/idna/core.py"),
    "python_pipenv": ("python3.12", "Pipfile", "python/idna/core.py"),
    "nodejs_npm": ("nodejs22.x", "package.json", "nodejs/node_modules/ms/index.js"),
    "nodejs_pnpm": ("nodejs22.x", "package.json", "nodejs/node_modules/ms/index.js"),
    "nodejs_yarn": ("nodejs22.x", "package.json", "nodejs/node_modules/ms/index.js"),
    "ruby_bundler": ("ruby3.4", "Gemfile", "ruby/gems/3.4.0/"),
}
"""Rule: a runtime, the manifest in its example, and what the layer has then."""


@pytest.mark.slow
def test_every_manifest_makes_a_layer_of_a_template_and_of_a_table(project: Sandbox) -> None:
    """Of the same folder both are the same bytes, built once; one of the manifest alone has the packages only."""
    template, tables = "Transform: AWS::Serverless-2016-10-31\nResources:\n", ""
    for rule, (runtime, manifest, _) in EXAMPLES.items():
        shutil.copytree(ROOT / "rules" / rule / "example", project.folder / rule)
        name = rule.replace("_", "")
        template += f"  {name}:\n    Type: AWS::Serverless::LayerVersion\n    Properties: {{ContentUri: {rule}}}\n"
        template += f"    Metadata: {{BuildMethod: {runtime}}}\n"
        tables += f"[layers.{rule}-folder]\npath = '{rule}'\nruntimes = ['{runtime}']\n"
        tables += f"[layers.{rule}-alone]\nmanifest = '{rule}/{manifest}'\nruntimes = ['{runtime}']\n"
    project.command([f"{Path(sys.executable).parent}/uv", "lock", "--directory", "python_uv"])
    assert project.path("python_uv/uv.lock").exists()
    project.path("template.yaml").write_text(template)
    project.path("lambdabuild.toml").write_text(tables)
    project.build()

    for rule, (_, _, wanted) in EXAMPLES.items():
        own = {path.name for path in project.path(rule).iterdir()} & {"app.py", "index.js", "app.rb"}
        folder, alone = (set(project.names(f"{rule}-{kind}")) for kind in ("folder", "alone"))
        assert any(name.startswith(wanted) for name in folder & alone), rule
        assert {f"{wanted.partition('/')[0]}/{name}" for name in own} <= folder - alone, rule
        assert project.manifest["layers"][f"{rule}-folder"]["rule"] == rule
        assert project.manifest["layers"][f"{rule}-folder"]["shared_with"] == [rule.replace("_", "")]
    assert "nothing to do" in project.run().out


def test_a_layer_of_a_serverless_yml_is_published_as_it_says(project: Sandbox, server: Server) -> None:
    project.write({
        "serverless.yml": """\
            service: shop
            provider: {name: aws, runtime: python3.12, region: eu-west-1}
            layers:
              words:
                path: words
                name: shop-words
                description: of the service
                compatibleRuntimes: [python3.12]
                compatibleArchitectures: [x86_64, arm64]
                allowedAccounts: ['111122223333']
        """,
        "words/words.txt": "hello\n",
    })  # fmt: skip
    ran = project.run("publish", f"endpoint_url={server.url}", env=server.environment)

    assert ran.code == 0, ran.said
    made = server.functions().get_layer_version(LayerName="shop-words", VersionNumber=1)
    assert (made["Description"], made["CompatibleArchitectures"]) == ("of the service", ["x86_64", "arm64"])
    policy = json.loads(server.functions().get_layer_version_policy(LayerName="shop-words", VersionNumber=1)["Policy"])
    assert [one["Sid"] for one in policy["Statement"]] == ["lambdabuild-111122223333"]

"""Image functions with a real engine and a real registry: built, pushed, started by digest, called."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from docker_engine import SMALL_IMAGE, Engine
from invoke import SECONDS, runtime_api
from registry import EcrServer, Registry
from sandbox import Sandbox

pytestmark = pytest.mark.slow

HEAD = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
CLIENT = """\
FROM {base}
WORKDIR /var/task
COPY wheels /wheels
RUN pip3 install --no-cache-dir --no-index --find-links /wheels --target . awslambdaric
COPY app.py .
ENTRYPOINT ["python3", "-m", "awslambdaric"]
CMD ["app.handler"]
"""
"""An image with the runtime interface client: https://docs.aws.amazon.com/lambda/latest/dg/python-image.html"""
OURS = f"of-{os.getpid()}"
SMALL = f"small:{OURS}"
"""The image of ``small``; tests in other processes use the same engine."""
NOWHERE = {"DOCKER_HOST": "tcp://127.0.0.1:9", "DOCKER_BUILDKIT": "0"}


def image(name: str, context: str, metadata: str = "") -> str:
    metadata += "" if "DockerTag" in metadata else f"      DockerTag: {OURS}\n"
    return (
        f"  {name}:\n    Type: AWS::Serverless::Function\n    Metadata:\n      Dockerfile: Dockerfile\n"
        f"      DockerContext: {context}\n{metadata}    Properties: {{PackageType: Image}}\n"
    )


ZIP = """\
  Plain:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: plain}
"""


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """awslambdaric and what it needs, for the base image's Python."""
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", str(folder),
            "--platform", f"manylinux2014_{platform.machine()}", "--python-version", "3.11", "awslambdaric<4",
        ],
        check=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def environment(engine: Engine) -> dict[str, str]:
    """The classic builder, which every engine has."""
    return {**engine.environment, "DOCKER_BUILDKIT": "0"}


@pytest.fixture
def images(engine: Engine) -> Iterator[Any]:
    """The engine's client; no container of a build is there when the test ends."""
    with engine.client() as client:
        yield client
    end = time.monotonic() + 60  # the engine ends a build that nobody waits for when it comes to it
    while containers(engine) and time.monotonic() < end:
        time.sleep(0.1)
    assert containers(engine) == []


def containers(engine: Engine) -> list[str]:
    """Those of this process's builds, which have the label of the image that they make; others use the engine too."""
    with engine.client() as client:
        return [item["Id"] for item in client.api.containers(all=True, filters={"label": f"made.by={OURS}"})]


def wait_for_a_running_one(engine: Engine) -> None:
    """Docker 20.10 forgets a container whose build is cancelled between its creation and its start."""
    end = time.monotonic() + 60
    with engine.client() as client:
        while not client.api.containers(filters={"label": f"made.by={OURS}", "status": "running"}):
            assert time.monotonic() < end, "no container of the build was started"
            time.sleep(0.1)


def image_uri(project: Sandbox, name: str, template: str = "packaged-template.yaml") -> str:
    text = project.path(f"build/{template}").read_text()
    return str(yaml.safe_load(text)["Resources"][name]["Properties"]["ImageUri"])


def remove(client: Any, *names: str) -> None:
    """Take these names away, and what has no other, so that the image is gone."""
    for found in client.images.list():
        ours = [name for name in found.tags if name.startswith((*names, "lambdabuild/image:"))]
        digests = [name for name in found.attrs["RepoDigests"] or () if name.startswith(names)]
        for name in (*ours, *digests) if set(ours) == set(found.tags) else ours:
            with suppress(docker.errors.APIError):  # another begins with it, or it is gone
                client.images.remove(name, force=True)


def called(client: Any, uri: str, event: object) -> Any:
    """What the handler in an image answers, asked as Lambda asks it."""
    with runtime_api(event) as (address, answers):
        container = client.containers.run(
            uri, detach=True, network_mode="host", environment={"AWS_LAMBDA_RUNTIME_API": address},
        )  # fmt: skip
        try:
            return answers.get(timeout=SECONDS)
        finally:
            print(container.logs().decode())
            container.remove(force=True)


def test_an_image_function_is_built_pushed_and_called_by_its_digest(
    project: Sandbox, images: Any, registry: Registry, base_image: str, wheels: Path, environment: dict[str, str]
) -> None:
    name = f"{registry.host}/shop/orders"
    app = "import json\ndef handler(event, context):\n    return {'sum': event['a'] + event['b'], 'version': 1}\n"
    project.write({
        "template.yaml": HEAD + image("Orders", "orders") + image("Report", "report", "      DockerTag: v7\n") + ZIP,
        "lambdabuild.toml": f'repository = "{name}"\n[functions.Report]\nimage_tags = ["stable"]\n',
        "orders/Dockerfile": CLIENT.format(base=base_image), "orders/app.py": app,
        "orders/.dockerignore": "notes.txt\n", "orders/notes.txt": "x",
        "report/Dockerfile": "FROM scratch\nCOPY . /var/task/\nCMD ['x']\n", "report/data.txt": "1",
        "plain/app.py": "def handler(event, context): return 1\n",
    })  # fmt: skip
    shutil.copytree(wheels, project.path("orders/wheels"))

    first = project.build(env=environment)
    uri = image_uri(project, "Orders")
    known = project.manifest["functions"]["Orders"]

    assert {"image:Orders", "image:Report", "upload:Orders", "upload:Report", "zip:Plain"} < set(first.steps)
    assert re.fullmatch(rf"{name}@sha256:[0-9a-f]{{64}}", uri)
    assert image_uri(project, "Orders", "built-template.yaml") == f"orders:{OURS}"
    assert image_uri(project, "Report", "built-template.yaml") == "report:v7"
    assert known["location"] == uri and uri.endswith(known["sha256"])
    ids = {
        one["image_id"].removeprefix("sha256:") for one in project.manifest["functions"].values() if "image_id" in one
    }
    assert set(registry.tags("shop/orders")) == {*ids, "stable"} and len(ids) == 2

    # the registry has it, and this machine has not
    remove(images, "orders:", name)
    images.images.pull(uri)
    assert called(images, uri, {"a": 2, "b": 3}) == {"sum": 5, "version": 1}

    # nothing is asked when nothing changed: neither the engine, which is not there, nor the registry
    again = project.run("build", env={**environment, **NOWHERE})
    assert again.code == 0 and "nothing to do: 3 functions up to date" in again.out, again.said
    project.append("orders/notes.txt", "what is left out does not count")
    assert "image:Orders  is up to date" in project.run("why", "Orders", env=NOWHERE).out

    # one file is one image
    project.write({"orders/app.py": app.replace("'version': 1", "'version': 2")})
    assert "because the file orders/app.py changed" in project.run("why", "Orders", env=NOWHERE).out
    edited = project.build(env=environment)
    assert edited.steps == ["image:Orders", "template", "upload:Orders"]
    assert called(images, image_uri(project, "Orders"), {"a": 2, "b": 3}) == {"sum": 5, "version": 2}
    assert image_uri(project, "Orders") != uri
    assert project.build(env={**environment, **NOWHERE}).steps == []

    # state that is lost costs a question, not a build and not a push
    project.run("forget", "image:Orders", "upload:Orders")
    found = project.build(env=environment)
    assert [(event["task"], event.get("sent")) for event in found.events if event["event"] == "done"] == [
        ("image:Orders", None), ("upload:Orders", False),
    ]  # fmt: skip

    # and what was built can be taken away by its task
    assert project.run("clean", "image:Report", env=environment).code == 0
    assert not any("report:v7" in one.tags for one in images.images.list())
    remove(images, "orders:", "report:", name)


def small(project: Sandbox, base_image: str, dockerfile: str = "COPY app.py /\n", **settings: str) -> Sandbox:
    """One image of one file, beside a zip."""
    return project.write({
        "template.yaml": HEAD + image("Small", "small", "      DockerBuildExtraParams: [--network, none]\n") + ZIP,
        "small/Dockerfile": f"FROM {base_image}\nLABEL made.by={OURS}\n{dockerfile}", "small/app.py": "1",
        "plain/app.py": "def handler(event, context): return 1\n",
        "lambdabuild.toml": "".join(f'{key} = "{value}"\n' for key, value in settings.items()),
    })  # fmt: skip


def test_without_a_repository_an_image_stays_on_this_machine(
    project: Sandbox, images: Any, base_image: str, environment: dict[str, str]
) -> None:
    small(project, base_image).build(env=environment)

    assert image_uri(project, "Small") == image_uri(project, "Small", "built-template.yaml") == SMALL
    assert images.images.get(SMALL).id == project.manifest["functions"]["Small"]["image_id"]

    # another project, or a state that is gone, finds what is equal by its fingerprint
    before = images.images.get(SMALL).id
    project.command(["rm", "-rf", "build"])
    project.build(env=environment)
    assert images.images.get(SMALL).id == before

    # a base image that is another now counts, when it is asked for
    images.images.get(SMALL).tag("lambdabuild-tests/other")
    project.write({"small/Dockerfile": "FROM lambdabuild-tests/other\n"})
    assert "image:Small" in project.build(env=environment).steps
    images.images.get(base_image).tag("lambdabuild-tests/other")
    assert project.build(env=environment).steps == []
    project.run("forget", "image:Small")
    assert project.build(env=environment).steps == ["image:Small", "template"]
    bucket = project.run("build", "bucket=b", env=environment)
    assert bucket.code != 0 and "LB812" in bucket.err
    remove(images, SMALL, "lambdabuild-tests/other")


@pytest.mark.parametrize(
    ("dockerfile", "settings", "code", "words"),
    [
        ("RUN echo told by the tool && exit 3\n", {}, "LB803", "told by the tool"),
        ("COPY gone /\n", {}, "LB803", "gone"),
        ("FROM {registry}/none:1\n", {}, "LB802", "the base image localhost:.*/none:1 cannot be pulled"),
        ("FROM {registry}/none:1\n", {"container.pull": "never"}, "LB802", "is not there, and pull is 'never'"),
        ("FROM {registry}/none:1\n", {"offline": "true"}, "LB603", "and the run is offline"),
        ("COPY app.py /\n", {"repository": "{closed}/small"}, "LB811", "(unauthorized|no basic auth credentials|denied)"),
        ("COPY app.py /\n", {"repository": "localhost:9/small"}, "LB811", "connection refused"),
    ],
)  # fmt: skip
def test_what_goes_wrong_with_an_image_is_told_and_the_rest_is_built(
    project: Sandbox, images: Any, registry: Registry, closed_registry: Registry, base_image: str,
    environment: dict[str, str], dockerfile: str, settings: dict[str, str], code: str, words: str,
) -> None:  # fmt: skip
    names = {"registry": registry.host, "closed": closed_registry.host}
    given = {key: value.format(**names) for key, value in settings.items()}
    small(project, base_image, dockerfile.format(**names), **given)
    ran = project.run("build", "--continue", env={**environment, "DOCKER_CONFIG": str(project.folder)})

    assert ran.code != 0
    assert code in ran.err and re.search(words, ran.err), ran.said
    assert "Traceback" not in ran.said
    assert "template.yaml:3:" in ran.err
    assert project.names("Plain") == ["app.py"]
    assert not any(tag == SMALL for one in images.images.list() for tag in one.tags) or code == "LB811"
    remove(images, SMALL)


def test_an_engine_that_is_not_there_is_told(project: Sandbox) -> None:
    small(project, "base")
    ran = project.run("build", "--continue", env=NOWHERE)

    assert "LB801" in ran.err and "help: start" in ran.err and "Traceback" not in ran.said
    assert project.names("Plain") == ["app.py"]
    assert project.run("clean", env=NOWHERE).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_interrupted_leaves_nothing(
    project: Sandbox, images: Any, engine: Engine, base_image: str, environment: dict[str, str], number: signal.Signals
) -> None:
    small(project, base_image, "RUN sleep 300\n")
    process = project.start("build", "Small", env=environment)
    wait_for_a_running_one(engine)
    process.send_signal(number)
    said = "".join(process.communicate(timeout=30))
    end = time.monotonic() + 60
    while containers(engine) and time.monotonic() < end:
        time.sleep(0.1)

    assert not containers(engine)
    assert process.returncode != 0 and "Traceback" not in said, said
    assert not any(tag == SMALL for one in images.images.list() for tag in one.tags)
    small(project, base_image).build("Small", env=environment)
    remove(images, SMALL)


def test_an_engine_that_ends_in_mid_build_is_told(project: Sandbox, own_engine: Engine) -> None:
    small(project, SMALL_IMAGE, "RUN sleep 300\n")
    process = project.start("build", "Small", env={**own_engine.environment, "DOCKER_BUILDKIT": "0"})
    wait_for_a_running_one(own_engine)
    own_engine.kill()
    said = "".join(process.communicate(timeout=60))

    assert process.returncode != 0
    assert "LB801]: the Docker engine went away" in said and "Traceback" not in said


def test_an_engine_that_says_nothing_is_given_up(
    project: Sandbox, images: Any, base_image: str, environment: dict[str, str]
) -> None:
    ran = small(project, base_image, "RUN sleep 300\n").run("build", "Small", "tool_timeout_seconds=2", env=environment)

    assert "LB503" in ran.err and "Traceback" not in ran.said


def test_base_images_are_asked_for_when_something_is_built_or_at_every_run(
    project: Sandbox, images: Any, registry: Registry, environment: dict[str, str]
) -> None:
    base = f"{registry.host}/base:1"

    def push(content: str) -> None:
        project.write({"base/Dockerfile": "FROM scratch\nCOPY x /\n", "base/x": content})
        images.images.build(path=str(project.path("base")), tag=base)
        images.images.push(base)

    push("one")
    remove(images, base)
    project.write({"template.yaml": HEAD + image("Small", "small"), "small/Dockerfile": f"FROM {base}\nCOPY app.py /\n",
                   "small/app.py": "1"})  # fmt: skip
    project.build(env=environment)
    before = project.manifest["functions"]["Small"]["bases"]
    assert project.build("container.pull=always", env=environment).steps == ["image:Small"]
    push("two")
    remove(images, base)

    assert project.build(env=environment).steps == []
    assert (
        "base images are asked for at every run"
        in project.run("why", "Small", "container.pull=always", env=NOWHERE).out
    )
    assert project.build("container.pull=always", env=environment).steps == ["image:Small", "template"]
    assert before.keys() == {base} and before != project.manifest["functions"]["Small"]["bases"]
    remove(images, SMALL, base)


def test_an_image_in_a_file_is_loaded_and_pushed(
    project: Sandbox, images: Any, registry: Registry, environment: dict[str, str]
) -> None:
    small(project, "scratch").build("Small", env=environment)
    before = images.images.get(SMALL).id
    with project.path("image.tar").open("wb") as stream:
        for piece in images.images.get(SMALL).save(named=True):
            stream.write(piece)
    remove(images, SMALL)
    project.write({
        "template.yaml": HEAD + "  Loaded:\n    Type: AWS::Serverless::Function\n"
        "    Properties: {PackageType: Image, ImageUri: image.tar}\n",
        "lambdabuild.toml": f'repository = "{registry.host}/loaded"\n',
    })  # fmt: skip
    project.build(env=environment)

    assert image_uri(project, "Loaded").startswith(f"{registry.host}/loaded@sha256:")
    assert images.images.get("loaded:latest").id == before
    assert project.build(env=NOWHERE).steps == []

    project.write({"image.tar": "no image"})
    assert "LB803" in project.run("build", env=environment).err
    remove(images, "loaded:latest")


def test_buildkit_makes_the_same_of_the_same_and_shows_no_secret(
    project: Sandbox, images: Any, base_image: str, engine: Engine
) -> None:
    """Debian's docker has BuildKit by itself; where it comes first on PATH matters, for others need buildx."""
    env = {**engine.environment, "LAMBDABUILD_PARAMETERS__Token": "s3cret", "DOCKER_BUILDKIT": "1"}
    env["PATH"] = f"/usr/bin{os.pathsep}{os.environ['PATH']}"
    small(
        project,
        base_image,
        "ARG TOKEN\nRUN test ${#TOKEN} = 6\nCOPY . /var/task/\nRUN exit $(cat /var/task/app.py)\n",
    )
    project.write({
        "template.yaml": "Parameters: {Token: {Type: String, NoEcho: true}}\n" + HEAD + image(
            "Small", "small", "      DockerBuildArgs: {TOKEN: !Ref Token}\n      DockerBuildExtraParams: [--network=host]\n"
        ),
        "small/.dockerignore": "Dockerfile\nsecret\n", "small/secret": "s3cret",
    })  # fmt: skip
    failed = project.run("build", env=env)
    assert "LB803" in failed.err and "exit" in failed.err
    project.write({"small/app.py": "0"})
    project.build(env=env)
    found = images.containers.run(SMALL, "ls -A /var/task", remove=True, network_mode="none").decode().split()

    assert found == [".dockerignore", "app.py"]
    assert project.build(env={**env, **NOWHERE}).steps == []
    everything = b"".join(path.read_bytes() for path in project.path("build").rglob("*") if path.is_file())
    assert b"s3cret" not in everything and "s3cret" not in failed.said
    remove(images, SMALL)


MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
SERVERLESS = """\
service: My-Shop
provider:
  name: aws
  region: eu-west-1
  ecr:
    scanOnPush: true
    maxImageCount: 5
    images:
      base: {path: small, file: Dockerfile, buildArgs: {A: b}, buildOptions: [--network, none]}
functions:
  one: {image: base}
  two: {image: {name: base, command: [app.other], entryPoint: [/x], workingDirectory: /w}}
  three: {image: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/there:v1'}
"""


def test_images_of_a_serverless_yml_go_to_a_repository_of_ecr_that_is_made_for_them(
    project: Sandbox, images: Any, ecr: EcrServer, environment: dict[str, str]
) -> None:
    project.write({"serverless.yml": SERVERLESS, "small/Dockerfile": "FROM scratch\nCOPY . /\n", "small/app.py": "1"})
    ecr.ecr().create_repository(repositoryName="there")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": []})
    there = ecr.ecr().put_image(repositoryName="there", imageManifest=manifest, imageTag="v1")["image"]["imageId"][
        "imageDigest"
    ]
    env = {**environment, **ecr.environment, "LAMBDABUILD_ENDPOINT_URL": ecr.url}
    project.build(env=env)
    resources = json.loads(project.path("build/packaged-template.json").read_text())["Resources"]
    one, two, three = (resources[f"{name}LambdaFunction"]["Properties"] for name in ("One", "Two", "Three"))
    versions = {
        key[:3]: item["Properties"] for key, item in resources.items() if item["Type"] == "AWS::Lambda::Version"
    }
    name = f"{ecr.registry.host}/serverless-my-shop-dev"

    assert re.fullmatch(rf"{name}@sha256:[0-9a-f]{{64}}", one["Code"]["ImageUri"])
    assert one["PackageType"] == "Image" and "Handler" not in one and "Runtime" not in one
    assert two["Code"] == one["Code"]
    assert two["ImageConfig"] == {"Command": ["app.other"], "EntryPoint": ["/x"], "WorkingDirectory": "/w"}
    assert versions["One"]["CodeSha256"] == one["Code"]["ImageUri"].rpartition(":")[2]
    assert three["Code"]["ImageUri"] == f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/there@{there}"
    assert "base" in ecr.registry.tags("serverless-my-shop-dev")
    (made,) = ecr.ecr().describe_repositories(repositoryNames=["serverless-my-shop-dev"])["repositories"]
    policy = ecr.ecr().get_lifecycle_policy(repositoryName="serverless-my-shop-dev")["lifecyclePolicyText"]
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert json.loads(policy)["rules"][0]["selection"]["countNumber"] == 5

    # what a tag stands for is asked at every run, and nothing else
    ecr.asked.clear()
    assert project.build(env={**env, **NOWHERE}).steps == ["upload:three"]
    assert ecr.asked == ["DescribeImages"]
    ecr.ecr().put_image(
        repositoryName="there", imageManifest=manifest.replace("[]", '[{"digest": "sha256:1"}]'), imageTag="v1"
    )
    assert project.build(env={**env, **NOWHERE}).steps == ["template", "upload:three"]

    project.write({"serverless.yml": SERVERLESS.replace("there:v1", "there:v2")})
    refused = project.run("build", env=env)
    assert "LB813" in refused.err and "push it first, or correct the tag" in refused.err
    remove(images, "one:")

"""docs/guides/ci.md: its recipes are what the services take, and do what it says, as far as a shell can tell."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ci_services import RECIPES, GitHub, GitLab, Machine, Service, code_build, git, recipe
from s3_server import S3Server
from sandbox import Ran, Sandbox

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.11, Handler: app.handler}
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/orders, Layers: [!Ref Shared]}
  Refunds:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/refunds}
  Twin:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/orders}
  Made:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {Runtime: provided.al2023, CodeUri: made}
  Shared:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.11}
    Properties: {ContentUri: shared}
"""
CODE = "def handler(event, context): return 1\n"
FILES = {
    "template.yaml": TEMPLATE,
    "src/orders/app.py": CODE,
    "src/orders/requirements.txt": "idna==3.10\n",
    "src/refunds/app.py": CODE,
    "src/refunds/requirements.txt": "-r ../../base.txt\n",
    "base.txt": "sniffio==1.3.1\n",
    "made/Makefile": 'build-Made:\n\tcp Makefile "$(ARTIFACTS_DIR)/bootstrap"\n',
    "shared/requirements.txt": "idna==3.10\n",
    ".gitignore": "build/\n",
}
pytestmark = pytest.mark.slow

DONE = "nothing to do: 4 functions and 1 layer up to date"
SCHEMAS = {".github": "vendor.github-workflows", ".gitlab": "vendor.gitlab-ci"}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A repository whose costs are known, and a CI service beside it."""
    project = Sandbox(tmp_path / "origin").write(FILES)
    ran = project.run("build")
    assert ran.code == 0, ran.said
    project.run("costs", "--output", "costs.json")
    git("init", "-q", "-b", "main", cwd=project.folder)
    commit(project)
    folder = tmp_path / "ci"
    folder.mkdir()
    return Service(project.folder, folder)


def commit(project: Sandbox) -> None:
    git("add", "-A", cwd=project.folder)
    git("commit", "-q", "-m", "A change", cwd=project.folder)


def another_commit(service: Service, path: str = "README.md", branch: str = "main") -> None:
    project = Sandbox(service.origin)
    git("checkout", "-q", "-B", branch, cwd=service.origin)
    project.append(path, "# More words.\n")
    commit(project)
    git("checkout", "-q", "main", cwd=service.origin)


def equal(machine: Machine, service: Service) -> bool:
    """Whether a machine has, byte for byte, what a plain build made."""
    origin = Sandbox(service.origin)
    names = ("packaged-template.yaml", "built-template.yaml")
    texts = [[(one / "build" / name).read_bytes() for name in names] for one in (origin.folder, machine.project.folder)]
    return machine.project.zips() == origin.zips() and texts[0] == texts[1]


def ran_steps(ran: Ran) -> list[str]:
    """The steps of the kinds that cost something, which were really run."""
    lines = [line for line in ran.out.splitlines() if re.match(r"(resolve|compile|copy):", line)]
    return [line for line in lines if "restored" not in line]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_what_the_services_take(name: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yml"
    file.write_text(RECIPES[name])
    schema = next((value for key, value in SCHEMAS.items() if name.startswith(key)), "")
    if schema:
        check(file, schema)
    else:  # no registry has a schema of CodeBuild's
        assert recipe(name).keys() <= {"version", "env", "phases", "cache", "batch"}
        assert recipe(name)["version"] == "0.2"


def check(file: Path, schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_github_restores_what_another_commit_left(service: Service) -> None:
    job = recipe(".github/workflows/build.yml")["jobs"]["build"]
    first, ran = GitHub(service).job(job)
    assert ran_steps(ran)
    assert equal(first, service)

    another_commit(service)
    second, ran = GitHub(service).job(job)
    assert DONE in ran.out, ran.said
    assert second.project.folder != first.project.folder
    assert len(service.caches) == 2
    another_commit(service, "src/refunds/app.py")
    _, ran = GitHub(service, event="pull_request").job(job)
    assert [line.split()[0] for line in ran_steps(ran)] == ["copy:Refunds"]
    assert len(service.caches) == 2, "a pull request saves nothing"


def test_github_makes_a_job_for_each_that_a_pull_request_touches(service: Service) -> None:
    GitHub(service).job(recipe(".github/workflows/build.yml")["jobs"]["build"])
    another_commit(service, "src/refunds/app.py", "work")
    jobs = recipe(".github/workflows/affected.yml")["jobs"]
    github = GitHub(service, "pull_request", {"github.base_ref": "main"})
    github.job(jobs["affected"], "work")
    matrix = json.loads(github.values["steps.affected.outputs.matrix"])
    assert [one["name"] for one in matrix["include"]] == ["Refunds"]
    for one in matrix["include"]:
        assert github.job(jobs["build"], "work", **one)[0].project.zips().keys() == {"Refunds.zip"}

    github.job(jobs["affected"], "main")
    assert json.loads(github.values["steps.affected.outputs.matrix"]) == {"include": []}
    assert jobs["build"]["if"] == "fromJSON(needs.affected.outputs.matrix).include[0]", "of which GitHub has none then"


def test_github_builds_in_shards_and_the_last_job_runs_nothing(service: Service) -> None:
    jobs = recipe(".github/workflows/shards.yml")["jobs"]
    github = GitHub(service)
    built = [github.job(jobs["shard"], number=number)[0] for number in jobs["shard"]["strategy"]["matrix"]["number"]]
    made = [set(machine.project.zips()) for machine in built]
    assert len(made) == 3
    assert all(made), "each has its share"
    machine, ran = github.job(jobs["assemble"])
    assert ran_steps(ran) == []
    assert equal(machine, service)
    costs = json.loads(machine.project.run("costs").out)["seconds"]
    assert costs["resolve:Orders"] > 0, "how long it took where it was run"


def test_gitlab_does_the_same(service: Service) -> None:
    variables = {"CI_COMMIT_REF_SLUG": "main", "CI_DEFAULT_BRANCH": "main"}
    pipeline = GitLab(service, recipe(".gitlab-ci.yml"), variables)
    first, _ = pipeline.job("build")
    assert equal(first, service)
    another_commit(service, "README.md", "work")
    pipeline.variables["CI_COMMIT_REF_SLUG"] = "work"
    assert DONE in pipeline.job("build", "work")[1].out

    pipeline.variables["CI_MERGE_REQUEST_TARGET_BRANCH_NAME"] = "main"
    pipeline.job("affected", "work")
    child = service.folder / "artifacts/affected/affected.yml"
    assert "nothing" in child.read_text()
    check(child, "vendor.gitlab-ci")
    another_commit(service, "src/refunds/app.py", "work")
    pipeline.job("affected", "work")
    check(child, "vendor.gitlab-ci")
    child.rename(child.with_name("child.yml"))
    made = recipe_text(child.with_name("child.yml").read_text())
    (one,) = made["build"]["parallel"]["matrix"]
    assert one["TASK"] == "build:Refunds"
    machine, _ = GitLab(service, made, variables).job("build", "work", **one)
    assert machine.project.zips().keys() == {"Refunds.zip"}


def recipe_text(text: str) -> dict:
    import yaml

    return yaml.safe_load(text)


def test_gitlab_builds_in_shards(service: Service) -> None:
    pipeline = GitLab(service, recipe(".gitlab-ci.yml, with the work over three machines"), {})
    count = pipeline.pipeline["shard"]["parallel"]
    for number in range(1, int(count) + 1):
        pipeline.job("shard", CI_NODE_INDEX=str(number), CI_NODE_TOTAL=count)
    machine, ran = pipeline.job("assemble")
    assert ran_steps(ran) == []
    assert equal(machine, service)


def test_codebuild_restores_and_shares(service: Service) -> None:
    spec = recipe("buildspec.yml")
    first, _ = code_build(service, spec, {})
    assert equal(first, service)
    another_commit(service)
    assert DONE in code_build(service, spec, {})[1].out

    batch = recipe("buildspec.yml of a batch, with the work over two machines")
    with S3Server() as server:
        server.bucket("my-team")
        env = server.environment | {"LAMBDABUILD_ENDPOINT_URL": server.url}
        for build in batch["batch"]["build-graph"]:
            machine, ran = code_build(service, batch, env | build.get("env", {}).get("variables", {}))
    assert build["depend-on"] == ["first", "second"]
    assert ran_steps(ran) == []
    assert equal(machine, service)

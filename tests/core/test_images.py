"""What an image is built from: the context as Docker sees it, base images, and how templates say it."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.utils.build import exclude_paths
from hypothesis import given, settings
from hypothesis import strategies as st
from test_planner import RULES
from test_sam import function, load, sam

from lambdabuild.cloudformation.template_text.splice import splice
from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import (
    BadImage,
    BadSource,
    BadTemplate,
    LambdaBuildError,
    NoRepository,
    NoSource,
    Unresolvable,
)
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.model import Archive, DockerBuild, ImageLocation, Service
from lambdabuild.docker import context, dockerfile, dockerignore
from lambdabuild.docker.dockerfile import Base
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.containers import context as container_context
from lambdabuild.engine.steps.kinds import KINDS
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.plan.explain import as_data, as_text
from lambdabuild.plan.planner import plan
from lambdabuild.plan.steps import steps
from lambdabuild.plan.types import BuildPlan

FILES = {"Dockerfile": "FROM scratch", "app.py": "", "src/Dockerfile": "FROM scratch", "src/app.py": ""}


def image(metadata: str = "{Dockerfile: Dockerfile, DockerContext: src}", more: str = "", name: str = "F") -> str:
    return (
        f"{name}:\n  Type: AWS::Serverless::Function\n"
        + (f"  Metadata: {metadata}\n" if metadata else "")
        + "  Properties:\n    PackageType: Image\n"
        + "".join(f"    {line}\n" for line in more.splitlines())
    )


def read(text: str, **more: Any) -> Service:
    return load(sam(text), FILES, **more)


def planned(service: Service, **more: Any) -> BuildPlan:
    return plan(service, RULES, {}, lambda choice: "", Settings(**more))


# templates


def test_metadata_says_what_an_image_is_built_from() -> None:
    metadata = """
      Dockerfile: Dockerfile
      DockerContext: ./src
      DockerTag: v1
      DockerBuildTarget: last
      DockerBuildArgs: {VERSION: 3.12, DEBUG: true, STAGE: !Ref Stage}
      DockerBuildExtraParams: [--network, host, --build-arg, "A=b", "--add-host=h:1.2.3.4"]
    """
    head = "Parameters: {Stage: {Type: String, Default: dev}}\n"
    (found,) = load(sam(image(metadata, "Architectures: [arm64]"), head), FILES).images

    assert (found.name, found.tag) == ("F", "v1")
    assert found.source == DockerBuild(
        context="src", dockerfile="src/Dockerfile", platform="linux/arm64", target="last",
        arguments=(("A", "b"), ("DEBUG", "true"), ("STAGE", "dev"), ("VERSION", "3.12")),
        options=("--network", "host", "--add-host=h:1.2.3.4"),
    )  # fmt: skip


def test_the_context_of_an_image_is_the_templates_folder_when_nothing_else_is_said() -> None:
    (found,) = read(image("{Dockerfile: Dockerfile}")).images

    assert isinstance(found.source, DockerBuild)
    assert (found.source.context, found.source.dockerfile) == (".", "Dockerfile")


def test_an_image_that_is_in_a_registry_or_known_at_deployment_only_is_left_as_it_is() -> None:
    service = read(
        image("", "ImageUri: 1.dkr.ecr.eu-west-1.amazonaws.com/a:v1", "A") + image("", "ImageUri: !ImportValue x", "B")
    )

    assert service.images == ()
    assert [one.reason for one in service.skipped] == [
        "its image is in a registry already",
        "its image is known at deployment only",
    ]


def test_an_image_in_a_file_is_sent() -> None:
    text = sam(image("", "ImageUri: made/image.tar.gz"))
    (found,) = load(text, {"made/image.tar.gz": ""}).images

    assert found.source == Archive("made/image.tar.gz")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (image("", ""), BadTemplate, "names none"),
        (image("{Dockerfile: none}"), BadImage, "none, from which the image of function 'F' is built, does not exist"),
        (image("{DockerContext: gone}"), NoSource, "gone/"),
        (image("", "ImageUri: gone.tar.gz"), NoSource, "gone.tar.gz of function 'F' does not exist"),
        (image("{Dockerfile: Dockerfile, DockerBuildArgs: [a]}"), BadTemplate, "DockerBuildArgs of function 'F' is not a mapping"),
        (image("{Dockerfile: Dockerfile, DockerBuildArgs: {A: !ImportValue x}}"), Unresolvable, "DockerBuildArgs"),
        (image(more="Architectures: [sparc]"), BadTemplate, "sparc"),
    ],
)  # fmt: skip
def test_a_wrong_description_of_an_image_says_where(text: str, kind: type[LambdaBuildError], words: str) -> None:
    with pytest.raises(kind) as caught:
        read(text)

    assert words in str(caught.value)
    assert caught.value.where[0].line > 1


def test_equal_images_are_built_once_and_named_as_sam_names_them() -> None:
    other = "{Dockerfile: Dockerfile, DockerContext: src, DockerTag: v2}"
    made = planned(read(image(name="Refunds") + image(name="Orders") + image(other, name="Report")))

    assert [(one.name, one.users, one.local_names, one.steps) for one in made.images] == [
        ("Orders", ("Orders", "Refunds"), ("orders:latest", "refunds:latest"), ("image",)),
        ("Report", ("Report",), ("report:v2",), ("image",)),
    ]


def test_a_repository_comes_from_the_function_then_from_the_project() -> None:
    service = read(image(name="A") + image(name="B"))
    made = planned(service, repository="r/all", functions={"B": FunctionSettings(repository="r/b", image_tags=("x",))})

    assert [(one.key.repository, one.key.push_tags, one.steps[-1]) for one in made.images] == [
        ("r/all", (), "upload"), ("r/b", ("x",), "upload"),
    ]  # fmt: skip


def test_who_deploys_from_a_bucket_needs_a_repository() -> None:
    with pytest.raises(NoRepository) as caught:
        planned(read(image()), bucket="b")

    assert str(caught.value.where[0]) == "template.yaml:3:3"


def test_two_images_of_one_name_on_this_machine_are_a_mistake() -> None:
    with pytest.raises(BadImage, match="both be called orders:latest"):
        planned(read(image(name="Orders") + image("{Dockerfile: Dockerfile}", name="ORDERS")))


def test_no_plan_shows_the_value_of_a_build_argument() -> None:
    made = planned(
        read(
            image(
                "{Dockerfile: Dockerfile, DockerBuildArgs: {TOKEN: s3cret}, DockerBuildExtraParams: [--build-arg=B=s3cret]}"
            )
        )
    )

    assert "s3cret" not in as_text(made, steps(made, KINDS)) + str(as_data(made)) + repr(made)


def test_an_image_goes_where_its_type_has_it() -> None:
    text = sam(image() + "G:\n  Type: AWS::Lambda::Function\n  Metadata: {Dockerfile: Dockerfile}\n"
               "  Properties:\n    PackageType: Image\n    Code: {ImageUri: old} # kept\n")  # fmt: skip
    service = load(text, FILES)
    told = splice(service.documents[0], lambda rewrite: ImageLocation("r@sha256:1"), "/")

    assert 'ImageUri: "r@sha256:1"\n      PackageType: Image' in told
    assert 'Code: {ImageUri: "r@sha256:1"} # kept' in told


def test_a_function_of_a_zip_is_one_still() -> None:
    service = read(function("CodeUri: src") + image(name="G"))

    assert ([one.name for one in service.functions], [one.name for one in service.images]) == (["F"], ["G"])


# base images


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("FROM a", ["a"]),
        ("from a:1 as b\nFROM b\nFROM scratch", ["a:1"]),
        ("ARG V=1\nARG I=x:${V}\nFROM $I", ["x:2"]),
        ("ARG W\nFROM x:${W:-3} AS y\nCOPY --from=y / /\nCOPY --from=other:1 --chown=1 / /", ["other:1", "x:3"]),
        ("FROM a\nRUN --mount=type=cache,target=/x --mount=from=tools:1,target=/t make", ["a", "tools:1"]),
        ("# escape=`\nFROM `\n  a", ["a"]),
        ("FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY --from=0 / /", ["a"]),
        ("FROM a AS one\nFROM b AS two\nFROM c AS three", ["a", "b"]),
        ('ARG V="1 2"\n# a comment \\\nFROM \\\n# inside\n\n  a@sha256:1', ["a@sha256:1"]),
        ("FROM a\nARG V=9\nFROM b:$V", ["a", "b:"]),
        ("", []),
    ],
)  # fmt: skip
def test_the_images_that_a_dockerfile_begins_with_are_found(text: str, wanted: list[str]) -> None:
    target = "TWO" if "AS two" in text else ""

    assert [base.name for base in dockerfile.bases(text, {"V": "2"} if "ARG I" in text else {}, target)] == wanted


def test_the_platform_of_a_base_is_known() -> None:
    text = "FROM --platform=$BUILDPLATFORM a\nFROM --platform=$TARGETPLATFORM b-$TARGETARCH"
    found = dockerfile.bases(text, {}, "", "linux/arm64", "linux/amd64")

    assert found == (Base("a", "linux/amd64"), Base("b-arm64", "linux/arm64"))


# contexts


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


NAMES = (
    "Dockerfile",
    "a",
    "b.md",
    "README.md",
    "src/a",
    "src/b.md",
    "src/deep/a",
    "src/deep/b.md",
    "lib/a",
    ".git/x",
    "lib/[a]/b",
)
LINES = ("a", "*.md", "**/*.md", "!README.md", "src", "!src/deep", "/lib/", "*", "!src/**", "**/deep", "s?c/a", "src/[a-b]", "# a",
         "", "  lib  ", "!lib/a", "./src/deep/a", "**", "!**/b.md", "src/**/b.md", ".*", "lib/../a", "de*p", "!Dockerfile")  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=6))
def test_files_are_left_out_as_dockers_own_client_leaves_them_out(lines: list[str]) -> None:
    ignored = dockerignore.parse(".dockerignore", "\n".join(lines))
    ours = {name for name in NAMES if not ignored.leaves_out(name)}

    assert ours == _by_docker([line.strip() for line in lines if line.strip() and not line.startswith("#")])


def test_a_backslash_takes_the_meaning_from_what_follows() -> None:
    """As Go's filepath.Match has it; docker's client for Python knows no escapes."""
    ignored = dockerignore.parse(".dockerignore", "lib/\\[a\\]\n\\*")

    assert [name for name in ("lib/[a]/b", "lib/a", "*", "x") if ignored.leaves_out(name)] == ["lib/[a]/b", "*"]


def _by_docker(lines: list[str]) -> set[str]:
    """The files that docker's client for Python sends."""
    from docker.utils.build import PatternMatcher

    matcher = PatternMatcher(lines)
    return {name for name in NAMES if not matcher.matches(name)}


def test_what_is_brought_back_is_found_in_folders_that_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, *NAMES)
    (tmp_path / ".dockerignore").write_text("*\n!src/deep\nsrc/deep/*.md\n!**/[x]\n")
    found = context.read(str(tmp_path), str(tmp_path / "Dockerfile"), StatCache(""))
    docker = exclude_paths(str(tmp_path), ["*", "!src/deep", "src/deep/*.md"])

    assert [item.path for item in found.items if item.kind == "file"] == [".git/x", "src/deep/a"]
    assert docker == {"Dockerfile", ".dockerignore", "src/deep", "src/deep/a"}


@pytest.mark.parametrize("name", ["Dockerfile", "build.Dockerfile"])
def test_a_containers_dockerfile_gets_what_docker_would_send(tmp_path: Path, name: str) -> None:
    write(tmp_path, *(f"box/{path}" for path in (".git/config", "src/keep.txt", "src/drop.txt", "a")))
    (tmp_path / "box" / name).write_text("FROM scratch\nCOPY . /all\n")
    (tmp_path / "box/.dockerignore").write_text("src\n!src/keep.txt\n")
    project = cast(Run, SimpleNamespace(project=Paths(tmp_path), stats=StatCache("")))
    sent = container_context.context(project, f"box/{name}")

    assert sent.dockerfile_inside == name
    assert [item.path for item in sent.items if item.kind == "file"] == sorted(
        [".dockerignore", name, "a", "src/keep.txt"]
    )

    before = container_context.dockerfile_digest(project, f"box/{name}")
    (tmp_path / "box/src/drop.txt").write_text("changed")
    assert container_context.dockerfile_digest(project, f"box/{name}") == before
    (tmp_path / "box/src/keep.txt").write_text("changed")
    assert container_context.dockerfile_digest(project, f"box/{name}") != before


@dataclass(frozen=True)
class Paths:
    """As much of a project as a container's context asks for."""

    folder: Path
    not_source: frozenset[str] = frozenset()

    def path(self, path: str) -> str:
        return str(self.folder / path)


def test_a_dockerfiles_own_ignore_file_takes_the_place_of_the_folders(tmp_path: Path) -> None:
    write(tmp_path, "Dockerfile", "a", "b")
    (tmp_path / ".dockerignore").write_text("a")
    (tmp_path / "Dockerfile.dockerignore").write_text("b")
    found = context.read(str(tmp_path), str(tmp_path / "Dockerfile"), StatCache(""))

    assert [item.path for item in found.items] == [".dockerignore", "Dockerfile", "Dockerfile.dockerignore", "a"]


def tar(folder: Path, name: str = "Dockerfile") -> bytes:
    stream = io.BytesIO()
    context.write_tar(context.read(str(folder), str(folder / name), StatCache("")), stream)
    return stream.getvalue()


def test_equal_folders_give_equal_tars(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, "Dockerfile", "src/a", "b") for name in ("one", "two"))
    for folder in (one, two):
        (folder / "empty").mkdir()
        (folder / "link").symlink_to("src/a")
        (folder / "run").touch(0o700)
    os.utime(two / "b", (1, 1))
    (two / "b").chmod(0o600)

    assert tar(one) == tar(two)
    with tarfile.open(fileobj=io.BytesIO(tar(one))) as archive:
        assert [(item.name, oct(item.mode), item.uid, item.uname) for item in archive] == [
            ("Dockerfile", "0o644", 0, ""), ("b", "0o644", 0, ""), ("empty", "0o755", 0, ""), ("link", "0o777", 0, ""),
            ("run", "0o755", 0, ""), ("src", "0o755", 0, ""), ("src/a", "0o644", 0, ""),
        ]  # fmt: skip


def test_the_dockerfile_is_sent_though_it_is_left_out_or_lies_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, "Elsewhere", "context/Dockerfile", "context/a")
    (tmp_path / "context/.dockerignore").write_text("*")

    def names(dockerfile: str) -> list[str]:
        with tarfile.open(fileobj=io.BytesIO(tar(tmp_path / "context", dockerfile))) as archive:
            return archive.getnames()

    assert names("Dockerfile") == [".dockerignore", "Dockerfile"]
    assert names("../Elsewhere") == [".dockerignore", context.OWN_DOCKERFILE]


def test_the_digest_of_a_context_is_that_of_names_links_rights_and_content(tmp_path: Path) -> None:
    def digest() -> str:
        found = context.read(str(folder), str(folder / "Dockerfile"), StatCache(""))
        return context.digest("x", found, StatCache(""))

    folder = write(tmp_path / "x", "Dockerfile", "a")
    seen = [digest()]
    for edit in (
        lambda: (folder / "a").write_text("b"),
        lambda: (folder / "a").chmod(0o755),
        lambda: (folder / "empty").mkdir(),
        lambda: (folder / "l").symlink_to("a"),
        lambda: ((folder / "l").unlink(), (folder / "l").symlink_to("b")),
        lambda: (folder / "a").rename(folder / "c"),
    ):
        edit()
        seen.append(digest())
    os.utime(folder / "c", (1, 1))

    assert len(set(seen)) == len(seen)
    assert digest() == seen[-1]


def test_what_no_context_can_hold_is_told(tmp_path: Path) -> None:
    write(tmp_path, "Dockerfile")
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(BadSource, match="pipe is neither a file nor a folder"):
        context.read(str(tmp_path), str(tmp_path / "Dockerfile"), StatCache(""))
    with pytest.raises(BadImage) as caught:
        dockerignore.parse(".dockerignore", "a\n[b\n")
    assert str(caught.value.where[0]) == ".dockerignore:2:1"

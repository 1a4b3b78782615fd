"""``containers``: which step runs in which container, what of this machine is in it, and what its tools are told."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_docker import FakeApi, fake_engine
from fake_project import FakeProject, fake_project, fake_rule

from lambdabuild.config.settings import CacheSettings, Container, Settings
from lambdabuild.core.errors import BadSettings, NoImage, ToolFailed
from lambdabuild.core.records import replace
from lambdabuild.engine.base.run import Once
from lambdabuild.engine.containers import context, files, pool
from lambdabuild.engine.containers.tool_runner import InContainer
from lambdabuild.plan.types import Build, BuildKey, BuildPlan, ContainerKey
from lambdabuild.rule_api import Folder, Job, Result, Target

PYTHON = ContainerKey("true", image="python:1", platform="linux/amd64")
GO = ContainerKey("auto", image="go:1", platform="linux/amd64")
LOCAL, FAR = "unix:///engine.test", "tcp://engine.test:2375"


class Case:
    """A project of three functions, two of which share a container, and an engine that has answered."""

    def __init__(self, folder: Path, api: FakeApi, host: str, container: Container, **more: Any) -> None:
        settings = Settings(cache=CacheSettings(enabled=False), container=container, offline=more.pop("offline", False))
        rule = fake_rule(folder / "rule", entry="rule.py")
        self.project: FakeProject = fake_project(folder / "project", settings=settings, rules=(rule,), **more)
        keys = {"Orders": PYTHON, "Refunds": PYTHON, "Search": GO}
        self.project.write("Search/main.go", "package main\n")
        self.project = self.project.with_plan(
            BuildPlan(
                (),
                tuple(
                    Build(name, BuildKey("fake", "function", "", "", name, container=key), (name,))
                    for name, key in keys.items()
                ),
            )
        )
        self.api, self.run = api, self.project.run
        self.pool = pool.pool(self.run)
        self.pool.connected = fake_engine(api, host)

    def runner(self, name: str = "Orders", **earlier: Result) -> InContainer:
        """The tools of a function's container, for a compile step."""
        made = InContainer(self.run, self.run.index.builds[name].key.container, name)
        out, scratch = (self.project.folder / "build/.lambdabuild" / one for one in ("out", "scratch"))
        for folder in (out, scratch):
            folder.mkdir(parents=True, exist_ok=True)
        target = Target(name, "function", "", "x86_64", str(self.project.folder / name), "", str(self.project.folder))
        made.job = Job("compile", target, str(out), str(scratch), self.run.project.cache_dir, earlier=earlier)
        return made

    def runs(self, runner: InContainer, *argv: str, **more: Any) -> Any:
        options: dict[str, Any] = {
            "names": (),
            "extra": {},
            "timeout_seconds": None,
            "who": "Orders",
            "help": "",
            "stdin": None,
        }
        return runner.run(argv, cwd=str(self.project.folder), **{**options, **more})


def case(
    tmp_path: Path, api: FakeApi | None = None, *, host: str = LOCAL, container: Container | None = None, **more: Any
) -> Case:
    engine = api or FakeApi({"python:1": "sha256:python", "go:1": "sha256:go"})
    return Case(tmp_path, engine, host, container or Container(), **more)


# which container


def test_steps_with_one_key_share_a_container(tmp_path: Path) -> None:
    made = case(tmp_path)
    assert made.pool.container(PYTHON) is made.pool.container(PYTHON)
    assert len(made.api.started) == 1


def test_steps_with_different_keys_have_containers_of_their_images(tmp_path: Path) -> None:
    made = case(tmp_path)
    made.pool.container(PYTHON)
    made.pool.container(GO)
    assert [one.image for one in made.api.started] == ["sha256:python", "sha256:go"]


def test_no_container_is_started_before_a_tool_runs_in_it(tmp_path: Path) -> None:
    made = case(tmp_path)
    assert made.runner().machine == ("Linux", "x86_64")
    assert made.api.started == []


def test_the_second_container_of_a_name_has_a_number(tmp_path: Path) -> None:
    made = case(tmp_path, container=Container(name="build"))
    made.pool.container(PYTHON)
    made.pool.container(GO)
    assert [one.name for one in made.api.started] == ["build", "build-2"]


def test_the_engine_is_asked_for_an_image_once(tmp_path: Path) -> None:
    made = case(tmp_path)
    for _ in range(3):
        assert made.pool.image(PYTHON) == "sha256:python"
    assert made.api.inspected == ["python:1"]


def test_an_image_that_is_not_there_is_pulled(tmp_path: Path) -> None:
    assert case(tmp_path, FakeApi()).pool.image(PYTHON) == "pulled python"


def test_offline_no_image_is_pulled(tmp_path: Path) -> None:
    with pytest.raises(NoImage):
        case(tmp_path, FakeApi(), offline=True).pool.image(PYTHON)


def test_the_settings_say_that_no_image_is_pulled(tmp_path: Path) -> None:
    with pytest.raises(NoImage):
        case(tmp_path, FakeApi(), container=Container(pull="never")).pool.image(PYTHON)


def test_all_containers_end_with_the_run(tmp_path: Path) -> None:
    made = case(tmp_path)
    made.pool.container(PYTHON)
    made.pool.container(GO)
    pool.close(made.run)
    assert made.api.removed == ["c1", "c2"]


def test_a_run_that_used_no_container_asks_no_engine_at_its_end(tmp_path: Path) -> None:
    run = replace(case(tmp_path).run, containers=Once())
    pool.close(run)
    assert not run.containers.is_made


def test_containers_that_an_earlier_run_of_the_project_left_are_removed_and_no_others(tmp_path: Path) -> None:
    made = case(tmp_path)
    ours = {pool.PROJECT: pool.project_label(made.run.project)}
    made.api.others = [
        {"Id": "an earlier run's", "Labels": {**ours, pool.RUN: "1-1"}},
        {"Id": "this run's", "Labels": {**ours, pool.RUN: pool.run_label(made.run)}},
        {"Id": "another project's", "Labels": {pool.PROJECT: "elsewhere", pool.RUN: "1-1"}},
    ]
    made.pool.container(PYTHON)
    assert made.api.removed == ["an earlier run's"]


def test_a_container_says_whose_it_is(tmp_path: Path) -> None:
    made = case(tmp_path)
    made.pool.container(PYTHON)
    labels = {pool.PROJECT: pool.project_label(made.run.project), pool.RUN: pool.run_label(made.run)}
    assert made.api.started[0].labels == labels


# how files get into it


def test_the_project_is_mounted_to_be_read_and_its_state_to_be_written(tmp_path: Path) -> None:
    made = case(tmp_path)
    made.pool.container(PYTHON)
    project = made.run.project
    mounts = {source: read_only for source, target, read_only in made.api.started[0].mounts if source == target}
    assert mounts[project.folder] is True
    assert (mounts[project.state_dir], mounts[project.cache_dir]) == (False, False)


def test_the_folder_of_a_rule_with_code_is_mounted(tmp_path: Path) -> None:
    made = case(tmp_path)
    assert str(tmp_path / "rule") in files.source_files(made.run)


def test_no_folder_is_mounted_twice(tmp_path: Path) -> None:
    made = case(tmp_path)
    assert files.source_files(made.run) == [str(tmp_path / "project"), str(tmp_path / "rule")]


@pytest.mark.parametrize(
    ("host", "transfer", "mounts"),
    [(LOCAL, "auto", True), (LOCAL, "archive", False), (FAR, "auto", False), (FAR, "mount", True)],
)
def test_files_are_mounted_where_the_engine_and_the_settings_let_them(
    tmp_path: Path, host: str, transfer: str, mounts: bool
) -> None:
    made = case(tmp_path, host=host, container=Container(transfer=transfer))
    assert made.pool.container(PYTHON).shares is mounts
    assert bool(made.api.started[0].mounts) is mounts


def test_an_engine_with_other_users_gets_an_archive(tmp_path: Path) -> None:
    made = case(tmp_path)
    made.pool.connected = fake_engine(made.api, LOCAL, "name=userns")
    assert not made.pool.container(PYTHON).shares


def test_an_engine_that_does_not_see_our_folders_gets_an_archive(tmp_path: Path) -> None:
    made = case(tmp_path, FakeApi({"python:1": "x"}, refuses_mounts=True))
    assert not made.pool.container(PYTHON).shares
    assert made.api.started[-1].files


def test_an_engine_that_must_mount_and_does_not_see_our_folders_is_an_error(tmp_path: Path) -> None:
    made = case(tmp_path, FakeApi({"python:1": "x"}, refuses_mounts=True), container=Container(transfer="mount"))
    with pytest.raises(BadSettings, match="does not see this machine's folders"):
        made.pool.container(PYTHON)


def test_an_engine_that_mounts_folders_of_another_machine_gets_an_archive_in_a_fresh_container(tmp_path: Path) -> None:
    made = case(tmp_path, FakeApi({"python:1": "x"}, program=lambda argv: (int(argv[0] == "test"), "")))
    assert not made.pool.container(PYTHON).shares
    assert made.api.removed == ["c1"]
    assert made.api.started[1].mounts == []


def sent(made: Case) -> Mapping[str, tarfile.TarInfo]:
    made.pool.container(PYTHON)
    return made.api.started[-1].files


def test_an_archive_holds_the_source_and_nothing_that_we_built(tmp_path: Path) -> None:
    made = case(tmp_path, host=FAR)
    made.project.write("build/Orders.zip", "built")
    names = {os.path.relpath(path, made.project.folder) for path in sent(made)}
    assert "Orders/source.txt" in names
    assert not any(name.startswith("build/") for name in names)


def test_what_is_sent_belongs_to_the_user_who_builds(tmp_path: Path) -> None:
    assert {one.uid for one in sent(case(tmp_path, host=FAR)).values()} == {os.getuid()}


# what is brought along


def brought(*mounts: str, passed: tuple[str, ...] = (), **environment: str) -> list[tuple[str, str, bool]]:
    return list(files.brought_along(Container(mounts=mounts, pass_environment=passed), environment))


def test_a_mount_is_read_only_in_its_own_place_unless_it_says_more(tmp_path: Path) -> None:
    assert brought(str(tmp_path)) == [(str(tmp_path), str(tmp_path), True)]


@pytest.mark.parametrize(
    ("words", "target", "read_only"),
    [
        (":/opt/x", "/opt/x", True),
        (":/opt/x:rw", "/opt/x", False),
        (":/opt/x:ro", "/opt/x", True),
        (":rw", "", False),
        (":~/.cfg", f"{files.HOME}/.cfg", True),
        (":~", files.HOME, True),
        (":opt", "/opt", True),
    ],
)
def test_a_mount_names_its_place_and_mode(tmp_path: Path, words: str, target: str, read_only: bool) -> None:
    assert brought(f"{tmp_path}{words}") == [(str(tmp_path), target or str(tmp_path), read_only)]


def test_a_mount_of_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="does not exist"):
        brought(f"{tmp_path}/gone:/opt")


def test_the_file_that_a_passed_variable_names_comes_along(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("")
    assert brought(passed=("CA",), CA=str(file)) == [(str(file), str(file), True)]


@pytest.mark.parametrize("value", ["text", "/no/such/file", "relative/file"])
def test_a_passed_variable_that_names_no_file_brings_none(value: str) -> None:
    assert brought(passed=("CA",), CA=value) == []


def test_the_file_of_a_variable_that_is_not_passed_stays_here(tmp_path: Path) -> None:
    assert brought(CA=str(tmp_path)) == []


@pytest.fixture
def agent() -> Iterator[str]:
    """A socket, such as that of ssh-agent; its path has to be short."""
    path = f"/tmp/lambdabuild-test-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        yield path
    os.unlink(path)


def test_a_socket_that_comes_along_can_be_written_to(agent: str) -> None:
    assert brought(passed=("SSH_AUTH_SOCK",), SSH_AUTH_SOCK=agent) == [(agent, agent, False)]


def test_a_socket_cannot_be_sent_to_a_far_engine(tmp_path: Path, agent: str) -> None:
    made = case(
        tmp_path,
        host=FAR,
        container=Container(pass_environment=("SSH_AUTH_SOCK",)),
        environment={"SSH_AUTH_SOCK": agent},
    )
    with pytest.raises(BadSettings, match="is a socket"):
        made.pool.container(PYTHON)


# the variables of tools

HERE = {
    "PATH": "/usr/bin", "HOME": "/home/me", "USER": "me", "TMPDIR": "/tmp/mine", "HTTPS_PROXY": "http://proxy.test",
    "SSL_CERT_FILE": "/etc/mine.pem", "TOKEN": "secret", "CLAIMED": "claimed", "OUTSIDE": "/etc/passwd",
}  # fmt: skip


def environment(
    tmp_path: Path, *names: str, container: Container | None = None, extra: Mapping[str, str] | None = None, **more: str
) -> dict[str, str]:
    """The variables that a tool in a container is given; ``names`` are claimed by its rule."""
    made = case(tmp_path, container=container, environment={**HERE, **more})
    made.runs(made.runner(), "maker", names=names, extra=extra or {})
    found = dict(made.api.executed[-1]["environment"])
    return {name: value for name, value in found.items() if name != "LAMBDABUILD_TOOL"}


def test_a_tool_is_told_of_the_network_and_nothing_else_of_this_machine(tmp_path: Path) -> None:
    fixed = {"HOME": files.HOME, "USER": "lambdabuild", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
    assert environment(tmp_path) == {**fixed, "HTTPS_PROXY": "http://proxy.test"}


@pytest.mark.parametrize("name", ["PATH", "HOME", "TMPDIR", "USER", "XDG_CACHE_HOME"])
def test_what_is_about_this_machine_is_not_passed_though_the_container_has_the_folder(
    tmp_path: Path, name: str
) -> None:
    inside = str(tmp_path / "project/Orders")
    assert inside not in environment(tmp_path, **{name: inside}).values()


def test_a_variable_that_the_rule_claims_is_passed(tmp_path: Path) -> None:
    assert environment(tmp_path, "CLAIMED")["CLAIMED"] == "claimed"


def test_a_claimed_variable_with_a_path_that_the_container_does_not_have_is_not_passed(tmp_path: Path) -> None:
    assert "OUTSIDE" not in environment(tmp_path, "OUTSIDE")


def test_a_claimed_variable_with_a_path_of_the_project_is_passed(tmp_path: Path) -> None:
    inside = str(tmp_path / "project/Orders")
    assert environment(tmp_path, "INSIDE", INSIDE=inside)["INSIDE"] == inside


def test_a_folder_whose_name_only_begins_like_the_projects_is_not_in_the_container(tmp_path: Path) -> None:
    assert "INSIDE" not in environment(tmp_path, "INSIDE", INSIDE=str(tmp_path / "project-two/x"))


def test_a_claimed_variable_with_a_path_that_is_mounted_is_passed(tmp_path: Path) -> None:
    container = Container(mounts=("/etc:/etc",))
    assert environment(tmp_path, "OUTSIDE", container=container)["OUTSIDE"] == "/etc/passwd"


def test_what_the_settings_pass_is_passed_whatever_it_holds(tmp_path: Path) -> None:
    container = Container(pass_environment=("TOKEN", "OUTSIDE", "UNSET"))
    found = environment(tmp_path, container=container)
    assert (found["TOKEN"], found["OUTSIDE"], "UNSET" in found) == ("secret", "/etc/passwd", False)


def test_the_settings_precede_what_is_passed_from_here_by_rules(tmp_path: Path) -> None:
    container = Container(environment={"HTTPS_PROXY": "http://other.test"})
    assert environment(tmp_path, container=container)["HTTPS_PROXY"] == "http://other.test"


def test_a_home_of_the_settings_precedes_ours(tmp_path: Path) -> None:
    assert environment(tmp_path, container=Container(environment={"HOME": "/root"}))["HOME"] == "/root"


def test_the_step_itself_has_the_last_word(tmp_path: Path) -> None:
    container = Container(environment={"GOFLAGS": "a"}, pass_environment=("TOKEN",))
    found = environment(tmp_path, container=container, extra={"GOFLAGS": "b", "TOKEN": "c"})
    assert (found["GOFLAGS"], found["TOKEN"]) == ("b", "c")


# running a tool


def test_a_program_is_looked_for_once(tmp_path: Path) -> None:
    made = case(tmp_path, FakeApi({"python:1": "x"}, program=lambda argv: (0, "/usr/bin/maker\n")))
    assert [made.runner().find("maker") for _ in range(2)] == ["/usr/bin/maker"] * 2
    assert [one["argv"][-1] for one in made.api.executed].count("maker") == 1


def test_a_program_that_the_image_does_not_have_is_not_found(tmp_path: Path) -> None:
    made = case(tmp_path, FakeApi({"python:1": "x"}, program=lambda argv: (int("command -v" in " ".join(argv)), "")))
    assert made.runner().find("maker") is None


def failing(tmp_path: Path, status: int, text: str = "") -> ToolFailed:
    made = case(
        tmp_path, FakeApi({"python:1": "x"}, program=lambda argv: (status, text) if argv[0] == "maker" else (0, ""))
    )
    with pytest.raises(ToolFailed) as raised:
        made.runs(made.runner(), "maker", "--all", help="look at maker's words")
    return raised.value


def test_a_failure_names_the_container(tmp_path: Path) -> None:
    error = failing(tmp_path, 2, "no such file")
    assert error.tail.startswith("container: python:1\n")
    assert "no such file" in error.tail
    assert error.help == "look at maker's words"


def test_a_tool_that_was_killed_may_need_memory(tmp_path: Path) -> None:
    assert "memory" in failing(tmp_path, 137).help


def test_a_full_disk_of_the_engine_is_told_as_such(tmp_path: Path) -> None:
    assert "docker system prune" in failing(tmp_path, 1, "write: No space left on device").help


def test_a_text_for_standard_input_is_in_the_steps_scratch_folder(tmp_path: Path) -> None:
    made = case(tmp_path)
    runner = made.runner()
    made.runs(runner, "maker", stdin="the text")
    assert runner.job is not None
    (path,) = Path(runner.job.scratch).iterdir()
    assert path.read_text() == "the text"
    assert made.api.executed[-1]["argv"][-2:] == [str(path), "maker"]


def test_a_far_container_gets_what_the_steps_before_left(tmp_path: Path) -> None:
    made = case(tmp_path, host=FAR)
    earlier = made.project.write("build/.lambdabuild/earlier/a.txt").parent
    made.runs(made.runner(resolve=Result((Folder(str(earlier)),))), "maker")
    assert f"{earlier}/a.txt" in made.api.started[0].files


def test_what_a_tool_leaves_in_a_far_container_takes_the_place_of_what_was_here(tmp_path: Path) -> None:
    made = case(tmp_path, host=FAR)
    runner = made.runner()
    assert runner.job is not None
    out = Path(runner.job.out)
    (out / "old").write_text("")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("out/new"), io.BytesIO())
    made.api.inside[str(out)] = stream.getvalue()
    made.runs(runner, "maker")
    assert [one.name for one in out.iterdir()] == ["new"]


def test_with_mounted_folders_nothing_is_sent_and_fetched(tmp_path: Path) -> None:
    made = case(tmp_path)
    made.runs(made.runner(), "maker")
    assert made.api.started[0].files == {}


# images as inputs of a step


def test_a_step_records_the_image_that_it_ran_in(tmp_path: Path) -> None:
    assert pool.used(case(tmp_path).run, PYTHON) == {"image:python:1": "sha256:python"}


def test_an_image_that_changed_is_seen(tmp_path: Path) -> None:
    assert pool.now(case(tmp_path).run, {"image:python:1": "sha256:old"}) == {"image:python:1": "sha256:python"}


def test_an_image_that_is_gone_is_no_reason_to_build_anew(tmp_path: Path) -> None:
    assert pool.now(case(tmp_path).run, {"image:gone:1": "sha256:old"}) == {"image:gone:1": "sha256:old"}


def test_an_engine_that_does_not_answer_is_no_reason_to_build_anew(tmp_path: Path) -> None:
    made = case(tmp_path)

    class Gone(FakeApi):
        def inspect_image(self, name: str) -> dict[str, str]:
            raise ConnectionRefusedError(name)

    made.pool.connected = fake_engine(Gone())
    assert pool.now(made.run, {"image:python:1": "sha256:old"}) == {"image:python:1": "sha256:old"}


def test_the_engine_is_asked_what_an_image_is_once_a_run(tmp_path: Path) -> None:
    made = case(tmp_path)
    for _ in range(3):
        pool.now(made.run, {"image:python:1": "sha256:old"})
    assert made.api.inspected == ["python:1"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [("image:python:1", True), ("image:python@sha256:aa", False), ("dockerfile:Dockerfile", False)],
)
def test_only_a_tag_must_be_asked_for(key: str, expected: bool) -> None:
    assert pool.must_ask([key]) is expected


def dockerfile(tmp_path: Path, text: str) -> Case:
    made = case(tmp_path)
    made.project.write("image/Dockerfile", text)
    made.project.write("image/setup.sh", "one\n")
    return made


def test_an_edit_of_what_a_dockerfile_copies_is_another_image(tmp_path: Path) -> None:
    made = dockerfile(tmp_path, "FROM base\nCOPY setup.sh /\n")
    before = context.dockerfile_digest(made.run, "image/Dockerfile")
    made.project.write("image/setup.sh", "two, longer\n")
    assert context.dockerfile_digest(made.run, "image/Dockerfile") != before


def test_a_file_next_to_a_dockerfile_that_copies_nothing_does_not_matter(tmp_path: Path) -> None:
    made = dockerfile(tmp_path, "FROM base\nRUN true\n")
    before = context.dockerfile_digest(made.run, "image/Dockerfile")
    made.project.write("image/setup.sh", "two, longer\n")
    assert context.dockerfile_digest(made.run, "image/Dockerfile") == before


def test_a_file_that_the_dockerignore_leaves_out_does_not_matter(tmp_path: Path) -> None:
    made = dockerfile(tmp_path, "FROM base\nCOPY . /\n")
    made.project.write("image/.dockerignore", "*.log\n")
    before = context.dockerfile_digest(made.run, "image/Dockerfile")
    made.project.write("image/a.log", "log\n")
    assert context.dockerfile_digest(made.run, "image/Dockerfile") == before


def test_a_dockerfile_that_is_gone_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read"):
        context.dockerfile_digest(case(tmp_path).run, "no/Dockerfile")


def test_a_record_names_an_image_by_its_name_or_its_dockerfile() -> None:
    assert pool.key_of(PYTHON) == "image:python:1"
    assert pool.key_of(ContainerKey("true", dockerfile="image/Dockerfile")) == "dockerfile:image/Dockerfile"

"""What the settings say of images and containers, and when a step runs again because of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docker_engine import Engine
from sandbox import Sandbox

FUNCTION = """\
  {name}:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: makefile}}
    Properties: {{Runtime: provided.al2023, Handler: bootstrap, CodeUri: src}}
"""
SECRET = "s3cret-and-nowhere-to-be-found"


def service(project: Sandbox, settings: str, *says: str) -> Sandbox:
    """Functions whose artifact is what a command prints in the container."""
    names = [f"Made{number}" for number in range(len(says))]
    makefile = "".join(
        f"build-{name}:\n\t@({say}) > $(ARTIFACTS_DIR)/bootstrap\n" for name, say in zip(names, says, strict=True)
    )
    template = "Transform: AWS::Serverless-2016-10-31\nResources:\n" + "".join(
        FUNCTION.format(name=name) for name in names
    )
    return project.write(
        {"template.yaml": template, "lambdabuild.toml": "use_container = true\n" + settings, "src/Makefile": makefile}
    )


def said(project: Sandbox, name: str = "Made0") -> str:
    return project.content(name, "bootstrap").decode().strip()


def test_one_container_serves_all_functions_of_a_run_as_the_caller(
    project: Sandbox, engine: Engine, base_image: str
) -> None:
    settings = f'image = "{base_image}"\n[container]\nnetwork = "none"\nname = "lambdabuild-{os.getpid()}"\n'
    service(project, settings, "id -u; eval echo ~$$(id -un)", "pwd", "echo $$HOME; touch $$HOME/file")

    with engine.started(project.folder) as started:
        project.build(env=engine.environment)

    assert started == [f"lambdabuild-{os.getpid()}"]
    assert said(project).split() == [str(os.getuid()), "/tmp/lambdabuild/home"]
    assert said(project, "Made1").startswith(str(project.folder))
    assert said(project, "Made2") == "/tmp/lambdabuild/home"
    assert project.build(env=engine.environment).steps == []


def test_variables_and_files_are_passed_on_by_name_and_kept_nowhere(
    project: Sandbox, engine: Engine, base_image: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine example")
    settings = f"""\
image = "{base_image}"
[container]
network = "none"
environment = {{ COLOUR = "blue" }}
pass_environment = ["TOKEN"]
mounts = ["~/.netrc"]
"""
    service(
        project,
        settings,
        'echo $$COLOUR $${OTHER-unset} $$(cat ~/.netrc); test "$$TOKEN" = ' + SECRET[:6] + '"' + SECRET[6:] + '"',
    )
    env = {**engine.environment, "TOKEN": SECRET, "OTHER": "host's", "HOME": str(home), "XDG_CACHE_HOME": str(tmp_path)}

    project.build(env=env)
    plan = project.run("plan", "--format", "json", env=env)

    assert said(project) == "blue unset machine example"
    files = [
        path
        for top in (project.folder, tmp_path)
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink()
    ]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in plan.said
    assert project.run("build", env={**env, "TOKEN": "another"}).out.startswith("nothing to do")


def test_a_dockerfile_is_built_once_and_again_when_it_changes(
    project: Sandbox, engine: Engine, base_image: str
) -> None:
    dockerfile = f"FROM {base_image}\nCOPY words /words\n"
    project.write({"docker/Dockerfile": dockerfile, "docker/words": "one\n", "docker/.dockerignore": "*.md\n"})
    service(project, 'dockerfile = "docker/Dockerfile"\n[container]\nnetwork = "none"\n', "cat /words")
    project.build(env=engine.environment)
    assert said(project) == "one"
    assert project.run("build", env=engine.environment).out.startswith("nothing to do")

    project.write({"docker/notes.md": "not copied"})
    assert project.build(env=engine.environment).steps == []
    assert project.run("forget", "compile:Made0").code == 0
    before = built_images(engine)
    assert "compile:Made0" in project.build(env=engine.environment).steps
    assert built_images(engine) == before
    project.write({"docker/words": "two\n"})

    assert "the Dockerfile docker/Dockerfile changed" in project.run("why", "Made0", env=engine.environment).out
    project.build(env=engine.environment)
    assert said(project) == "two"
    project.write({"docker/Dockerfile": dockerfile + "RUN exit 3\n"})
    failed = project.run("build", env=engine.environment)
    assert "LB803" in failed.said
    assert "RUN exit 3" in failed.said


def built_images(engine: Engine) -> dict[str, float]:
    """When each image was built that came from a Dockerfile."""
    with engine.client() as client:
        return {item["Id"]: item["Created"] for item in client.api.images(filters={"label": "lambdabuild.dockerfile"})}


def test_an_image_that_changed_under_its_name_is_seen_and_one_that_is_gone_is_not_missed(
    project: Sandbox, engine: Engine, base_image: str
) -> None:
    name = f"lambdabuild-tests/moving:{os.getpid()}"
    service(project, f'image = "{name}"\n[container]\nnetwork = "none"\npull = "never"\n', "echo $$MADE_OF")
    with engine.client() as client:
        for number, env in enumerate(["one", "two"]):
            client.containers.create(base_image, environment={"MADE_OF": env}, name=f"moving-{os.getpid()}").commit(
                *name.split(":")
            )
            client.containers.get(f"moving-{os.getpid()}").remove()
            ran = project.build(env=engine.environment)
            assert "compile:Made0" in ran.steps
            assert said(project) == ["one", "two"][number]
            assert project.build(env=engine.environment).steps == []
        client.images.remove(name)
    assert project.build(env=engine.environment).steps == []
    assert project.build(env={"DOCKER_HOST": "unix:///nowhere.sock"}).steps == []


def test_a_remote_engine_is_sent_the_files(project: Sandbox, engine: Engine, base_image: str) -> None:
    settings = f'image = "{base_image}"\n[container]\nnetwork = "none"\n'
    service(project, settings, f"grep -c {project.folder} /proc/self/mountinfo; cat {project.folder}/src/note")
    project.write({"src/note": "sent\n"})

    with over_tcp(engine) as host:
        project.build(env={"DOCKER_HOST": host})

    assert said(project) == "0\nsent"
    assert engine.containers(project.folder) == []


def test_clean_removes_containers_that_a_killed_run_left(project: Sandbox, engine: Engine, base_image: str) -> None:
    settings = f'image = "{base_image}"\n[container]\nnetwork = "none"\n'
    service(project, settings, "echo made")
    project.build(env=engine.environment)
    label = {"lambdabuild.project": f"{socket.gethostname()}:{project.folder}", "lambdabuild.run": "an older one"}
    with engine.client() as client:
        client.containers.create(base_image, labels=label)
        foreign = client.containers.create(base_image, labels={**label, "lambdabuild.project": "another"})
        assert len(engine.containers(project.folder)) == 1

        assert project.run("clean", env=engine.environment).code == 0

        assert engine.containers(project.folder) == []
        foreign.remove()


FORWARD = """
import socket, sys, threading, time

def copy(one, other):
    # As slow networks do: what was said in pieces comes together.
    try:
        while one.recv(1, socket.MSG_PEEK):
            time.sleep(0.15)
            other.sendall(one.recv(65536))
        other.shutdown(socket.SHUT_WR)
    except OSError: pass

server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    client, there = server.accept()[0], socket.socket(socket.AF_UNIX)
    there.connect(sys.argv[1])
    for pair in ((client, there), (there, client)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
"""


@contextmanager
def over_tcp(engine: Engine) -> Iterator[str]:
    """The engine at an address of TCP, as a remote one has."""
    command = [sys.executable, "-c", FORWARD, engine.host.removeprefix("unix://")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        try:
            yield f"tcp://127.0.0.1:{forward.stdout.readline().strip()}"
        finally:
            forward.terminate()

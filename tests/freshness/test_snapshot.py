"""The next run of doit, when the last one's snapshot knows most of the answer: which tasks it makes, and what it says."""

from __future__ import annotations

import hashlib
import marshal
import os
import pickle
import shutil
import sys
from pathlib import Path

import pytest
from sandbox import PLAIN_FUNCTION, Ran, Sandbox

from lambdabuild.engine.base import snapshot
from lambdabuild.engine.noop import plan_cache
from lambdabuild.files import sealed
from lambdabuild.files.stat_cache import StatCache

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.11, Handler: app.handler}
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: orders, Layers: [!Ref Shared]}
  Refunds:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: refunds}
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: shared}
"""
DODO = "from lambdabuild.project import doit_project\n\nglobals().update(doit_project(__file__))\n"
ALL = "nothing to do: 2 functions and 1 layer up to date\n"


@pytest.fixture
def built(project: Sandbox) -> Sandbox:
    project.write({"template.yaml": TEMPLATE, "dodo.py": DODO, "shared/data.json": "{}"})
    project.write({f"{name}/app.py": "def handler(event, context): return 1\n" for name in ("orders", "refunds")})
    # What was written a moment before a run is not believed to be as it was: see docs/architecture.md, decision 8.
    assert doit(project).code == doit(project).code == 0
    return project


def doit(project: Sandbox, *arguments: str, code: str = "", **env: str) -> Ran:
    """doit's own command; ``code`` is Python that runs in its process at the end."""
    script = (
        f"import sys, atexit\natexit.register(lambda: exec({code!r}))\n"
        "from doit.__main__ import main\nsys.argv[0] = 'doit'\nmain()"
    )
    return project.command([sys.executable, "-c", script, *arguments], env=env)


def test_what_has_nothing_to_do_reads_no_template_and_makes_no_steps(built: Sandbox) -> None:
    loaded = "print([name for name in ('yaml', 'lambdabuild.engine.base.run') if name in sys.modules])"

    assert doit(built, code=loaded).out == ALL + "[]\n"
    assert doit(built, "build:Orders", code=loaded).out == "nothing to do: 1 function up to date\n[]\n"
    assert doit(built, "layer", "template", code=loaded).out == ALL + "[]\n"
    assert built.run().out == ALL
    assert built.run("build", "Orders", "Shared").out == "nothing to do: 1 function and 1 layer up to date\n"
    assert built.run("build", "-q").out == ""
    assert built.build().summary["up_to_date"] == 16


def test_a_run_with_nothing_to_do_imports_next_to_nothing(built: Sandbox) -> None:
    script = (
        "import sys\nfrom lambdabuild.cli.main import main\nmain([])\n"
        "ours = {name.partition('.')[2] for name in sys.modules if name.startswith('lambdabuild.')}\n"
        "print(sorted(ours), [name for name in ('typing', 're', 'json', 'argparse') if name in sys.modules])"
    )
    cli, core = ["cli", "cli.main", "cli.project_folder", "cli.quick"], ["core", "core.regular"]
    engine, files = ["engine", "engine.base", "engine.base.snapshot"], ["files", "files.sealed", "files.watch"]
    ran = built.command([sys.executable, "-c", script])
    assert ran.out == f"{ALL}{['_version', *cli, *core, *engine, *files, 'project']} []\n", ran.err


def test_an_overview_does_not_need_the_steps(built: Sandbox) -> None:
    quick = doit(built, "list", code="print('yaml' in sys.modules)").out
    built.path("build/.lambdabuild/snapshot").unlink()

    assert quick == doit(built, "list").out + "False\n"
    assert "build:Orders" in doit(built, "list", "--all").out


def test_only_what_changed_is_asked_about(built: Sandbox) -> None:
    built.append("orders/app.py", "# edited\n")
    ran = built.build()
    assert set(ran.steps) == {f"{kind}:Orders" for kind in ("copy", "zip", "hash", "upload", "tree")} | {"template"}
    assert {event["task"].partition(":")[2] for event in ran.events if event["event"] == "skip"} == set()
    assert ran.summary["reused"] == ["build:Refunds", "layer:Shared"]
    assert doit(built).out == ALL


def test_a_changed_layer_is_asked_about_with_the_functions_that_have_it(built: Sandbox) -> None:
    built.append("shared/data.json", " ")
    assert "hash:Orders" in built.build("Orders").steps
    assert "nothing to do: 1 function" in doit(built, "build:Refunds").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("-a",),
        ("paranoid=true",),
        ("zip:Orders",),
        ("build:Ord*",),
        ("info", "zip:Orders"),
        ("why:Orders",),
        ("stage=x",),
    ],
    ids=" ".join,
)
def test_who_asks_otherwise_gets_the_whole(arguments: tuple[str, ...], built: Sandbox) -> None:
    ran = doit(built, *arguments, code="print('lambdabuild.engine.base.run' in sys.modules)")
    assert ran.code == 0, ran.said
    assert ran.out.endswith("True\n")


def test_tasks_of_the_users_own_find_every_step_by_name(built: Sandbox) -> None:
    built.append(
        "dodo.py",
        "\n\ndef task_deploy():\n    return {'actions': ['echo sent'], 'task_dep': ['zip:Orders'], 'verbosity': 2}\n",
    )
    assert ALL in doit(built).out
    assert "sent" in doit(built, "deploy").out
    assert doit(built, "list", "--deps").code == 0


@pytest.mark.parametrize("variable", ["LAMBDABUILD_EXCLUDE", "XDG_CACHE_HOME", "AWS_REGION"])
def test_another_environment_is_another_question(variable: str, built: Sandbox) -> None:
    ran = doit(built, code="print('yaml' in sys.modules)", **{variable: f"{os.environ.get(variable, '')}:/nowhere"})
    assert ran.out.endswith("True\n")


def test_a_program_that_is_found_elsewhere_is_another(project: Sandbox) -> None:
    project.write({
        "template.yaml": PLAIN_FUNCTION,
        "src/app.py": "",
        "bin/made": "#!/bin/sh\necho 1\n",
        "lambdabuild.toml": '[commands.Orders]\nrun = "made > $ARTIFACTS_DIR/out"\ntools = ["made"]\n',
    })  # fmt: skip
    project.path("bin/made").chmod(0o755)
    first = {"PATH": f"{project.path('bin')}{os.pathsep}{os.environ['PATH']}"}
    again = {"PATH": f"{project.path('other')}{os.pathsep}{first['PATH']}"}
    for environment in (first, first, again):
        ran = project.run("build", env=environment)
    assert ran.out == "nothing to do: 1 function up to date\n"

    project.write({"other/made": "#!/bin/sh\necho 2\n"}).path("other/made").chmod(0o755)
    assert "compile:Orders" in project.build(env=again).steps
    assert project.content("Orders", "out") == b"2\n"


def test_forgetting_is_noticed(built: Sandbox) -> None:
    assert doit(built, "forget", "zip:Orders").code == 0
    assert "zip:Orders" in built.build().steps


def test_a_snapshot_that_cannot_be_read_is_none(built: Sandbox) -> None:
    for rubbish in (b"", b"\x00" * 100, Path(sys.executable).read_bytes()[:5000]):
        built.path("build/.lambdabuild/snapshot").write_bytes(rubbish)
        assert doit(built).out == ALL


def test_the_plan_is_not_made_anew_for_an_edit(built: Sandbox) -> None:
    loaded = "print([name for name in ('yaml', 'lambdabuild.plan.planner') if name in sys.modules])"
    built.append("orders/app.py", "# edited\n")
    assert doit(built, code=loaded).out.endswith("['lambdabuild.plan.planner']\n")  # which observe asks for folders

    built.write({"orders/requirements.txt": ""})
    assert "resolve:Orders" in built.build().steps


HEADS: list[object] = [[], {}, None, 1, "x", {"place": 1}, {"shown": {}}, [[[[[[]]]]]]]
RUBBISH = [
    b"[" * 1000, b"(" + b"\x05\x00\x00\x00" * 1000, b"\xff" * 1000, marshal.dumps((7, "0.1.0", {})),
    pickle.dumps((os.system, (), {})), b"cos\nsystem\n(S'touch started'\ntR.",
]  # fmt: skip


def read_state(file: str, project: Sandbox) -> object:
    """What lambdabuild makes of a file of its state; nothing when it is none."""
    place = str(project.path("build"))
    if file == "snapshot":
        return snapshot.read(place, {}, project.environment())
    if file == "plan":
        return plan_cache.read(place, hashlib.blake2b(b"", digest_size=16).hexdigest())
    return StatCache(str(project.path("build/.lambdabuild/stats")))._metadata


@pytest.mark.parametrize("file", ["snapshot", "stats", "plan"])
def test_what_somebody_put_in_place_of_our_state_is_as_if_there_was_none(file: str, built: Sandbox) -> None:
    path = built.path(f"build/.lambdabuild/{file}")
    whole = path.read_bytes()
    mark = whole.partition(b"\n")[0].decode()
    texts = [*RUBBISH, whole[:-1], whole[:200], whole + b"x", whole[:300] + b"X" + whole[301:]]
    for text in (*texts, *(mark.encode() + b"\n" + text for text in texts)):
        path.write_bytes(text)
        assert not read_state(file, built)
    for head in HEADS:
        assert sealed.write(str(path), mark, head, [b"[" * 1000, b"\0" * 99, b"a\0b\0c"])
        assert not read_state(file, built)
    assert built.run().out == ALL
    assert not built.path("started").exists()


def test_a_kept_plan_holds_our_own_records_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".lambdabuild").mkdir()
    for text in (
        '[["system", "touch started"], ["BuildPlan"], ["{"]]',
        "[" * 100_000,
        '[["Span", 1], 1, 1]',
        "[1, 2, 3]",
    ):
        data = text.encode()
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        assert sealed.write(str(tmp_path / ".lambdabuild/plan"), plan_cache.MARK, digest, [data])
        assert plan_cache.read(str(tmp_path), digest) is None


def test_a_snapshot_cannot_choose_where_doit_keeps_its_state(built: Sandbox) -> None:
    path = str(built.path("build/.lambdabuild/snapshot"))
    head, blobs = sealed.read(path, snapshot.MARK)
    for config in ({"dep_file": "/elsewhere"}, {"backend": "dbm"}, {"loader": "x"}, {"num_process": "9"}):
        changed = {**head, "shown": {**head["shown"], "config": {**head["shown"]["config"], **config}}}
        assert sealed.write(path, snapshot.MARK, changed, blobs)
        assert snapshot.read(head["place"], {}, built.environment()) is None


def test_a_serverless_ymls_values_are_not_kept(project: Sandbox) -> None:
    project.write({
        "serverless.yml": "service: shop\nprovider: {name: aws, runtime: python3.11}\nfunctions:\n"
        "  one: {handler: app.handler, environment: {KEY: '${env:SECRET}'}}\n",
        "app.py": "",
    })  # fmt: skip
    for _ in range(2):
        said = project.run("build", env={"SECRET": "open sesame"}).out
    assert said == "nothing to do: 1 function up to date\n"
    state = project.path("build/.lambdabuild")
    assert not [path for path in state.rglob("*") if path.is_file() and b"open sesame" in path.read_bytes()]
    assert "nothing to do" not in project.run("build", env={"SECRET": "another"}).out


def test_what_is_told_after_an_edit_is_what_a_build_from_nothing_tells(built: Sandbox) -> None:
    built.append("orders/app.py", "# edited\n")
    built.build()
    told = {name: built.path(f"build/{name}").read_text() for name in ("manifest.json", "packaged-template.yaml")}
    shutil.rmtree(built.path("build"))
    built.build()

    assert told == {name: built.path(f"build/{name}").read_text() for name in told}


def test_default_tasks_of_the_users_own_are_kept(built: Sandbox) -> None:
    built.append("dodo.py", "DOIT_CONFIG['default_tasks'] = ['build:Refunds', 'zip:Orders']\n")
    built.append("orders/app.py", "# edited\n")
    ran = doit(built)
    assert ran.code == 0, ran.said
    assert "zip:Orders" in ran.out and "hash:Orders" not in ran.out

    built.write({"dodo.py": DODO + "DOIT_CONFIG['default_tasks'] = ['build:Refunds']\n"})
    assert doit(built).out == "nothing to do: 1 function up to date\n"


def test_a_file_beside_the_template_changes_nothing_but_a_manifest_does(built: Sandbox) -> None:
    built.write({"notes.txt": "", "other/file": ""})
    loaded = "print('yaml' in sys.modules)"
    assert doit(built, code=loaded).out == ALL + "False\n"

    built.write({"requirements.txt": ""})
    assert {"resolve:Orders", "resolve:Refunds"} & set(built.build().steps)


def test_in_a_large_service_trees_are_watched_by_their_folders_and_zips_by_themselves(built: Sandbox) -> None:
    large = "from lambdabuild.engine.noop import snapshot_writer\nsnapshot_writer.MANY = 2\nfrom lambdabuild.cli.main import main\nmain([])"
    built.path("build/.lambdabuild/snapshot").unlink()
    assert built.command([sys.executable, "-c", large]).out == ALL
    built.append("build/Orders/app.py", "# by hand\n")
    assert built.run().out == ALL
    assert "tree:Orders" in built.run("why", "Orders").out.partition("  would run")[0]
    assert built.build("--paranoid").steps == ["tree:Orders"]
    assert "by hand" not in built.path("build/Orders/app.py").read_text()

    for change in ("build/Orders/new.py", "build/Refunds.zip"):
        built.append(change, "x")
        assert ALL not in built.run().out

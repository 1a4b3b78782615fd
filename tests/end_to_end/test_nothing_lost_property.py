"""For any commands, names and folders: no file that was there and is in no record of ours is changed or gone.

``OWNERSHIP_EXAMPLES=2000 pytest tests/end_to_end/test_nothing_lost_property.py`` tries as many; a CI run tries a few.
Everything runs in bubblewrap, with the real file system read-only but for a folder that is thrown away.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jail
import made_wheels
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("OWNERSHIP_EXAMPLES", "40"))

FOLDERS = ["build", "build", "build", "out", ".", "src", "src/one", "docs", "other", "link", "up", "build/other",
           "build/.lambdabuild", "build/.store", "..", "/", "/tmp", "home", "a.b/c d", "../sibling", "build/Nested", "deps",
           "./out/../docs", "lib", "/proc/self/cwd", "dangling", "project.txt"]  # fmt: skip
SOURCES = ["src/one", "src/one", "src", "docs", "link", ".", "other", "nowhere"]
"""Not the root: all that is in a source is read."""

FILES = ["keep.txt", "other.zip", "other", "A.zip", "A", "Twin/app.py", "other/keep.txt", "other/app.py", "manifest.json",
         "built-template.yaml", "packaged-template.yaml", "Nested", "Nested/Deep/x", "Nested/Deep.zip", "size", "tmp/x",
         "cas/ab/x", "ac/ab/" + "a" * 64, "lambdabuild-cache/python_pip/x", ".lambdabuild/owned", ".lambdabuild/journal",
         ".lambdabuild/CACHEDIR.TAG", ".store/x", "app.py", "app.py/x", "mine.py", "mine-1.0.dist-info/METADATA",
         "other.zip.123.7f.tmp", "journal.4194305.tmp", "dodo.py", "out.json", "layers.json", "lambdabuild-cache",
         "cloudformation-template-update-stack.json", "code.zip"]  # fmt: skip
FUNCTIONS = ["other", "A", "Twin", "src", "docs", "build", "home", "deps"]

folder, file = st.sampled_from(FOLDERS), st.sampled_from(FILES)
setting = (
    st.just({})
    | st.just({})
    | st.dictionaries(st.sampled_from(["build_dir", "store", "cache.dir"]), folder, max_size=2)
)
place = st.tuples(folder, file).map("/".join)
put = st.tuples(st.just("put"), place)
command = st.one_of(
    st.tuples(st.just("build"), setting),
    st.tuples(st.just("build"), setting),
    st.tuples(st.just("clean"), setting),
    st.tuples(st.just("rpc"), st.fixed_dictionaries(
        {"artifacts_dir": folder, "scratch_dir": folder},
        optional={"dependencies_dir": folder, "source_dir": st.sampled_from(SOURCES), "combine_dependencies": st.booleans(),
                  "download_dependencies": st.booleans()},
    )),
    st.tuples(st.just("output"), st.tuples(st.sampled_from(["costs --output", "cache export", "compile --output"]), place)),
    st.tuples(st.just("cache"), st.tuples(st.sampled_from(["verify", "gc"]), folder)),
    st.tuples(st.just("edit"), st.integers(0, 9)),
    st.just(("init", None)),
)  # fmt: skip
story = st.tuples(
    st.lists(st.sampled_from(FUNCTIONS), min_size=1, max_size=3, unique=True),
    st.lists(put, max_size=2),
    st.lists(put | command | command, min_size=1, max_size=5),
)


class Story:
    """A project of a person's, the files in it that are theirs, and what is done with it."""

    def __init__(self, prison: jail.Jail, number: int, names: list[str]) -> None:
        self.prison = prison
        self.home = prison.folder / f"run{number}"
        self.project = self.home / "project"
        self.theirs: dict[Path, tuple[str, bytes | str]] = {}
        functions = "".join(
            f"  {name}:\n    Type: AWS::Serverless::Function\n    Properties: "
            f"{{Runtime: python3.11, Handler: app.handler, CodeUri: src/{'one' if n < 2 else 'two'}}}\n"
            for n, name in enumerate(names)
        )
        nested = "  Nested:\n    Type: AWS::Serverless::Application\n    Properties: {Location: nested.yaml}\n"
        deep = ("  Deep:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: python3.11, Handler: app.handler, "
                "CodeUri: src/two}\n")  # fmt: skip
        head = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
        self.write("template.yaml", head + functions + nested)
        self.write("nested.yaml", head + deep)
        for name in ("src/one/app.py", "src/two/app.py", "docs/keep.txt", "lib/keep.txt", "../sibling/keep.txt"):
            self.write(name, "def handler(event, context): return 1\n")
        made_wheels.make_wheel(self.project / "lib", "mine", "1.0")
        self.write("lib/requirements.txt", "./mine-1.0-py3-none-any.whl\n")
        for name, target in {"link": "docs", "up": "..", "dangling": "nowhere"}.items():
            (self.project / name).symlink_to(target)
            self.remember(self.project / name)

    def write(self, name: str, text: str) -> None:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.remember(path)

    def remember(self, path: Path) -> None:
        self.theirs[path] = self.now(path)

    @staticmethod
    def now(path: Path) -> tuple[str, bytes | str]:
        try:
            status = path.lstat()
            return f"{status.st_mode:o}", os.readlink(path) if path.is_symlink() else path.read_bytes()
        except OSError:
            return "gone", ""

    def put(self, name: str) -> None:
        """A file of the person's, if nothing is there yet: over one of ours it would be an edit of ours."""
        path = self.project / name
        real = Path(os.path.realpath(path))
        is_ours = any((parent / "CACHEDIR.TAG").exists() for parent in real.parents if parent.is_relative_to(self.home))
        if os.path.lexists(path) or is_ours or not real.is_relative_to(self.home):
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("kept " + name)
        except OSError:
            return  # a file is in its way
        self.remember(real)

    def edit(self, number: int) -> None:
        """The code changes, so that a build replaces what the last one made."""
        path = self.project / "src/one/app.py"
        path.write_text(f"x = {number}\n")
        self.remember(path)

    def run(self, *arguments: str, stdin: bytes = b"") -> int:
        ran = self.prison.run(*arguments, cwd=self.project, stdin=stdin)
        assert "Traceback" not in ran.said, (arguments, ran.said)
        changed = [str(path) for path, was in self.theirs.items() if self.now(path) != was]
        assert not changed, (arguments, changed, ran.said)
        return ran.code

    def act(self, what: str, how: Any) -> int | None:
        if what == "put":
            return self.put(how)
        if what == "edit":
            return self.edit(how)
        if what in ("build", "clean"):
            given_ = {**({"cache.enabled": "true"} if "cache.dir" in how else {"cache.enabled": "false"}), **how}
            return self.run(what, *(f"{name}={value}" for name, value in given_.items()))
        if what == "output":
            return self.run(*how[0].split(), how[1])
        if what == "cache":
            return self.run("cache", how[0], f"cache.dir={how[1]}", "cache.max_size=1")
        if what == "init":
            return self.run("init")
        params = {
            "__protocol_version": "0.3",
            "capability": {"language": "python", "dependency_manager": "pip", "application_framework": None},
            "source_dir": "src/one", "manifest_path": "lib/requirements.txt", "runtime": "python3.11",
            "optimizations": None, "options": None, **how,
        }  # fmt: skip
        request = {"jsonrpc": "2.0", "id": 1, "method": "LambdaBuilder.build", "params": params}
        return self.run("rpc", stdin=json.dumps(request).encode())


counted: Counter[str] = Counter()


@pytest.fixture(scope="module")
def prison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[jail.Jail]:
    prison = jail.Jail(tmp_path_factory.mktemp("prison"))
    yield prison
    prison.close()
    print(dict(sorted(counted.items())))


@pytest.mark.slow
@given(story)
@settings(
    max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_no_file_is_changed_or_gone_that_is_in_no_record_of_ours(
    prison: jail.Jail, told: tuple[list[str], list[tuple[str, Any]], list[tuple[str, Any]]]
) -> None:
    names, before, then = told
    counted["stories"] += 1
    story = Story(prison, counted["stories"], names)
    for what, how in (*before, *then):
        code = story.act(what, how)
        counted[f"{what}: {code}" if code is not None else what] += 1
    shutil.rmtree(story.home)

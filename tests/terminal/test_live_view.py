"""The live view of a real build with four jobs, read from the screen of a terminal."""

from __future__ import annotations

import re
import threading

from sandbox import PLAIN_FUNCTION, Sandbox
from screen import screens

from lambdabuild.engine.doit.progress import Progress

FUNCTION = """\
  F{n}:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: makefile}}
    Properties: {{Runtime: python3.11, Handler: app.handler, CodeUri: f{n}}}
"""
MAKEFILE = """\
build-F{n}:
\tsleep 0.{pause}
\tcp app.py "$(ARTIFACTS_DIR)"
"""

BAR = re.compile(r"(?m)(\d+)/(\d+) +\d:\d\d:\d\d$")
ENDED = re.compile(r"(?m)^(\S+)  \d+\.\d\d s\b")
RUNNING = re.compile(r"(?m)^  (\S+)  \d+ s$")


def many_functions(project: Sandbox, count: int) -> Sandbox:
    numbers = range(count)
    template = "Transform: AWS::Serverless-2016-10-31\nResources:\n" + "".join(FUNCTION.format(n=n) for n in numbers)
    makefiles = {f"f{n}/Makefile": MAKEFILE.format(n=n, pause=3 + n % 3) for n in numbers}
    sources = {f"f{n}/app.py": f"x = {n}\n" for n in numbers}
    return project.write({"template.yaml": template, **makefiles, **sources})


def test_steps_that_begin_at_the_same_moment_are_one_view_that_never_goes_back(project: Sandbox) -> None:
    counts: list[tuple[int, int]] = []
    ended: set[str] = set()
    most_running, last = 0, ""
    for last in screens(many_functions(project, 6), "build", "-n", "4"):
        bars = BAR.findall(last)
        assert len(bars) <= 1, f"two live views:\n{last}"
        counts += [(int(done), int(total)) for done, total in bars]
        ended |= set(ENDED.findall(last))
        running = RUNNING.findall(last)
        assert not ended & set(running), f"shown as running, but ended before:\n{last}"
        most_running = max(most_running, len(running))

    assert most_running == 4
    assert counts == sorted(counts), "the count goes down"
    assert len({total for _, total in counts}) == 1
    assert len(ended) == counts[-1][1] == 6 * 6 + 1  # a compile, copy, zip, hash, upload and tree each; the template
    assert not BAR.search(last) and not RUNNING.search(last), f"the view stays on the screen:\n{last}"


def plain(project: Sandbox) -> Sandbox:
    return project.write({"template.yaml": PLAIN_FUNCTION, "src/app.py": "x = 1\n"})


def test_a_successful_build_on_a_terminal_ends_with_what_to_type_next(project: Sandbox) -> None:
    *_, last = screens(plain(project), "build")
    assert last.rstrip().endswith("\nnext: sam deploy -t build/packaged-template.yaml --guided")

    project.write({"samconfig.toml": "version = 0.1\n"}).append("src/app.py", "# more\n")
    *_, last = screens(project, "build")
    assert last.rstrip().endswith("\nnext: sam deploy -t build/packaged-template.yaml")

    *_, last = screens(project, "build")
    assert "nothing to do" in last and "next:" not in last


def test_what_to_type_next_is_for_terminals_only(project: Sandbox) -> None:
    assert "next:" not in plain(project).run("build").said


def test_a_warning_during_a_build_stands_above_the_live_view(project: Sandbox) -> None:
    settings = "[cache]\ndir = 'cache'\nremotes = ['http://127.0.0.1:9/cache']\n"
    many_functions(project, 2).write({"lambdabuild.toml": settings})
    for last in screens(project, "build", "-n", "2", env={"LAMBDABUILD_CACHE__ENABLED": "true"}):
        assert len(BAR.findall(last)) <= 1, f"a bar was left behind:\n{last}"
    assert "warning[LB620]" in last


def test_a_step_that_has_ended_cannot_be_started_again_and_the_count_never_falls() -> None:
    progress = Progress(200)
    counts: list[int] = []

    def run(first: int) -> None:
        for n in range(first, first + 50):
            progress.start(f"zip:F{n}")
            progress.end(f"zip:F{n}")
            progress.start(f"zip:F{n}")
            counts.append(progress.now()[0])

    threads = [threading.Thread(target=run, args=(first,)) for first in (0, 50, 100, 150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert progress.now() == (200, [])
    assert max(counts) == 200

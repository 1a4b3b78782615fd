"""Build many projects with one start of a program: each in a forked child, so that none sees what another left.

    python many_builds.py sam|lambdabuild RESULTS FOLDER...

RESULTS gets ``{folder: {code, said}}``. It is run by the interpreter that has the program.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable


def sam() -> Callable[[], int | None]:
    from samcli.cli.main import cli
    from samcli.commands.build.command import cli as build  # loaded here, once

    assert build
    return lambda: cli.main(["build", "--language-extensions"], standalone_mode=True)


def lambdabuild() -> Callable[[], int | None]:
    import lambdabuild.engine.doit.loader
    import lambdabuild.engine.steps.contents.assemble
    import lambdabuild.engine.steps.delivery.artifacts
    import lambdabuild.frontends.sam.reader  # noqa: F401  # loaded here, once
    from lambdabuild.cli.main import main

    return lambda: main(["build"])


def in_child(folder: str, build: Callable[[], int | None]) -> dict:
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if not child:
            code = 70
            try:
                os.chdir(folder)
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                code = build() or 0
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else int(bool(error.code))
            except BaseException as error:
                print(repr(error))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "said": said.read()}


def main(program: str, results: str, *folders: str) -> None:
    build = {"sam": sam, "lambdabuild": lambdabuild}[program]()
    found = {folder: in_child(folder, build) for folder in folders}
    with open(results, "w") as stream:
        json.dump(found, stream)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Run a command of doit's on a project without a dodo.py: the mistakes it finds are raised as ours, none is printed."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from doit import doit_cmd
from doit.cmd_base import DoitCmdBase
from doit.cmd_clean import Clean
from doit.cmd_forget import Forget
from doit.cmd_info import Info
from doit.cmd_list import List
from doit.cmd_run import Run as RunTasks
from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile, InvalidTask

from lambdabuild.core.errors import BadCommandLine, LambdaBuildError
from lambdabuild.engine.base.display import DISPLAY
from lambdabuild.engine.base.journal import Journal
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.snapshot import number
from lambdabuild.engine.doit.loader import ProjectLoader
from lambdabuild.engine.doit.reporter import Reporter


class CleanAndSay(Clean):
    """doit's clean, which says what was removed instead of which function was called."""

    def clean_tasks(self, tasks: Iterable[Any], dryrun: bool, cleanforget: bool) -> None:
        """Clean each task once, and print what it had made."""
        state: Any = self.dep_manager
        removed: dict[str, str] = {}
        for task in {task.name: task for task in tasks}.values():
            task.init_options()
            for action in task.clean_actions:
                action.kwargs["dryrun"] = dryrun
                failure = action.execute(out=self.outstream)
                if failure is not None:
                    sys.stderr.write(f"{failure.get_msg()}\n")
                removed |= dict.fromkeys(action.values.get("removed", ()), task.name)
            if cleanforget and not dryrun:
                state.remove(task.name)
        state.close()
        self._say(removed, dryrun)

    def _say(self, removed: Mapping[str, str], dryrun: bool) -> None:
        """Print a line, or a JSON object, for each path that was removed."""
        event = "would remove" if dryrun else "removed"
        if DISPLAY.mode == "json":
            events = ({"event": event, "task": task, "path": path} for path, task in removed.items())
            self.outstream.write("".join(f"{json.dumps(one)}\n" for one in events))
        elif DISPLAY.mode == "text":
            self.outstream.write("".join(f"{event} {os.path.relpath(path)}\n" for path in removed))
            total = number(len(removed), "file or folder") if len(removed) == 1 else f"{len(removed)} files and folders"
            self.outstream.write(f"{event} {total}\n" if removed else "nothing to remove\n")


class OwnPlugins:
    """Our state and reporter, without doit's search for plugins in all installed packages, which takes 10 ms."""

    def get_backends(self) -> dict[str, type]:
        """Return the classes that can keep doit's state, by name."""
        return {"lambdabuild": Journal}

    def get_reporters(self) -> dict[str, type]:
        """Return the classes that can show a run, by name."""
        return {"lambdabuild": Reporter}


COMMANDS: Mapping[str, type[DoitCmdBase]] = {
    name: type(command.__name__, (OwnPlugins, command), {})
    for name, command in {
        "run": RunTasks,
        "list": List,
        "info": Info,
        "clean": CleanAndSay,
        "forget": Forget,
    }.items()
}


def run(open_project: Callable[[], Run], name: str, flags: Sequence[str], tasks: Sequence[str]) -> int:
    """Run a command; return its exit code.

    Raises what the project raises, UnknownName (LB108) for a task that it does not have, and BadCommandLine (LB100).
    """
    doit_cmd.reset_vars()
    loader = ProjectLoader(open_project)
    loader.config = defaultdict(dict)
    command = COMMANDS[name](task_loader=loader, config=loader.config, bin_name="lambdabuild")
    try:
        return int(command.parse_execute([*flags, *tasks]) or 0)
    except (InvalidDodoFile, InvalidTask, InvalidCommand, CmdParseError) as error:
        if not isinstance(error.__cause__, LambdaBuildError):
            raise BadCommandLine(str(error).strip(), help=f"lambdabuild {name} --help shows what it takes") from error
        if isinstance(error, InvalidTask) and DISPLAY.mode == "json":
            return 3  # the reporter has told it
        raise error.__cause__ from None
    except Exception:  # our bug: nothing was started, and the traceback says where it is
        sys.stderr.write(traceback.format_exc())
        return 3

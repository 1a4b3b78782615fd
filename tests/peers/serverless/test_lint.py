"""Every template that lambdabuild compiles from the services here is one that cfn-lint finds no error in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from peers.serverless.conftest import ours
from peers.serverless.event_services import EVENTS
from peers.serverless.services import LAYERS, ROLES, SERVICES
from sandbox import Sandbox

pytestmark = pytest.mark.slow

CFN_LINT = str(Path(sys.executable).with_name("cfn-lint"))
DANGLING = {"E1010", "E1011", "E1020", "E1022", "E3005", "E3015"}
"""The services are small: they refer to tables and topics of nobody. What lambdabuild itself refers to must be there."""
VALUES = {"E1150", "E3002", "E3031", "E3510"}
"""So are their values: a variable of one letter, a subnet of one digit."""

NOT_DEPLOYED = {"role_statements_of_every_form"}
"""What a validator lets through in every form, right and wrong."""


def texts(name: str) -> dict[str, str]:
    service = {**SERVICES, **EVENTS, **LAYERS, **ROLES}[name]
    return {"serverless.yml": service} if isinstance(service, str) else service


@pytest.mark.parametrize("group", [SERVICES, EVENTS, {**LAYERS, **ROLES}], ids=["services", "events", "others"])
def test_cfn_lint_finds_no_error_in_any_template(group: dict[str, object], tmp_path: Path) -> None:
    names = group.keys() - NOT_DEPLOYED
    for name in names:
        place = Sandbox(tmp_path / name).write({"app.py": "", **texts(name)})
        place.path("node_modules").mkdir(exist_ok=True)
        ran = ours(place, f"--output=../{name}.json")
        assert ran.code == 0, ran.said
    templates = sorted(str(path) for path in tmp_path.glob("*.json"))
    assert len(templates) == len(names)
    command = [CFN_LINT, "--format", "parseable", "--ignore-checks", "W", "--", *templates]
    linted = subprocess.run(command, capture_output=True, text=True)
    assert linted.returncode % 2 == 0, linted.stderr  # else it says nothing because it broke down
    found = linted.stdout.splitlines()
    assert [line for line in found if not is_the_services_own(line)] == []


LINE = re.compile(r"(?P<path>[^:]+):[\d:]+:(?P<code>E\d+):(?P<message>.*)")


def is_the_services_own(line: str) -> bool:
    """Whether what cfn-lint complains of is written in the service itself."""
    match = LINE.fullmatch(line)
    assert match is not None, line
    quoted = re.match(r"'([^']+)'", match["message"])
    said = "".join(texts(Path(match["path"]).stem).values())
    return bool(quoted and quoted[1] in said and match["code"] in DANGLING | VALUES)

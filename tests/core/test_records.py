"""Records are the same with msgspec and without it, as on a worker that has Python and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
if {blocked}:
    sys.modules["msgspec"] = None
import lambdabuild.rulebook.remote_worker, lambdabuild.rulebook.serve, lambdabuild.artifacts.zips
from lambdabuild.core.records import Struct, asdict, astuple, field, replace, to_builtins

class Place(Struct, frozen=True, order=True):
    file: str
    line: int = 1

class Found(Place, frozen=True):
    names: list[str] = field(default_factory=list)
    inner: Place | None = None

one = Found("a", names=["x"], inner=Place("b"))
print(one.__struct_fields__, one, replace(one, line=4), asdict(one), astuple(one), to_builtins(one))
print(one == Found("a", 1, ["x"], Place("b")), one == Place("a"), Place("a") < Place("b"), len({{Place("a"), Place("a", 1)}}))
try:
    one.line = 3
except AttributeError:
    print("frozen")
try:
    Found(lines=3)
except TypeError:
    print("unknown")
"""


@pytest.mark.parametrize("blocked", [True, False])
def test_a_record_is_the_same_with_and_without_msgspec(blocked: bool) -> None:
    script = SCRIPT.format(blocked=blocked)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [
        "('file', 'line', 'names', 'inner') Found(file='a', line=1, names=['x'], inner=Place(file='b', line=1)) "
        "Found(file='a', line=4, names=['x'], inner=Place(file='b', line=1)) "
        "{'file': 'a', 'line': 1, 'names': ['x'], 'inner': Place(file='b', line=1)} "
        "('a', 1, ['x'], Place(file='b', line=1)) "
        "{'file': 'a', 'line': 1, 'names': ['x'], 'inner': {'file': 'b', 'line': 1}}",
        "True False True 1",
        "frozen",
        "unknown",
    ]

"""A rule that is a program: what it gets and gives, and that nothing it does wrong spoils anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from sandbox import PLAIN_FUNCTION, Sandbox

PROGRAM = '''\
"""A rule in some language: it puts the source in capitals."""
import json, os, sys, time

request = json.loads(sys.stdin.readline())
job, step = request["params"], request["method"]


def answer(**what):
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **what}))
    sys.exit()


if step != "compile":
    answer(error={"code": -32601, "message": "no such step"})
BEHAVIOUR
for name in job["files"]:
    with open(os.path.join(job["target"]["source"], name)) as source, open(os.path.join(job["out"], name), "w") as out:
        out.write(source.read().upper())
answer(result={"parts": [{"path": job["out"], "leave_out": ["*.md"]}], "notes": ["loud"]})
'''

CLAIMS = f"""\
name = "loud"
language = "loud"
dependency_manager = "none"
runtimes = ["python*"]
ships_source = false
entry = [{json.dumps(sys.executable)}, "loud.py"]

[compile]
reads = ["source"]
"""


@pytest.fixture
def loud(tmp_path: Path) -> Sandbox:
    return with_behaviour(Sandbox(tmp_path / "project"), "").write({
        "template.yaml": PLAIN_FUNCTION,
        "src/app.py": "quiet\n",
        "src/notes.md": "",
        "lambdabuild.toml": '[functions.Orders]\nrule = "loud"\n',
    })  # fmt: skip


def with_behaviour(project: Sandbox, text: str, claims: str = CLAIMS) -> Sandbox:
    program = PROGRAM.replace("BEHAVIOUR\n", text + "\n")
    project.path("rules/loud").mkdir(parents=True, exist_ok=True)
    project.path("rules/loud/loud.py").write_text(program)
    project.path("rules/loud/rule.toml").write_text(claims)
    return project


def test_it_builds_and_is_asked_only_when_something_changed(loud: Sandbox) -> None:
    loud.build()
    assert loud.path("build/Orders/app.py").read_text() == "QUIET\n"
    assert loud.names("Orders") == ["app.py"]
    assert loud.build().steps == []

    with_behaviour(loud, "# another program is another rule")
    assert "compile:Orders" in loud.build().steps


BAD = {
    "it crashes": ("raise ValueError('no')", "broke down", "ValueError: no"),
    "it is killed": ("os.kill(os.getpid(), 9)", "broke down", "signal 9"),
    "it prints rubbish": ("print('compiling...')", "printed what is not one JSON document", "compiling..."),
    "it says nothing": ("sys.exit()", "printed what is not one JSON document", ""),
    "it answers twice": ("print('{}')", "printed what is not one JSON document", ""),
    "it answers a number": ("print(1); sys.exit()", "no response of JSON-RPC 2.0", ""),
    "it answers another request": ("request['id'] = 2", "no response of JSON-RPC 2.0", ""),
    "its error is a text": ("answer(error='no')", "an error that is no object", ""),
    "its result is a list": ("answer(result=[])", "the result is no object", ""),
    "its part is relative": ("answer(result={'parts': [{'path': 'out'}]})", "a part has no absolute path", ""),
    "its part goes out": ("answer(result={'parts': [{'path': job['out'], 'into': '../x'}]})", "no place in an artifact", ""),
    "its part is missing": ("answer(result={'parts': [{'path': job['out'] + '/x'}]})", "does not exist", ""),
    "its part is elsewhere": ("answer(result={'parts': [{'path': '/etc'}]})", "not in its own folder", ""),
    "its notes are a text": ("answer(result={'notes': 'x'})", "notes is no list of texts", ""),
    "it has more to say": ("answer(result={'files': []})", "'files', which is not known", ""),
    "it speaks a newer protocol": ("answer(error={'code': 505, 'message': 'I speak 2.0'})", "another protocol than 1.0", ""),
    "it breaks down politely": ("answer(error={'code': 500, 'message': 'my fault'})", "my fault", ""),
    "it writes into the source": ("open(job['target']['source'] + '/new.txt', 'w').close()", "new.txt changed in the source", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_a_program_does_wrong_is_told_and_spoils_nothing(name: str, loud: Sandbox) -> None:
    loud.build()
    behaviour, words, tail = BAD[name]
    before = loud.path("build/Orders.zip").read_bytes()
    ran = with_behaviour(loud, behaviour).run("build")

    assert ran.code != 0
    assert "LB401" in ran.err
    assert words in ran.err
    assert tail in ran.err
    assert "Traceback" not in ran.err or "ValueError" in tail
    assert "rules/loud/loud.py" in ran.err
    assert loud.path("build/Orders.zip").read_bytes() == before

    loud.path("src/new.txt").unlink(missing_ok=True)
    with_behaviour(loud, "").build()
    assert loud.path("build/Orders.zip").read_bytes() == before


def test_one_that_claims_to_read_no_more_must_not_say_that_it_did(loud: Sandbox) -> None:
    behaviour = "answer(result={'reads': [job['target']['source'] + '/app.py']})"
    ran = with_behaviour(loud, behaviour, CLAIMS + "reads_are_complete = true\n").run("build")
    assert "LB401" in ran.err
    assert "claims that compile is closed" in ran.err
    assert with_behaviour(loud, "", CLAIMS + "reads_are_complete = true\n").run("build").code == 0


def test_one_that_hangs_is_stopped(loud: Sandbox) -> None:
    ran = with_behaviour(loud, "time.sleep(60)").run("build", "tool_timeout_seconds=1")
    assert "did not answer within 1 s" in ran.err


def test_a_mistake_that_it_finds_is_the_users(loud: Sandbox) -> None:
    data = (
        "{'kind': 'BadSource', 'help': 'speak up', 'where': {'file': job['target']['source'] + '/app.py', 'line': 3}}"
    )
    ran = with_behaviour(loud, f"answer(error={{'code': 400, 'message': 'too quiet', 'data': {data}}})").run("build")
    assert "LB405]: function 'Orders': too quiet" in ran.err
    assert "--> src/app.py:3:1" in ran.err
    assert "help: speak up" in ran.err


def test_claims_of_a_newer_protocol_and_a_missing_program_are_told(loud: Sandbox) -> None:
    ran = with_behaviour(loud, "", CLAIMS.replace("ships_source", 'protocol = "2.0"\nships_source')).run("build")
    assert "LB401]: rule 'loud' speaks protocol 2.0, and this lambdabuild 1.0" in ran.err
    ran = with_behaviour(loud, "", CLAIMS.replace(json.dumps(sys.executable), '"no-such-program"')).run("build")
    assert "needs 'no-such-program', which is not on PATH" in ran.err


@pytest.mark.parametrize("rule", ["python_pip", "nodejs_npm", "custom_make"])
def test_a_rule_in_python_gives_the_same_as_a_program(rule: str, tmp_path: Path) -> None:
    """The examples of the rules that ship, built in process and by the rule served over JSON-RPC."""
    from lambdabuild.rulebook.search import read_claims

    root = Path(__file__).parents[2] / "rules" / rule
    runtimes = {
        "python_pip": "python3.11",
        "nodejs_npm": "nodejs22.x",
        "custom_make": "provided.al2023",
        "plain_files": "x",
    }
    zips = []
    for way in ("in process", "served"):
        project = Sandbox(tmp_path / way)
        project.write(
            {
                f"src/{p.relative_to(root / 'example')}": p.read_bytes()
                for p in sorted((root / "example").rglob("*"))
                if p.is_file()
            }
        )
        template = PLAIN_FUNCTION.replace("Orders:", "Example:").replace("python3.11", runtimes[rule])
        project.write({"template.yaml": template, "lambdabuild.toml": f'[functions.Example]\nrule = "{rule}"\n'})
        if way == "served":
            text = (root / "rule.toml").read_text()
            claims = read_claims(str(root / "rule.toml"))
            program = json.dumps([sys.executable, "-m", "lambdabuild.rulebook.serve", str(root)])
            if claims.entry:
                text = text.replace(f'entry = "{claims.entry}"', f"entry = {program}")
            project.write({f"rules/{rule}/rule.toml": text})
        project.build()
        zips.append(project.path("build/Example.zip").read_bytes())
    assert zips[0] == zips[1]

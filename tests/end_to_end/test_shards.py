"""lambdabuild plan --shard and costs; and in which order a build begins its steps."""

from __future__ import annotations

import json

from sandbox import Sandbox

FUNCTION = """\
  {name}:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: makefile}}
    Properties: {{Runtime: provided.al2023, Handler: bootstrap, CodeUri: {name}}}
"""
NAMES = ("Apples", "Bread", "Cheese", "Dates", "Zucchini")


def service(project: Sandbox) -> Sandbox:
    """Five functions, of which the last takes longest."""
    project.write({"template.yaml": "Resources:\n" + "".join(FUNCTION.format(name=name) for name in NAMES)})
    for name in NAMES:
        seconds = "1" if name == "Zucchini" else "0.1"
        project.write({f"{name}/Makefile": f'build-{name}:\n\tsleep {seconds}\n\tcp Makefile "$(ARTIFACTS_DIR)"\n'})
    return project


def shard(project: Sandbox, which: str, *more: str) -> list[str]:
    ran = project.run("plan", "--shard", which, *more)
    assert ran.code == 0, ran.said
    return ran.out.splitlines()


def test_shards_are_of_about_equal_time_and_the_same_everywhere(project: Sandbox) -> None:
    service(project)
    assert sorted(shard(project, "1/2") + shard(project, "2/2")) == [f"build:{name}" for name in NAMES]
    project.build()
    assert project.run("costs", "--output", "costs.json").code == 0
    text = project.path("costs.json").read_text()
    assert text == project.run("costs").out
    seconds = json.loads(text)["seconds"]
    assert seconds["compile:Zucchini"] >= 1 > seconds["compile:Apples"]
    assert {name.partition(":")[2] for name in seconds} == set(NAMES)

    mine, others = shard(project, "1/2", "--costs", "costs.json"), shard(project, "2/2", "--costs", "costs.json")
    assert mine == ["build:Zucchini"]
    assert mine == shard(project, "1/2"), "as recorded"
    elsewhere = service(Sandbox(project.folder.parent / "elsewhere")).write({"costs.json": text})
    assert shard(elsewhere, "2/2", "--costs=costs.json") == others
    said = json.loads(elsewhere.run("plan", "--shard", "1/2", "--costs", "costs.json", "--format", "json").out)
    assert (said["shard"], said["of"], said["tasks"]) == (1, 2, mine)
    assert said["expected_seconds"] == said["all_expected_seconds"][0] >= 1
    assert shard(project, "9/9") == []

    elsewhere.run(*others)
    assert elsewhere.zips().keys() == {f"{task.partition(':')[2]}.zip" for task in others}


def test_slow_builds_begin_first(project: Sandbox) -> None:
    service(project).build()
    for name in NAMES:
        project.append(f"{name}/Makefile", "# edited\n")
    began = [event["task"] for event in project.build().events if event["event"] == "start"]
    assert began[0] == "compile:Zucchini"


def test_mistakes_are_told(project: Sandbox) -> None:
    service(project)
    for wrong in ("0/2", "3/2", "2", "a/b", "1/0", "-1/2"):
        ran = project.run("plan", "--shard", wrong)
        assert (ran.code, ran.out) == (2, ""), wrong
    project.write({"no.json": "{", "old.json": '{"version": 0}', "odd.json": '{"version": 1, "seconds": {"a": "b"}}'})
    for name in ("none.json", "no.json", "old.json", "odd.json"):
        ran = project.run("plan", "--shard", "1/2", "--costs", name)
        assert (ran.code, "LB633" in ran.err, f"--> {name}" in ran.err) == (3, True, True), ran.said

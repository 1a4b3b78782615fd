"""The table of workflows is total, and the only place that knows a workflow by name."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from lambdabuild.api import caller_build, caller_plan, workflows
from lambdabuild.api.workflows import ACTIONS, OUR_NAMES, WORKFLOWS, Workflow
from lambdabuild.plan.types import Rule
from lambdabuild.rulebook.search import find_rules, search_path

RULES = {rule.name: rule for rule in find_rules(search_path("/", {}))}
BY_CAPABILITY = {(rule.language, rule.dependency_manager, rule.application_framework): rule for rule in RULES.values()}
API = Path(workflows.__file__).parent


def claimed(capability: tuple[str, str, str]) -> Rule:
    return BY_CAPABILITY[OUR_NAMES.get(capability, capability)]


@pytest.mark.parametrize("capability", WORKFLOWS, ids="-".join)
def test_every_row_has_a_rule_and_names_only_what_exists(capability: tuple[str, str, str]) -> None:
    flow, rule = WORKFLOWS[capability], claimed(capability)
    assert set(flow.actions) <= set(ACTIONS)
    assert set(flow.other_rules.values()) <= set(RULES)
    assert ("{}" in flow.unsupported) == bool(flow.reads)
    assert flow.failed or rule.language == "python"
    # What npm does is said of Node.js only, and where a caller can choose.
    assert not flow.installs_in_source or (rule.language == "nodejs" and flow.can_choose)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_every_rule_has_one_workflow(rule: Rule) -> None:
    listed = [WORKFLOWS[capability] for capability in WORKFLOWS if claimed(capability) is rule]
    assert len(listed) <= 1
    flow: Workflow = listed[0] if listed else workflows.unlisted(rule)
    assert flow.name.endswith(("Builder", "Workflow"))
    assert flow.takes_any_name == (rule.language == "python" or flow is workflows.MAKE)


def test_names_of_workflows_are_different() -> None:
    names = [flow.name for flow in WORKFLOWS.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", sorted(API.glob("*.py")), ids=lambda path: path.name)
def test_nothing_else_asks_for_a_workflow_by_name(path: Path) -> None:
    names = {flow.name for flow in WORKFLOWS.values()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            assert not ast.unparse(node.left).endswith("flow.name"), ast.unparse(node)
        if path.name != "workflows.py" and isinstance(node, ast.Constant):
            assert node.value not in names


def test_every_place_that_dependencies_come_from_has_what_gives_them() -> None:
    assert set(caller_build.RESOLVED) == set(get_args(caller_plan.Dependencies))

"""Limits of CloudFormation.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

from __future__ import annotations

from collections import Counter

from lambdabuild.cloudformation.fragment import Json
from lambdabuild.core.errors import LambdaBuildError, OverLimit, raise_all
from lambdabuild.core.model import Definition
from lambdabuild.core.spans import Span

RESOURCES, OUTPUTS, BYTES, PARAMETERS, MAPPINGS = 500, 200, 1_000_000, 200, 200


def check(template: Json, text: str, definition: Definition) -> None:
    """Raise OverLimit (LB703) for every exceeded limit, with what contributes most to it."""
    raise_all(_passed(template, text, definition))


def _passed(template: Json, text: str, definition: Definition) -> list[LambdaBuildError]:
    passed: list[LambdaBuildError] = []
    for section, most in (
        ("Resources", RESOURCES),
        ("Outputs", OUTPUTS),
        ("Parameters", PARAMETERS),
        ("Mappings", MAPPINGS),
    ):
        count = len(template.get(section) or {})
        if count > most:
            passed.append(
                _over(definition, f"{count} {section.lower()}, and {most} are allowed", _advice(template, section))
            )
    size = len(text.encode())
    if size > BYTES:
        passed.append(_over(definition, f"{size:,} bytes, and {BYTES:,} are allowed", "split the service in two"))
    return passed


def _over(definition: Definition, words: str, help: str) -> OverLimit:
    return OverLimit(
        f"the template would have {words} in one stack by CloudFormation", where=Span(definition.path), help=help
    )


def _advice(template: Json, section: str) -> str:
    if section == "Outputs":
        return "set provider.versionFunctions: false, which saves one output for each function, or split the service"
    kinds = Counter(
        resource.get("Type", "") for resource in template["Resources"].values() if isinstance(resource, dict)
    )
    most = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))
    return f"most are {most}; versionFunctions: false and disableLogs save one for each function, or split the service"

"""serverless-plugin-ifelse and serverless-plugin-conditional-functions: what conditions set in a service and remove.

As the plugins do it, in the order in which they are listed: variables are filled in before, and a condition that cannot
be evaluated changes nothing, which is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from lambdabuild.core.errors import BadPluginOption
from lambdabuild.core.records import Struct, field, replace
from lambdabuild.core.spans import Node, Span, to_data
from lambdabuild.frontends.serverless.plugins import expressions

IF_ELSE, CONDITIONAL = "serverless-plugin-ifelse", "serverless-plugin-conditional-functions"
SECTION = ("custom", "serverlessIfElse")

Evaluate = Callable[[Sequence[str], Any], Sequence[Mapping[str, Any]]]
"""JavaScript conditions and the service -> for each ``{holds: bool}`` or ``{error: text}``, as node finds it."""

HOLE = Node(None, Span(""))
"""An item of a list that was removed; the places of those after it stay as they are written until the end."""


class Switches(Struct):
    """One service while it is changed. ``options`` are what ``custom.serverlessIfElse`` says, variables filled in."""

    root: Node
    options: Node | None
    evaluate: Evaluate
    notes: list[str] = field(default_factory=list)
    known: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def apply(self, plugins: Sequence[str]) -> Node:
        """Return the service as these plugins change it. Raises BadPluginOption (LB112)."""
        for name in plugins:
            if name == IF_ELSE:
                self.if_else()
            elif name == CONDITIONAL:
                self.functions()
        return _without_holes(self.root)

    def if_else(self) -> None:
        items = _items(self.options) if self.options is not None and self.options.value is not None else []
        self.ask(condition for item in items for condition in _conditions(item))
        for item in items:
            condition = item.get("If")
            if condition is not None and condition.value:
                holds = self.holds(condition)
                if holds is not None:
                    self.set(item.get("Set" if holds else "ElseSet"))
                    self.remove(item.get("Exclude" if holds else "ElseExclude"))
            for path, member in _members(item.get("ExcludeIf")).items():
                if self.holds(member):
                    self.change(path, None)

    def functions(self) -> None:
        functions = _members(self.root.get("functions"))
        self.ask(switch for function in functions.values() if (switch := function.get("enabled")) is not None)
        for name, function in functions.items():
            enabled = function.get("enabled")
            if enabled is not None and enabled.value != "" and self.holds(enabled) is False:
                self.change(f"functions.{name}", None)
            elif enabled is not None:
                self.change(f"functions.{name}.enabled", None)

    def ask(self, conditions: Iterator[Node]) -> None:
        """Ask node once for all that is more than comparisons, and not about the service as it is by then."""
        texts = dict.fromkeys(_text(condition) for condition in conditions)
        hard = [text for text in texts if expressions.truth(text) is None and "serverless" not in text]
        if hard:
            self.known |= dict(zip(hard, self.evaluate(hard, to_data(self.root)), strict=True))

    def holds(self, condition: Node) -> bool | None:
        """Return whether it holds; None when it cannot be evaluated."""
        text = _text(condition)
        simple = expressions.truth(text)
        if simple is not None:
            return simple
        answer = self.known.get(text) or self.evaluate([text], to_data(self.root))[0]
        if "error" in answer:
            why = answer["error"].partition(":")[0] if condition.style == "secret" else answer["error"]
            self.notes.append(f"{condition.span}: the condition cannot be evaluated, so it changes nothing: {why}")
            return None
        return bool(answer["holds"])

    def set(self, values: Node | None) -> None:
        for path, value in _members(values).items():
            self.change(path, value)

    def remove(self, paths: Node | None) -> None:
        items = paths.value if paths is not None and isinstance(paths.value, list) else [paths]
        for path in items:
            if path is not None and isinstance(path.value, str):
                self.change(path.value, None)

    def change(self, path: str, value: Node | None) -> None:
        """Put a value at a dotted path whose parents are there; None removes what is there."""
        keys = path.split(".")
        if len(keys) > 1:
            self.root = _changed(self.root, keys, value)


def _items(options: Node) -> list[Node]:
    items = options.value
    if not isinstance(items, list) or any(not isinstance(item.value, dict) for item in items):
        raise BadPluginOption(
            f"{'.'.join(SECTION)} must be a list of mappings", where=options.span, help="begin each item with - If:"
        )
    return items


def _conditions(item: Node) -> Iterator[Node]:
    condition = item.get("If")
    if condition is not None and condition.value:
        yield condition
    yield from _members(item.get("ExcludeIf")).values()


def _members(node: Node | None) -> dict[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _text(condition: Node) -> str:
    """Return a condition as text; ``true`` of YAML is the condition ``true``."""
    value = condition.value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _changed(node: Node, keys: Sequence[str], value: Node | None) -> Node:
    key, *rest = keys
    if isinstance(node.value, dict):
        child = node.value.get(key)
        if rest and (child is None or not child.value):
            return node
        if rest:
            return replace(node, value={**node.value, key: _changed(cast("Node", child), rest, value)})
        kept = {name: member for name, member in node.value.items() if name != key or value is not None}
        return replace(node, value=kept if value is None else {**kept, key: value})
    if isinstance(node.value, list) and key.isdecimal() and int(key) <= len(node.value):
        place, items = int(key), [*node.value]
        if place == len(items):
            return node if rest or value is None else replace(node, value=[*items, value])
        items[place] = _changed(items[place], rest, value) if rest else HOLE if value is None else value
        return replace(node, value=items)
    return node


def _without_holes(node: Node) -> Node:
    if isinstance(node.value, dict):
        return replace(node, value={key: _without_holes(child) for key, child in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[_without_holes(item) for item in node.value if item is not HOLE])
    return node

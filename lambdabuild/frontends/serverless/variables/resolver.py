"""Nodes with variables -> nodes without. Each value is resolved once, when something first asks for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from lambdabuild.core.errors import BadVariable, CircularVariable, LambdaBuildError, raise_all
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.serverless.variables.evaluator import Evaluator, Remote, TooMuch, VariableSource, child

Path: TypeAlias = tuple[str, ...]
LEVELS = 100
"""How many levels a resolved document may have, as one that is written."""
LONGEST_CHAIN = 2000
"""How many values may wait for one another."""
FRAMES = 60_000
"""Of Python's, which such a chain needs: about twenty for each value."""


@contextmanager
def _many_frames() -> Iterator[None]:
    """Room for long chains of variables: what calls what is Python alone, whose frames lie in no stack of C's."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class Resolver:
    """One document being resolved, whose variables may ask for other parts of it. ``kinds`` are the sources by name."""

    def __init__(self, root: Node, kinds: Mapping[str, VariableSource]) -> None:
        self.root, self.evaluator = root, Evaluator(self, kinds)
        self.known: dict[Path, Node] = {}
        self.failed: dict[Path, LambdaBuildError] = {}
        self.active: dict[Path, None] = {}
        self.brought: list[tuple[Span, str]] = []
        """The variables whose value is being walked through, the outermost first."""

    def whole(self, unneeded: tuple[str, ...] = ()) -> Node:
        """Return the document with all variables resolved. Raise all mistakes together.

        Sections in ``unneeded`` exist to be referred to: variables in them that need the network stay as they are
        written, unless something else asked for them.
        """
        errors: list[LambdaBuildError] = []
        value = self.root.value if isinstance(self.root.value, dict) else {}
        sections: dict[str, Node] = {}
        with _many_frames():
            for key in sorted(value, key=lambda key: key in unneeded):  # what is needed first, so that it is known then
                self.evaluator.may_ask_the_network = key not in unneeded
                sections[key] = self.deep((key,), value[key], errors)
        self.evaluator.may_ask_the_network = True
        raise_all(dict.fromkeys(errors))
        return replace(self.root, value={key: sections[key] for key in value})

    def at(self, path: Path) -> Node | None:
        """Return the resolved value at a path; None when there is none. Raises what is wrong with it."""
        node: Node | None = self.root
        for position, key in enumerate(path):
            if node is None:
                return None
            node = child(self.shallow(path[:position], node), key)
        if node is None:
            return None
        errors: list[LambdaBuildError] = []
        node = self.deep(path, node, errors)
        raise_all(dict.fromkeys(errors))
        return node

    def deep(self, path: Path, node: Node, errors: list[LambdaBuildError]) -> Node:
        """Return a node with all that is in it resolved; mistakes are added to ``errors``."""
        written = node
        try:
            node = self.shallow(path, node)
            if node is written:
                return self.inner(path, node, errors)
            with self.walking(written, path):
                return self.inner(path, node, errors)
        except Remote:
            return node
        except TooMuch:
            raise
        except LambdaBuildError as error:
            errors += getattr(error, "errors", (error,))
            return node

    @contextmanager
    def walking(self, variable: Node, path: Path) -> Iterator[None]:
        """Walk what a variable added, in which the same variable must not occur again."""
        mark = (variable.span, str(variable.value))
        if mark in self.brought:
            raise CircularVariable(
                f"{variable.value} brings in what holds it, without end: {'.'.join(path[:9])}",
                where=variable.span,
                help="address a part of the file that does not hold the variable",
            )
        self.brought.append(mark)
        try:
            yield
        finally:
            self.brought.pop()

    def inner(self, path: Path, node: Node, errors: list[LambdaBuildError]) -> Node:
        """Return a node whose children are resolved."""
        if self.brought:
            self.evaluator.budget.spend(node)
        if len(path) > LEVELS:
            raise BadVariable(f"it is more than {LEVELS} levels deep", where=node.span, help="keep it to a few levels")
        if isinstance(node.value, dict):
            children = {key: self.deep((*path, key), child, errors) for key, child in node.value.items()}
            return replace(node, value=children)
        if isinstance(node.value, list):
            items = [self.deep((*path, str(position)), child, errors) for position, child in enumerate(node.value)]
            return replace(node, value=items)
        return node

    def shallow(self, path: Path, node: Node) -> Node:
        """Return the node itself resolved; its children may have variables."""
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        if path in self.known:
            return self.known[path]
        if path in self.failed:
            raise self.failed[path]
        if path in self.active:
            raise _circular(list(self.active), path, node.span)
        if len(self.active) > LONGEST_CHAIN:
            raise BadVariable(
                f"more than {LONGEST_CHAIN} variables depend on one another",
                where=node.span,
                help="write some of them out",
            )
        self.active[path] = None
        try:
            self.known[path] = self.evaluator.text(node)
        except LambdaBuildError as error:
            self.failed[path] = error if error.where else _placed(error, node.span, path)
            raise self.failed[path] from error.__cause__
        finally:
            del self.active[path]
        return self.known[path]


def _circular(active: list[Path], path: Path, span: Span) -> CircularVariable:
    chain = [*active[active.index(path) :], path]
    words = " -> ".join(".".join(step) or "the whole file" for step in chain)
    return CircularVariable(f"a variable needs its own value: {words}", where=span, help="break the circle")


def _placed(error: LambdaBuildError, span: Span, path: Path) -> LambdaBuildError:
    return type(error)(f"{'.'.join(path)}: {error.message}", where=span, help=error.help, tail=error.tail)

"""In which order conditions are decided, so that a chain of thousands needs no recursion."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from lambdabuild.core.errors import CircularReference
from lambdabuild.core.spans import Node, Span


class Order:
    """The conditions of one template and what each of them names."""

    def __init__(self, conditions: Mapping[str, Node], places: Mapping[str, Span]) -> None:
        self._conditions, self._places = conditions, places
        self._needs: dict[str, tuple[str, ...]] = {}

    def before(self, name: str, known: Container[str]) -> Iterator[str]:
        """Yield the conditions a condition depends on, itself last; the caller records each before the next.

        Raises CircularReference (LB105).
        """
        waiting = {name: iter(self.needs(name))}
        while waiting:
            last = next(reversed(waiting))
            needed = next((other for other in waiting[last] if other not in known), None)
            if needed is None:
                yield last
                del waiting[last]
            elif needed in waiting:
                raise self._ring([*waiting], needed)
            else:
                waiting[needed] = iter(self.needs(needed))

    def needs(self, name: str) -> tuple[str, ...]:
        """Return the conditions that a condition's definition names."""
        if name not in self._needs:
            named = (other for other in _named(self._conditions[name]) if other in self._conditions)
            self._needs[name] = tuple(dict.fromkeys(named))
        return self._needs[name]

    def _ring(self, waiting: list[str], name: str) -> CircularReference:
        ring = waiting[waiting.index(name) :]
        return CircularReference(
            f"the conditions {' -> '.join([*ring, name])} lead back to themselves",
            where=[self._places[link] for link in ring],
            help="write one of them without the others",
        )


def _named(node: Node) -> Iterator[str]:
    if isinstance(node.value, list):
        for item in node.value:
            yield from _named(item)
    elif isinstance(node.value, dict):
        for key, item in node.value.items():
            first = item.value[0] if key == "Fn::If" and isinstance(item.value, list) and item.value else item
            if key in ("Condition", "Fn::If") and isinstance(first.value, str):
                yield first.value
            yield from _named(item)

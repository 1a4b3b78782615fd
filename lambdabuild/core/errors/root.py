"""The root of every error that a user can cause, and several of them as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from lambdabuild.core.spans import Span

SHORTEST_SECRET = 8


class LambdaBuildError(Exception):
    """What is wrong, where, and what to do about it: plain data, which ``core.diagnostics`` turns into text.

    ``where`` is one place or several (two definitions of one name); ``tail`` is a tool's last output.
    ``known_as`` is the name that users of the Serverless Framework know the mistake by.
    """

    code: ClassVar[str] = "LB000"

    def __init__(
        self,
        message: str,
        *,
        where: Span | Sequence[Span] | None = None,
        help: str = "",
        tail: str = "",
        known_as: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where: tuple[Span, ...] = (
            () if where is None else tuple(where) if isinstance(where, Sequence) else (where,)
        )
        self.help = help
        self.tail = tail
        self.known_as = known_as
        self._secrets: frozenset[str] | None = frozenset()
        """The secrets that were masked in the texts; None when they are no longer known."""

    def __str__(self) -> str:
        """Return the error as text without source lines, as logs and JSON-RPC have it."""
        lines = [f"{self.label}: {self.message}"]
        lines += [f"  at {span}" for span in self.where]
        lines += [f"  | {line}" for line in self.tail.splitlines()]
        lines += [f"  help: {self.help}"] if self.help else []
        return "\n".join(lines)

    @property
    def label(self) -> str:
        """The code, with the Serverless Framework's name for the mistake if it has one."""
        return f"{self.code} ({self.known_as})" if self.known_as else self.code

    def without(self, secrets: Iterable[str]) -> LambdaBuildError:
        """Return the same error with every secret masked.

        A secret of less than eight letters stays, because it may be a word that the message needs.
        """
        masked = sorted((secret for secret in secrets if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)

        def cleaned(text: str) -> str:
            for secret in masked:
                text = text.replace(secret, "***").replace(repr(secret)[1:-1], "***")
            return text

        error = _rebuild(
            type(self), cleaned(self.message), self.where, cleaned(self.help), cleaned(self.tail), self.known_as
        )
        error._secrets = None if self._secrets is None else self._secrets.union(masked)
        return error

    def may_show(self, line: str) -> bool:
        """Return whether a source line may be printed with this error: whether it holds nothing that was masked."""
        if self._secrets is None:
            return False
        parts = {part for secret in self._secrets for part in (repr(secret)[1:-1], *secret.splitlines())}
        return not any(part.strip() in line for part in parts if len(part.strip()) >= SHORTEST_SECRET)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep keyword arguments when an error is pickled, and leave secrets behind."""
        made = _rebuild, (type(self), self.message, self.where, self.help, self.tail, self.known_as)
        return (*made, {"_secrets": None}) if self._secrets != frozenset() else made

    def as_dict(self) -> dict[str, Any]:
        """Return the error for machines: ``{code, message, where: [{file, line, column}], help, tail, known_as}``."""
        return {
            "code": self.code,
            "message": self.message,
            "where": [{"file": s.file, "line": s.line, "column": s.column} for s in self.where],
            "help": self.help,
            "tail": self.tail,
            "known_as": self.known_as,
        }


def _rebuild(
    kind: type[LambdaBuildError], message: str, where: tuple[Span, ...], help: str, tail: str, known_as: str
) -> LambdaBuildError:
    return kind(message, where=where, help=help, tail=tail, known_as=known_as)


class Several(LambdaBuildError):
    """All mistakes of one kind at once."""

    def __init__(self, errors: Iterable[LambdaBuildError]) -> None:
        self.errors = tuple(errors)
        super().__init__(f"{len(self.errors)} mistakes")

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)

    def __reduce__(self) -> tuple[Any, ...]:
        return Several, (self.errors,)

    def without(self, secrets: Iterable[str]) -> Several:
        """Return the same errors with every secret masked in each."""
        secrets = tuple(secrets)
        return Several(error.without(secrets) for error in self.errors)


def raise_all(errors: Iterable[LambdaBuildError]) -> None:
    """Raise the collected errors: none, the only one, or a ``Several``."""
    collected = tuple(errors)
    if len(collected) == 1:
        raise collected[0]
    if collected:
        raise Several(collected)

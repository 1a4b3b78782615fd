"""pip's own arguments in ``pipCmdExtraArgs``: lines of a requirements file, without what is secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Node
from lambdabuild.frontends.serverless.plugins.options import texts

KEY = "pipCmdExtraArgs"
IN_FILES = frozenset({
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "-c", "--constraint",
    "--trusted-host", "--no-binary", "--only-binary", "--pre", "--no-deps",
})  # fmt: skip
"""Of pip's arguments those that change what is chosen."""
PATHS = frozenset({"-c", "--constraint", "-f", "--find-links"})
TAKES_NONE = frozenset({"--no-index", "--pre", "--no-deps"})
POINTLESS = frozenset({
    "--no-cache-dir", "--cache-dir", "--upgrade", "-U", "--quiet", "-q", "--verbose", "-v",
    "--disable-pip-version-check",
    "--no-warn-script-location", "--no-warn-conflicts", "--no-compile", "--compile", "--prefer-binary", "--isolated",
    "--no-input", "--progress-bar", "--root-user-action", "--timeout", "--retries", "--system", "--use-pep517",
    "--platform", "--python-version", "--implementation", "--abi", "--force-reinstall", "--ignore-installed", "-I",
    "--no-color", "--no-build-isolation", "--use-feature", "--exists-action", "--no-python-version-warning",
})  # fmt: skip
"""Arguments that change nothing of what is in the zip, or name the platform, which the runtime says."""
USER = re.compile(r"^(?P<scheme>[\w+]+://)(?P<user>[^/@]*)@(?P<rest>.*)$")


class Argument(Struct, frozen=True):
    """An argument with its value, "" when it has none. ``written`` is the value before variables were resolved."""

    name: str
    value: str
    written: str

    @property
    def by_name(self) -> str:
        """Return an address with variables in place of user and password: ``https://${USER}@host``."""
        address, written = USER.match(self.value), USER.match(self.written)
        if address is None or written is None:
            return self.value
        user = re.sub(r"[$][{]env:([A-Z_][A-Z0-9_]*)[}]", r"${\1}", written["user"])
        return f"{address['scheme']}{user}@{address['rest']}"


def arguments(values: object, raw: Node | None) -> tuple[Argument, ...]:
    """Return the arguments. ``raw`` is the option's node with variables, unless the file has a different shape."""
    resolved, written = _pairs(texts(values)), _pairs(texts(_raw_data(raw)))
    if [name for name, _ in written] != [name for name, _ in resolved]:
        written = resolved
    return tuple(Argument(name, value, as_text) for (name, value), (_, as_text) in zip(resolved, written, strict=True))


def lines(given: tuple[Argument, ...], local: Callable[[str], str]) -> Iterator[str]:
    """Return arguments as lines of a requirements file, with variables in place of credentials."""
    for argument in given:
        if argument.name in PATHS and "://" not in argument.value:
            yield f"{argument.name} {local(argument.value)}"
        elif argument.name in IN_FILES:
            yield f"{argument.name} {argument.by_name}".rstrip()


def with_passwords(given: tuple[Argument, ...]) -> Iterator[Argument]:
    """Return the arguments whose address would bring a password into a plan."""
    return (argument for argument in given if argument.name in IN_FILES and _has_password(argument.by_name))


def not_passed_on(given: tuple[Argument, ...]) -> list[str]:
    """Return the names of arguments that have an effect on pip, but none here."""
    return [argument.name for argument in given if argument.name not in IN_FILES | POINTLESS]


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    """Return each argument with its value; ``--a=b`` is ``--a b``."""
    pairs: list[tuple[str, str]] = []
    for word in " ".join(words).split():
        if word.startswith("-"):
            name, _, value = word.partition("=")
            pairs.append((name, value))
        elif pairs and not pairs[-1][1] and pairs[-1][0] not in TAKES_NONE:
            pairs[-1] = (pairs[-1][0], word)
        else:
            pairs.append((word, ""))
    return pairs


def _raw_data(node: Node | None) -> list[str]:
    if node is None:
        return []
    # ${env: NAME} holds no blank, or words would be counted otherwise.
    items = node.value if isinstance(node.value, list) else [node]
    return [re.sub(r"\$\{\s*env:\s*(\w+)\s*\}", r"${env:\1}", str(item.value)) for item in items]


def _has_password(address: str) -> bool:
    """Return whether a password is written out."""
    match = USER.match(address)
    if match is None or match["scheme"].startswith("git"):
        return False
    _, _, password = match["user"].partition(":")
    return bool(re.sub(r"[$][{][A-Z0-9_]+[}]", "", password))

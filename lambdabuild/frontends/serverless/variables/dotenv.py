"""A .env file -> the variables that Node.js programs have of it: what the packages dotenv 16 and dotenv-expand 10 read.

Users have these texts, so the oddities count: ``#`` begins a comment anywhere outside of quotes, ``K: v`` is as good as
``K=v``, ``${NAME:-fallback}`` is filled in, also in what the environment has already.
https://github.com/motdotla/dotenv and https://github.com/motdotla/dotenv-expand
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping

from lambdabuild.core.errors import SourceFailed

LINE = re.compile(
    r"""^\s*(?:export\s+)?([A-Za-z0-9_.-]+)(?:\s*=\s*?|:\s+?)"""
    r"""(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^\#\r\n]+)?\s*(?:\#.*)?$""",
    re.MULTILINE,
)
QUOTED = re.compile(r"""^(['"`])([\s\S]*)\1$""", re.MULTILINE)
GROUP = re.compile(r"(?<!\\)\$\{?([A-Za-z0-9_]+)(?::-([^}\\]*))?\}?")
SPECIAL = re.compile(r"\$[$&`']")
MOST_GROUPS, LONGEST = 500, 100_000
"""So often a value is filled in, and so long it may become: one that holds itself would grow without end."""


def parse(text: str) -> dict[str, str]:
    """Return ``{name: value}`` as written; the last of equal names counts."""
    variables: dict[str, str] = {}
    for match in LINE.finditer(text.replace("\r\n", "\n").replace("\r", "\n")):
        value = (match[2] or "").strip()
        is_double = value.startswith('"')
        value = QUOTED.sub(r"\2", value)
        variables[match[1]] = value.replace("\\n", "\n").replace("\\r", "\r") if is_double else value
    return variables


def load(text: str, environment: MutableMapping[str, str], *, expands: bool = True) -> dict[str, str]:
    """Return the file's variables, expanded. The environment gets those it does not have."""
    variables = parse(text)
    for name, value in variables.items():
        environment.setdefault(name, value)
    if expands:
        for name in variables:
            value = environment[name]
            variables[name] = _filled_in(name, value, environment, variables).replace("\\$", "$")
        environment.update(variables)
    return variables


def _filled_in(name: str, value: str, environment: Mapping[str, str], parsed: Mapping[str, str]) -> str:
    """Return a value with ``$NAME`` and ``${NAME:-fallback}`` replaced, from the last to the first, repeatedly."""
    for _ in range(MOST_GROUPS):
        last = _last_dollar(value)
        group = GROUP.search(value, last) if last >= 0 else None
        if group is None:
            return value
        known = environment.get(group[1]) or group[2] or parsed.get(group[1]) or ""
        value = _replaced(value, group[0], known)
        if len(value) > LONGEST:
            break
    raise SourceFailed(f"the variable {name} of a .env file is made of itself", help="let it name others only")


def _last_dollar(value: str) -> int:
    """Return where the last ``$`` without a backslash before it is; -1 when there is none."""
    place = value.rfind("$")
    while place > 0 and value[place - 1] == "\\":
        place = value.rfind("$", 0, place)
    return place


def _replaced(value: str, group: str, known: str) -> str:
    """Replace as JavaScript's ``value.replace(group, known)`` does: once, and ``$&`` and the like in the new text
    count.
    """
    before, _, after = value.partition(group)
    meant = {"$$": "$", "$&": group, "$`": before, "$'": after}
    return before + SPECIAL.sub(lambda match: meant[match[0]], known) + after

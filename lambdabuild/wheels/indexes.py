"""Where packages come from and with which credentials: what tools are told, and what a download needs.

Nothing of it is kept: no record, message or artifact holds a credential.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from lambdabuild.wheels.requirements import Requirements

CONFIGURATION = ("uv.toml", "pyproject.toml")
"""Files beside a manifest that tell uv where packages come from."""
VARIABLE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
"""What pip and uv fill in, in a requirements file."""
OPTION = re.compile(r"(?:-i|--index-url|--extra-index-url)[=\s]\s*(\S+)")
NAMED = re.compile(r"^[A-Za-z0-9_-]+=(?=https?:)")
IN_VARIABLES = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
)  # fmt: skip
OF_PIP = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL"}
"""uv does not read pip's variables and would ask PyPI instead, where anybody may have taken a private name."""

Credentials = Mapping[str, tuple[str, str]]
"""``{host and port: (user, password)}``"""


@dataclass(frozen=True)
class Indexes:
    """``environment`` is what uv and pip get beside what the rule's claims let through."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Credentials = field(default_factory=dict, repr=False)


def of(folder: str, listed: Requirements | None) -> Indexes:
    """The indexes of a manifest in ``folder``, as the environment, its lines and uv's files name them."""
    texts = [line.text for line in listed.lines] if listed else []
    names = {match[1] for text in texts for match in VARIABLE.finditer(text)}
    environment = {
        name: value for name, value in os.environ.items() if name in names or name.startswith(("UV_", "PIP_"))
    }
    if not set(OF_PIP.values()) & environment.keys() and "UV_INDEX_URL" not in environment:
        environment |= {new: environment[old] for old, new in OF_PIP.items() if environment.get(old)}
    return Indexes(environment, dict(_credentials(folder, texts, environment)))


def _credentials(
    folder: str, texts: list[str], environment: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, str]]]:
    lines = [match[1] for text in texts if (match := OPTION.match(text))]
    given = [VARIABLE.sub(lambda match: environment.get(match[1], match[0]), line) for line in lines]
    given += [NAMED.sub("", url) for name in IN_VARIABLES for url in environment.get(name, "").split()]
    for name, url in _configured(folder):
        label = re.sub(r"[^A-Z0-9]", "_", name.upper())
        user, password = (environment.get(f"UV_INDEX_{label}_{what}", "") for what in ("USERNAME", "PASSWORD"))
        if user or password:
            yield urlsplit(url).netloc.rpartition("@")[2], (user, password)
        given.append(url)
    for url in given:
        parts = urlsplit(url)
        if parts.username or parts.password:
            yield parts.netloc.rpartition("@")[2], (unquote(parts.username or ""), unquote(parts.password or ""))


def _configured(folder: str) -> Iterator[tuple[str, str]]:
    """(name, address) of the indexes in uv.toml and [tool.uv] of pyproject.toml."""
    for file in CONFIGURATION:
        try:
            with open(os.path.join(folder, file), "rb") as stream:
                data: Any = tomllib.load(stream)
        except (OSError, tomllib.TOMLDecodeError):
            continue
        table = data if file == "uv.toml" else data.get("tool", {}).get("uv", {})
        for index in table.get("index", ()):
            if isinstance(index, dict) and isinstance(index.get("url"), str):
                yield str(index.get("name", "")), index["url"]

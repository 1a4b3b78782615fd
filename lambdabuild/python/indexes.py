"""Find package indexes and their credentials: for the tools, and for our own downloads.

Nothing of it is kept: no record, message or artifact holds a credential.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from lambdabuild.aws import codeartifact
from lambdabuild.core import regular, tools
from lambdabuild.core.errors import ToolFailed
from lambdabuild.python.requirements import Requirements

CONFIGURATION = ("uv.toml", "pyproject.toml")
"""Files next to a manifest that say where uv gets packages."""
PYPI = frozenset({"pypi.org", "pypi.python.org"})
VARIABLE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
"""A variable that pip and uv expand in a requirements file."""
OPTION = re.compile(r"(?:-i|--index-url|--extra-index-url)[=\s]\s*(\S+)")
DEFAULT = re.compile(r"(?:-i|--index-url)[=\s]\s*(\S+)")
NAMED = re.compile(r"^[A-Za-z0-9_-]+=(?=https?:)")
IN_VARIABLES = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
)  # fmt: skip
OF_PIP = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL"}
"""uv does not read pip's variables and would ask PyPI instead, where anybody may have taken a private name."""

KEYRING_PROVIDERS = ("UV_KEYRING_PROVIDER", "PIP_KEYRING_PROVIDER")

Credentials = Mapping[str, tuple[str, str]]
"""``{host and port: (user, password)}``"""


@dataclass(frozen=True)
class Indexes:
    """``environment`` is what uv and pip get besides what the rule's claims let through."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Credentials = field(default_factory=dict, repr=False)


def of(folder: str, listed: Requirements | None, *, offline: bool) -> Indexes:
    """Return the indexes of a manifest in ``folder``, as the environment, its lines and uv's files name them.

    Raises NoToken (LB612) when one is CodeArtifact's and no token is to be had; offline none is asked for.
    """
    texts = [line.text for line in listed.lines] if listed else []
    names = {match[1] for text in texts for match in VARIABLE.finditer(text)}
    environment = {
        name: value for name, value in os.environ.items() if name in names or name.startswith(("UV_", "PIP_"))
    }
    if not set(OF_PIP.values()) & environment.keys() and "UV_INDEX_URL" not in environment:
        environment |= {new: environment[old] for old, new in OF_PIP.items() if environment.get(old)}
    chosen = [_filled(match[1], environment) for text in texts if (match := DEFAULT.match(text))]
    if chosen and not is_pypi(chosen[-1]):
        # As for pip, a file that names its index means no other; uv would take the environment's.
        environment["UV_DEFAULT_INDEX"] = chosen[-1]
    named = list(_named(folder, texts, environment))
    result = Indexes(environment, dict(_credentials(named, environment)))
    return result if offline else _with_tokens(result, [url for _, url in named])


def _filled(url: str, environment: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda match: environment.get(match[1], match[0]), url)


def is_pypi(url: str) -> bool:
    return urlsplit(url).hostname in PYPI


def _named(folder: str, texts: list[str], environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(name, address) of every index, "" for one without a name; credentials are still in the addresses."""
    for text in texts:
        if match := OPTION.match(text):
            yield "", _filled(match[1], environment)
    for variable in IN_VARIABLES:
        for value in environment.get(variable, "").split():
            name = NAMED.match(value)
            yield name[0][:-1] if name else "", NAMED.sub("", value)
    yield from _configured(folder)


def _credentials(named: list[tuple[str, str]], environment: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, url in named:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        label = re.sub(r"[^A-Z0-9]", "_", name.upper())
        user, password = (environment.get(f"UV_INDEX_{label}_{what}", "") for what in ("USERNAME", "PASSWORD"))
        user, password = user or unquote(parts.username or ""), password or unquote(parts.password or "")
        if user and not password and "subprocess" in {environment.get(name) for name in KEYRING_PROVIDERS}:
            password = _in_keyring(parts._replace(netloc=host).geturl(), host, user)
        if user or password:
            yield host, (user, password)


def _in_keyring(url: str, host: str, user: str) -> str:
    """Ask the keyring program about an address or its host, as uv and pip do; "" when it has nothing."""
    program = tools.find("keyring")
    for service in (url, host) if program else ():
        try:
            asked = [str(program), "get", service, user]
            return tools.run(asked, cwd="/", env=tools.environment(), timeout_seconds=60).stdout.rstrip("\r\n")
        except ToolFailed:
            continue  # that is how it says that it knows nothing
    return ""


def _with_tokens(given: Indexes, urls: list[str]) -> Indexes:
    """Return the same with tokens for the indexes that are CodeArtifact's and have no password.

    The address is passed to uv again with the token in it, because uv then uses it for the whole host.
    """
    environment, credentials = dict(given.environment), dict(given.credentials)
    for url in urls:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        password = credentials.get(host, ("", ""))[1]
        if not codeartifact.is_host(host) or (password and not VARIABLE.fullmatch(password)):
            continue
        token = codeartifact.token(host)
        credentials[host] = (codeartifact.USER, token)
        whole = parts._replace(netloc=f"{codeartifact.USER}:{quote(token, safe='')}@{host}").geturl()
        environment[codeartifact.VARIABLE] = token
        environment["UV_INDEX"] = f"{environment.get('UV_INDEX', '')} {whole}".strip()
    return Indexes(environment, credentials)


def _configured(folder: str) -> Iterator[tuple[str, str]]:
    """(name, address) of the indexes in uv.toml and [tool.uv] of pyproject.toml."""
    for file in CONFIGURATION:
        try:
            with open(os.path.join(folder, file), "rb", opener=regular.opener) as stream:
                data: Any = regular.toml(stream.read().decode())
        except (OSError, tomllib.TOMLDecodeError):
            continue
        table = data if file == "uv.toml" else data.get("tool", {}).get("uv", {})
        for index in table.get("index", ()):
            if isinstance(index, dict) and isinstance(index.get("url"), str):
                yield str(index.get("name", "")), index["url"]

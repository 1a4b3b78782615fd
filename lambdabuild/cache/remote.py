"""What the clients of remote caches share: who they are, how long they wait, what they call themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BYTES_A_SECOND = 200_000
"""A blob that comes or goes more slowly than this is given up: building would be faster."""


@dataclass(frozen=True)
class Connection:
    """How a server is reached. Files are PEM; ``headers`` hold secrets and are never shown."""

    address: str
    timeout_seconds: float = 10
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""

    def patience(self, size: int) -> float:
        """How many seconds so many bytes may take."""
        return patience(self.timeout_seconds, size)

    @property
    def shown(self) -> str:
        return shown(self.address)


def patience(timeout_seconds: float, size: int) -> float:
    """How many seconds so many bytes may take, when an answer without any may take ``timeout_seconds``."""
    return timeout_seconds + size / BYTES_A_SECOND


def shown(address: str) -> str:
    """An address without user, password and query, which may be secret."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

"""Shared by the clients of remote caches: how to reach a server, how long to wait, addresses to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import urlsplit

from lambdabuild.core.errors import MissingExtra

BYTES_A_SECOND = 200_000
"""A blob that comes or goes more slowly than this is given up: building would be faster."""

GRPC = ("grpc://", "grpcs://")
EXTRA = ("grpc", "google.protobuf")
"""Packages of the extra ``remote``, as they are imported."""


def check_extra(addresses: Iterable[str], packages: Iterable[str] = EXTRA) -> None:
    """Raise MissingExtra (LB642) if an address needs gRPC and the extra ``remote`` is not installed."""
    wanted = next((address for address in addresses if address.startswith(GRPC)), None)
    if wanted is None:
        return
    missing = next((name for name in packages if not _is_installed(name)), None)
    if missing is not None:
        raise MissingExtra(
            f"{shown(wanted)} is reached over gRPC, and the Python package {missing!r} is not installed",
            help="pip install 'doit-lambdabuild[remote]'",
        )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # google itself
        return False


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
    """Return an address without user, password and query, which may be secret."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

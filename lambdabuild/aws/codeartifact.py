"""Tokens for package indexes in CodeArtifact: asked for when an index has no password, kept in memory only."""

from __future__ import annotations

import os
import re
import threading

from lambdabuild.aws import session
from lambdabuild.core.errors import LambdaBuildError, NoToken

HOST = re.compile(
    r"(?P<domain>[a-z][a-z0-9-]*[a-z0-9])-(?P<owner>\d{12})\.d\.codeartifact\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?"
)
"""https://docs.aws.amazon.com/codeartifact/latest/ug/python-configure-without-pip.html"""
USER = "aws"
VARIABLE = "CODEARTIFACT_AUTH_TOKEN"
"""The variable that AWS's documentation keeps a token in; if it is set, it is used."""

_tokens: dict[str, str] = {}
_lock = threading.Lock()


def is_host(host: str) -> bool:
    """Return whether a host (a port may follow) is CodeArtifact's."""
    return HOST.fullmatch(host.partition(":")[0]) is not None


def token(host: str) -> str:
    """Return the token for a host of CodeArtifact's, asked for once in a process. Raises NoToken (LB612).

    The account is the environment's (AWS_PROFILE and what else boto3 knows).
    """
    match = HOST.fullmatch(host.partition(":")[0])
    assert match is not None
    with _lock:
        if host not in _tokens:
            _tokens[host] = os.environ.get(VARIABLE) or _asked(match["domain"], match["owner"], match["region"])
        return _tokens[host]


def _asked(domain: str, owner: str, region: str) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = session.client("codeartifact", region=region)
        return str(client.get_authorization_token(domain=domain, domainOwner=owner)["authorizationToken"])
    except (BotoCoreError, ClientError, LambdaBuildError) as error:
        raise NoToken(
            f"CodeArtifact gives no token for the domain {domain} of {owner}: {error}",
            help=f"set AWS_PROFILE or AWS_ACCESS_KEY_ID to one with codeartifact:GetAuthorizationToken, or {VARIABLE}",
        ) from error

"""boto3 clients: made once, with the retries and the credentials that users expect."""

from __future__ import annotations

from typing import Any

from lambdabuild.core.errors import StoreFailed

CONNECTIONS = 16


def client(
    service: str, *, region: str = "", profile: str = "", endpoint_url: str = "", timeout_seconds: float = 0
) -> Any:
    """Return a client with boto3's standard retries and back-off. Raises StoreFailed (LB601) for an unknown profile.

    With ``timeout_seconds`` it gives up soon, for what a build can do without.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        retries={"mode": "standard", "max_attempts": 2 if timeout_seconds else 5},
        connect_timeout=timeout_seconds or 60,
        read_timeout=timeout_seconds or 60,
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "path"} if endpoint_url else {},
    )
    try:
        session: Any = boto3.Session(profile_name=profile or None, region_name=region or None)
        return session.client(service, endpoint_url=endpoint_url or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise StoreFailed(
            f"cannot talk to {service}: {error}", help="check profile, region and endpoint_url"
        ) from error

"""One ``http`` event, told in one way: method, path, integration, and who is asked first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lambdabuild.cloudformation.context import Lambda
from lambdabuild.cloudformation.events.event import Event
from lambdabuild.cloudformation.events.rest_api.api import Api
from lambdabuild.cloudformation.functions import function_of
from lambdabuild.core.records import Struct

COGNITO = re.compile(r"^arn:[a-zA-Z-]*:cognito-idp")
TTL_SECONDS = 300
AUTHORIZATION = "method.request.header.Authorization"
LOCATIONS = {"querystrings": "querystring", "paths": "path", "headers": "header"}
KEPT = {"AWS_PROXY": ("parameters", "schema", "schemas"), "HTTP_PROXY": ("parameters", "uri", "schema", "schemas")}
"""Parts of a request that a proxy integration knows."""


class Authorizer(Struct, frozen=True):
    """``arn`` is None when an authorizer's id is given, or IAM decides; ``kind`` is as the user wrote it."""

    kind: str
    name: str = ""
    arn: Any = None
    id: Any = None
    ttl_seconds: int | None = None
    identity_source: str | None = None
    validation: str | None = None
    claims: tuple[str, ...] = ()
    scopes: tuple[Any, ...] = ()
    managed_externally: bool = False
    function: Lambda | None = None

    @property
    def is_cognito(self) -> bool:
        by_arn = isinstance(self.arn, str) and COGNITO.match(self.arn) is not None
        return self.kind.upper() == "COGNITO_USER_POOLS" or by_arn

    @property
    def is_iam(self) -> bool:
        return self.kind.upper() == "AWS_IAM"


class Http(Struct, frozen=True):
    event: Event
    method: str
    """In capitals."""
    path: str
    """Without a slash at either end; "" is the root."""
    integration: str
    authorizer: Authorizer | None
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    transfer_mode: str | None
    """BUFFERED or STREAM: how the answer of a proxy integration is handed on."""
    timeout_ms: int | None
    parameters: Mapping[str, Any]
    """``method.request.path.id`` and the like: whether it is needed, or ``{required, mappedValue}``."""

    @property
    def function(self) -> Lambda:
        return self.event.function


def http_of(api: Api, event: Event) -> Http:
    method, path = _method_and_path(event)
    integration = _integration(event)
    transfer_mode = _transfer_mode(event, integration)
    request, response = dict(event.get("request") or {}), dict(event.get("response") or {})
    if integration in KEPT:
        request = {key: value for key, value in request.items() if key in KEPT[integration]}
        response = {}
    if integration in ("HTTP", "HTTP_PROXY"):
        _refuse_bad_address(event, integration, request)
    return Http(
        event=event,
        method=method.upper(),
        path=re.sub(r"/$", "", re.sub(r"^/", "", path)),
        integration=integration,
        authorizer=_authorizer(api, event, integration),
        request=request,
        response=response,
        transfer_mode=transfer_mode,
        timeout_ms=event.get("timeoutInMillis") or api.config.get("timeoutInMillis"),
        parameters=_parameters(request),
    )


def _method_and_path(event: Event) -> tuple[str, str]:
    if not isinstance(event.options, str):
        return event.get("method", ""), event.get("path", "")
    method, _, path = event.options.partition(" ")
    if not path:
        raise event.bad(f"{event.options!r} is not a method and a path", "write METHOD /path")
    return method, path


def _integration(event: Event) -> str:
    given = event.get("integration")
    if not given:
        return "AWS" if event.get("async") else "AWS_PROXY"
    name = str(given).upper().replace("-", "_")
    return {"LAMBDA": "AWS", "LAMBDA_PROXY": "AWS_PROXY"}.get(name, name)


def _transfer_mode(event: Event, integration: str) -> str | None:
    given = (event.get("response") or {}).get("transferMode")
    if given and integration not in KEPT:
        raise event.bad(
            f"an integration of type {integration} knows no transferMode",
            "use a proxy integration, or remove it",
            "API_GATEWAY_TRANSFER_MODE_UNSUPPORTED_INTEGRATION",
        )
    return str(given).upper() if given else None


def connection_type(event: Event) -> str | None:
    given = event.get("connectionType")
    return given.upper().replace("-", "_") if given else None


def _refuse_bad_address(event: Event, integration: str, request: Mapping[str, Any]) -> None:
    if not request.get("uri"):
        raise event.bad(
            f"an integration of type {integration} needs an address",
            "add request.uri",
            "API_GATEWAY_MISSING_REQUEST_URI",
        )
    if connection_type(event) == "VPC_LINK" and not event.get("connectionId"):
        raise event.bad("a VPC link needs an id", "add connectionId", "API_GATEWAY_MISSING_CONNECTION_ID")


def _parameters(request: Mapping[str, Any]) -> dict[str, Any]:
    given = request.get("parameters") or {}
    return {
        f"method.request.{word}.{key}": value
        for location, word in LOCATIONS.items()
        for key, value in (given.get(location) or {}).items()
    }


def is_needed(value: object) -> bool:
    if isinstance(value, dict):
        return value.get("required") is not False
    return bool(value)


# who is asked first


def _authorizer(api: Api, event: Event, integration: str) -> Authorizer | None:
    given = event.get("authorizer")
    if not given:
        return None
    if isinstance(given, str):
        return _in_a_word(api, event, given)
    kind = str(given.get("type") or "")
    scopes, claims = tuple(given.get("scopes") or ()), tuple(given.get("claims") or ())
    if kind and given.get("authorizerId"):
        return Authorizer(kind, id=given["authorizerId"], scopes=scopes, claims=claims)
    if kind.upper() == "AWS_IAM":
        return Authorizer(kind, claims=claims)
    name, arn, function = _who(api, event, given, kind)
    ttl = _ttl(event, given.get("resultTtlInSeconds"))
    source = given.get("identitySource")
    if not source and not (kind.upper() == "REQUEST" and ttl == 0):
        source = AUTHORIZATION
    authorizer = Authorizer(
        kind,
        name,
        arn,
        None,
        ttl,
        source,
        given.get("identityValidationExpression"),
        claims,
        scopes,
        bool(given.get("managedExternally")),
        function,
    )
    if integration == "AWS_PROXY" and isinstance(arn, str) and COGNITO.match(arn) and claims:
        raise event.bad(
            "claims are chosen by a mapping, which a proxy integration has not",
            "set integration: lambda, or remove claims",
            "API_GATEWAY_INVALID_COGNITO_CLAIMS",
        )
    return authorizer


def _ttl(event: Event, given: Any) -> int:
    """Return the time to live in seconds. Where the schema is only advice, anything may be written there."""
    if given is None:
        return TTL_SECONDS
    try:
        return int(given)
    except (ValueError, TypeError, OverflowError):
        raise event.bad(
            f"resultTtlInSeconds is {given!r}, and must be a number of seconds", "write one from 0 to 3600"
        ) from None


def _in_a_word(api: Api, event: Event, given: str) -> Authorizer:
    if given.upper() == "AWS_IAM":
        return Authorizer("AWS_IAM")
    if ":" in given:
        return Authorizer("", _name_in(given), given, identity_source=AUTHORIZATION)
    function = _own(api, event, given)
    return Authorizer("", given, function.target, identity_source=AUTHORIZATION, function=function)


def _who(api: Api, event: Event, given: Mapping[str, Any], kind: str) -> tuple[str, Any, Lambda | None]:
    """Return the name, the ARN, and the service's own function if it is one."""
    arn, name = given.get("arn"), given.get("name")
    if arn is None and not name:
        raise event.bad(
            "the authorizer has neither a name nor an arn",
            "name a function, or give an ARN",
            "API_GATEWAY_MISSING_AUTHORIZER_NAME_OR_ARN",
        )
    if arn is None:
        function = _own(api, event, str(name))
        return str(name), function.target, function
    if name:
        return str(name), arn, None
    if not isinstance(arn, str):
        known_as = "API_GATEWAY_MISSING_AUTHORIZER_NAME" if kind.upper() == "COGNITO_USER_POOLS" else ""
        raise event.bad(
            "the authorizer's arn is known to CloudFormation only, and it has no name", "add a name", known_as
        )
    return _name_in(arn), arn, None


def _own(api: Api, event: Event, name: str) -> Lambda:
    return function_of(api.context, name, (event.function.key, "events", str(event.index - 1)))


def _name_in(arn: str) -> str:
    """Return the part of an ARN used in names: the end after the last dash, as in deployed stacks."""
    return arn.rpartition(":")[2].rpartition("-")[2]

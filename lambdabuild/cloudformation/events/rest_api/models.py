"""Models of request bodies, and the validator that checks requests against them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lambdabuild.cloudformation.events.rest_api.api import Api
from lambdabuild.cloudformation.events.rest_api.http import Http, is_needed
from lambdabuild.cloudformation.events.rest_api.paths import Tree, method_id
from lambdabuild.cloudformation.fragment import Fragment, Json, without_nothing
from lambdabuild.core import naming


def compile(api: Api, tree: Tree, calls: Sequence[Http]) -> Fragment:
    resources: dict[str, Json] = {}
    for call in calls:
        if of_method(api, call):
            resources[_validator_id(api)] = _validator(api)
        for kind, given in (call.request.get("schemas") or {}).items():
            model_id, model = _model(api, call, kind, given)
            resources[model_id] = model
    return Fragment(resources)


def of_method(api: Api, call: Http) -> Json:
    """Return the properties of a method whose requests are checked."""
    schemas = call.request.get("schemas") or {}
    if not schemas and not any(is_needed(value) for value in call.parameters.values()):
        return {}
    models = {kind: {"Ref": _model(api, call, kind, given)[0]} for kind, given in schemas.items()}
    return {"RequestValidatorId": {"Ref": _validator_id(api)}} | ({"RequestModels": models} if models else {})


def _validator_id(api: Api) -> str:
    return f"ApiGateway{naming.letters(api.context.service)}RequestValidator"


def _validator(api: Api) -> Json:
    name = f"{api.context.service}-{api.context.stage} | Validate request body and querystring parameters"
    properties = {"RestApiId": api.id, "ValidateRequestBody": True, "ValidateRequestParameters": True, "Name": name}
    return {"Type": "AWS::ApiGateway::RequestValidator", "Properties": properties}


def _model(api: Api, call: Http, kind: str, given: object) -> tuple[str, Json]:
    """Return a model's id and the model: written here, or one of provider.apiGateway.request.schemas."""
    known = (api.config.get("request") or {}).get("schemas") or {}
    if isinstance(given, str) and given in known:
        content, named = "application/json", known[given]
        model_id = f"ApiGateway{_camel(given)}Model"
    elif isinstance(given, str):
        raise call.event.bad(
            f"there is no schema {given!r} in provider.apiGateway.request.schemas",
            f"there are: {', '.join(known) or 'none'}",
        )
    else:
        content, named = kind, given
        model_id = f"{method_id(call.path, call.method)}{_words(kind)}Model"
    options = named if named.get("schema") is not None else {"schema": named}
    properties = without_nothing(
        {
            "RestApiId": api.id,
            "ContentType": content,
            "Schema": options["schema"],
            "Name": options.get("name"),
            "Description": options.get("description"),
        }
    )
    return model_id, {"Type": "AWS::ApiGateway::Model", "Properties": properties}


def _parts(text: str) -> list[str]:
    """Return the words in a text, separated by signs and where lower case ends."""
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", text)


def _camel(text: str) -> str:
    return "".join(part[:1].upper() + part[1:].lower() for part in _parts(text))


def _words(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in _parts(text))

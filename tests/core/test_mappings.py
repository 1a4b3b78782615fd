"""What a function gets that is not called as a proxy: API Gateway's mappings, run by a Velocity engine."""

from __future__ import annotations

import json
from typing import Any

import airspeed

from lambdabuild.cloudformation.events.rest_api.methods import FORM, _event_template


class Input:
    def __init__(self, body: str) -> None:
        self.body = body

    def params(self, name: str = "") -> Any:
        found = {"header": {"Accept": "*/*", "X-Q": 'it\'s "so"'}, "querystring": {"a": "1"}, "path": {}}
        return found if not name else ""

    def json(self, path: str) -> str:
        return self.body

    def path(self, path: str) -> str:
        return self.body


class Util:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/util-template-reference.html"""

    def escapeJavaScript(self, text: Any) -> str:  # noqa: N802  # the name is API Gateway's
        return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")

    def urlDecode(self, text: str) -> str:  # noqa: N802
        from urllib.parse import unquote_plus

        return unquote_plus(text)


class Text(str):
    """Java's strings have a method that Python's have not."""

    def replaceAll(self, old: str, new: str) -> Text:  # noqa: N802
        return Text(self.replace(old.replace("\\\\", "\\"), new))

    def split(self, sign: str) -> Any:  # type: ignore[override]
        return Parts(Text(part) for part in super().split(sign))


class Parts(list):  # type: ignore[type-arg]
    def size(self) -> int:
        return len(self)


class JavaUtil(Util):
    def escapeJavaScript(self, text: Any) -> Text:  # noqa: N802
        return Text(super().escapeJavaScript(text))

    def urlDecode(self, text: str) -> Text:  # noqa: N802
        return Text(super().urlDecode(text))


class JavaMap(dict):  # type: ignore[type-arg]
    def keySet(self) -> Any:  # noqa: N802
        return list(self)


def event(template: str, body: str) -> dict[str, Any]:
    given = Input(body)
    params = {key: JavaMap(value) for key, value in given.params().items()}
    given.params = lambda: params  # type: ignore[method-assign,assignment]
    given.path = lambda path: Text(body)  # type: ignore[method-assign]
    context = {
        "httpMethod": "POST", "stage": "dev", "resourcePath": "/a", "identity": JavaMap({"sourceIp": "1.2.3.4"}),
        "authorizer": JavaMap({"principalId": "me", "claims": {"sub": "s", "email": "e", "custom:x": "c"}}),
    }  # fmt: skip
    names = {"input": given, "util": JavaUtil(), "context": context, "stageVariables": JavaMap()}
    return json.loads(airspeed.Template(template).merge(names))


def test_a_json_body_is_handed_on_with_all_of_the_call() -> None:
    found = event('#set($body = $input.json("$"))\n' + _event_template(("email",)), '{"a": [1]}')
    assert found["body"] == {"a": [1]}
    assert found["method"] == "POST"
    assert found["principalId"] == "me"
    assert found["stage"] == "dev"
    assert found["cognitoPoolClaims"] == {"email": "e", "sub": "s"}
    assert found["headers"] == {"Accept": "*/*", "X-Q": 'it\'s "so"'}
    assert found["query"] == {"a": "1"}
    assert found["path"] == {}
    assert found["identity"] == {"sourceIp": "1.2.3.4"}
    assert found["stageVariables"] == {}
    assert found["requestPath"] == "/a"
    assert found["enhancedAuthContext"]["principalId"] == "me"


def test_a_form_is_handed_on_as_a_mapping() -> None:
    found = event(FORM + _event_template(()), "a=1&b=it%27s+so&c")
    assert found["body"] == {"a": "1", "b": "it's so", "c": ""}

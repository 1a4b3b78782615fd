"""Local files that a template names beside code: the properties that deployment takes from S3.

They are those that ``aws cloudformation package`` and ``sam package`` upload; a test compares with the latter's list.
https://docs.aws.amazon.com/cli/latest/reference/cloudformation/package.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from lambdabuild.core.model import Form
from lambdabuild.core.spans import Node

PROPERTIES: Mapping[str, Mapping[str, Form]] = {
    "AWS::Serverless::Api": {"DefinitionUri": "uri"},
    "AWS::Serverless::HttpApi": {"DefinitionUri": "uri"},
    "AWS::Serverless::StateMachine": {"DefinitionUri": "uri"},
    "AWS::Serverless::GraphQLApi": {
        "SchemaUri": "uri",
        "Resolvers.*.*.CodeUri": "uri",
        "Functions.*.CodeUri": "uri",
    },
    "AWS::ApiGateway::RestApi": {"BodyS3Location": "s3-bucket"},
    "AWS::ApiGatewayV2::Api": {"BodyS3Location": "s3-bucket"},
    "AWS::StepFunctions::StateMachine": {"DefinitionS3Location": "s3-bucket"},
    "AWS::AppSync::GraphQLSchema": {"DefinitionS3Location": "uri"},
    "AWS::AppSync::Resolver": {
        "RequestMappingTemplateS3Location": "uri",
        "ResponseMappingTemplateS3Location": "uri",
        "CodeS3Location": "uri",
    },
    "AWS::AppSync::FunctionConfiguration": {
        "RequestMappingTemplateS3Location": "uri",
        "ResponseMappingTemplateS3Location": "uri",
        "CodeS3Location": "uri",
    },
    "AWS::ElasticBeanstalk::ApplicationVersion": {"SourceBundle": "s3"},
    "AWS::CloudFormation::ModuleVersion": {"ModulePackage": "uri"},
    "AWS::CloudFormation::ResourceVersion": {"SchemaHandlerPackage": "uri"},
    "AWS::Glue::Job": {"Command.ScriptLocation": "uri"},
    "AWS::CodeCommit::Repository": {"Code.S3": "s3-bucket"},
    "AWS::CloudFormation::StackSet": {"TemplateURL": "template-url"},
}

"""For each type of resource its properties; ``*`` is any key."""

METADATA: Mapping[str, Mapping[str, Form]] = {
    "AWS::ServerlessRepo::Application": {"LicenseUrl": "uri", "ReadmeUrl": "uri"},
}
"""The same of the template's own Metadata."""

STACKS: Mapping[str, str] = {"AWS::Serverless::Application": "Location", "AWS::CloudFormation::Stack": "TemplateURL"}
"""Resources that are templates of their own, and the property that says where."""

CODE = ("Code", "Content")
LONGEST_PATH = 500
FILE = "file://"
REMOTE = ("s3://", "http://", "https://", "arn:")


def is_local(text: str) -> bool:
    """Return whether a text has the form of a local path."""
    return bool(text) and not text.startswith(REMOTE)


def may_be_path(text: str) -> bool:
    """Return whether a text is worth a look at the disk: it is a short line."""
    return is_local(text) and len(text) < LONGEST_PATH and text.isprintable()


def code(properties: Node | None) -> Iterator[tuple[str, Node]]:
    """Return the properties in which resources of any type name their code, found by usual names."""
    if properties is not None and isinstance(properties.value, dict):
        yield from ((key, node) for key, node in properties.value.items() if key in CODE or key.endswith("Uri"))


def path_of(text: str) -> str:
    """Return the path in a text that may be a ``file://`` address."""
    return unquote(text.removeprefix(FILE)) if text.startswith(FILE) else text


def properties(kind: str, resource: Node) -> Iterator[tuple[str, Node, Form]]:
    """Yield what a resource names: (property, its node, the form of a place in S3)."""
    node = resource.get("Properties")
    if node is not None:
        yield from _below(node, PROPERTIES.get(kind, {}))


def metadata(root: Node) -> Iterator[tuple[str, Node, Form]]:
    """Yield what the template's own Metadata names, in the same form."""
    section = root.get("Metadata")
    for kind, properties in METADATA.items():
        node = section.get(kind) if section is not None else None
        if node is not None:
            yield from _below(node, properties)


def _below(node: Node, properties: Mapping[str, Form]) -> Iterator[tuple[str, Node, Form]]:
    for path, form in properties.items():
        for name, item in _at(node, path.split(".")):
            yield ".".join(name), item, form


def _at(node: Node, path: Sequence[str]) -> Iterator[tuple[list[str], Node]]:
    if not path:
        yield [], node
    elif isinstance(node.value, dict) and node.style != "tagged":
        for key in node.value if path[0] == "*" else [path[0]] if path[0] in node.value else []:
            yield from (([key, *name], item) for name, item in _at(node.value[key], path[1:]))


def includes(node: Node) -> Iterator[Node]:
    """Yield the Location of every AWS::Include below a node, in every notation."""
    if isinstance(node.value, list):
        for item in node.value:
            yield from includes(item)
    elif isinstance(node.value, dict):
        for key, item in node.value.items():
            if key in ("Fn::Transform", "Transform"):
                for part in item.value if isinstance(item.value, list) else [item]:
                    yield from _include(part)
            yield from includes(item)


def _include(transform: Node) -> Iterator[Node]:
    name, parameters = transform.get("Name"), transform.get("Parameters")
    location = parameters.get("Location") if parameters is not None else None
    if name is not None and name.value == "AWS::Include" and location is not None:
        yield location

"""More than sixty small projects in the style of public templates: ``{name: {file: text}}``.

A template is led by ``HEAD`` where it says nothing of its own. Python files define ``handler`` and import what lies beside them.
"""

from __future__ import annotations

import json

HEAD = "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\n"
APP = "import helper\n\n\ndef handler(event, context):\n    return helper.NAME\n"
CODE = {"app.py": APP, "helper.py": "NAME = 'x'\n", "data/words.txt": "one\n"}


def code(*folders: str) -> dict[str, str]:
    return {f"{folder}/{name}".removeprefix("./"): text for folder in folders for name, text in CODE.items()}


def function(uri: str = "src", name: str = "F", more: str = "", runtime: str = "python3.11") -> str:
    lines = f"  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: {runtime}\n      Handler: app.handler\n"
    lines += f"      CodeUri: {uri}\n" if uri else ""
    return lines + "".join(f"      {line}\n" for line in more.splitlines())


def template(resources: str, head: str = "") -> str:
    return f"{HEAD}{head}Resources:\n{resources}"


CASES: dict[str, dict[str, str | bytes]] = {}

# code folders in every spelling

SPELLINGS = {
    "plain": "src", "dot": "./src", "slash": "src/", "both": "./src/", "quoted": "'src'", "double": '"src"', "deep": "a/b/src",
    "up": "a/../src", "sub": "!Sub src", "sub-parameter": "!Sub '${Dir}'", "ref": "!Ref Dir",
    "join": "!Join ['/', [., src]]", "map": "!FindInMap [Places, code, dir]", "if": "!If [IsProd, src, other]",
    "select": "!Select [1, [other, src]]", "long-sub": "{'Fn::Sub': 'src'}", "folded": ">-\n        src",
    "split": "!Select [1, !Split [',', 'other,src']]",
}  # fmt: skip
NAMES = """\
Parameters:
  Dir: {Type: String, Default: src}
  Stage: {Type: String, Default: prod}
Mappings: {Places: {code: {dir: src}}}
Conditions: {IsProd: !Equals [!Ref Stage, prod]}
"""
for _name, _uri in SPELLINGS.items():
    CASES[f"code-{_name}"] = {"template.yaml": template(function(_uri), NAMES), **code("src", "other", "a/b/src", "a")}
CASES["code-here"] = {"template.yaml": template(function("src") + function("lib", "G")), **code("src", "lib")}
CASES["code-shared"] = {
    "template.yaml": template(function(name="A") + function(name="B") + function(name="C", more="Timeout: 3")),
    **code("src"),
}

# Globals

GLOBALS = {
    "code": ("CodeUri: src", function("")),
    "code-overridden": ("CodeUri: src", function("") + function("lib", "G")),
    "environment": ("Environment: {Variables: {A: 1}}", function(more="Environment: {Variables: {B: 2}}")),
    "layers": (
        "Layers: [!Ref L]",
        function() + "  L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: lib}}\n",
    ),
    "many": ("Timeout: 5\n    MemorySize: 256\n    Tracing: Active\n    Tags: {team: shop}", function()),
}
for _name, (_lines, _resources) in GLOBALS.items():
    CASES[f"globals-{_name}"] = {
        "template.yaml": template(_resources, f"Globals:\n  Function:\n    {_lines}\n"), **code("src", "lib"),
    }  # fmt: skip
CASES["globals-runtime"] = {
    "template.yaml": template(
        "  F: {Type: AWS::Serverless::Function, Properties: {CodeUri: src}}\n"
        "  G: {Type: AWS::Serverless::Function, Properties: {CodeUri: lib, Handler: helper.NAME}}\n",
        "Globals: {Function: {Runtime: python3.11, Handler: app.handler}, Api: {Cors: \"'*'\"}}\n",
    ),
    **code("src", "lib"),
}

# odd YAML

ODD = {
    "flow": HEAD + "Resources: {F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: src}}}\n",
    "comments": "# é ü 漢字\n" + template("  # before\n" + function("src   # after") + "\n# the end"),
    "document": "---\n" + template(function()) + "...\n",
    "no-newline": template(function("src")).rstrip("\n"),
    "keys-quoted": template(function().replace("Type:", '"Type":').replace("CodeUri:", "'CodeUri':")),
    "anchor": template(function("&code src", "A") + function("*code", "B")),
    "merge": template(function("src", "A").replace("Properties:", "Properties: &p") +
                      "  B:\n    Type: AWS::Serverless::Function\n    Properties:\n      <<: *p\n      Timeout: 9\n"),
    "twice": template(function("other", more="CodeUri: src\nTimeout: 1\nTimeout: 2")),
    "resource-twice": template(function("other") + function("src")),
    "blank-lines": template("\n\n" + function().replace("\n", "\n\n")),
    "deep-indent": template("".join(" " * 6 + line for line in function().splitlines(keepends=True))),
    "yaml-1.1": template(function(more="Environment: {Variables: {A: yes, B: 012, C: 1_000, D: 2010-09-09, E: ~}}")),
    "long-forms": template(function(more="Role:\n  Fn::GetAtt: [R, Arn]\nTags:\n  a:\n    Fn::Join: ['-', [a, {Ref: 'AWS::Region'}]]")
                           + "  R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}\n"),
}  # fmt: skip
for _name, _text in ODD.items():
    CASES[f"yaml-{_name}"] = {"template.yaml": _text, **code("src", "other")}
CASES["yaml-crlf"] = {"template.yaml": ODD["comments"].replace("\n", "\r\n").encode(), **code("src")}
CASES["yaml-mark"] = {"template.yaml": b"\xef\xbb\xbf" + template(function()).encode(), **code("src")}
CASES["yaml-mark-crlf"] = {"template.yaml": b"\xef\xbb\xbf" + ODD["flow"].replace("\n", "\r\n").encode(), **code("src")}

# what the CDK and others write

PLAIN = {
    "Type": "AWS::Lambda::Function",
    "Properties": {"Code": "src", "Runtime": "python3.11", "Handler": "app.handler"},
}
ASSET = {
    "Type": "AWS::Lambda::Function",
    "Properties": {"Code": {"S3Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}"}, "S3Key": "ab.zip"},
                   "Runtime": "python3.11", "Handler": "app.handler"},
    "Metadata": {"aws:cdk:path": "Shop/F/Resource", "aws:asset:path": "asset.ab", "aws:asset:is-bundled": False,
                 "aws:asset:property": "Code"},
}  # fmt: skip
for _name, _resource in {"code": PLAIN, "asset": ASSET}.items():
    _text = json.dumps({"Resources": {"F": _resource, "T": {"Type": "AWS::SNS::Topic"}}}, indent=1)
    CASES[f"cdk-{_name}"] = {"template.json": _text, **code("src", "asset.ab")}
CASES["cdk-two"] = {
    "template.json": json.dumps({"Resources": {"F": ASSET, "G": PLAIN}}), **code("src", "asset.ab"),
}  # fmt: skip
CASES["cdk-yaml"] = {
    "template.yaml": "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties:\n      Code:\n        S3Bucket: b\n        S3Key: k.zip\n"
    "      Runtime: python3.11\n      Handler: app.handler\n"
    "    Metadata:\n      aws:asset:path: asset.ab\n      aws:asset:property: Code\n",
    **code("asset.ab"),
}
CASES["cloudformation"] = {
    "template.yaml": "Resources:\n  F: {Type: AWS::Lambda::Function, Properties: {Code: src, Runtime: python3.11, Handler: app.handler}}\n"
    "  L: {Type: AWS::Lambda::LayerVersion, Properties: {Content: lib}}\n",
    **code("src", "lib"),
}

# nested stacks

CHILD = template(function())
NESTED = {
    "application": "  C: {Type: AWS::Serverless::Application, Properties: {Location: c/template.yaml}}\n",
    "stack": "  C: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: ./c/template.yaml}}\n",
    "and-own": function("c/src") + "  C: {Type: AWS::Serverless::Application, Properties: {Location: c/template.yaml}}\n",
    "twice": "  C: {Type: AWS::Serverless::Application, Properties: {Location: c/template.yaml}}\n"
             "  D: {Type: AWS::Serverless::Application, Properties: {Location: c/template.yaml}}\n",
}  # fmt: skip
for _name, _resources in NESTED.items():
    CASES[f"nested-{_name}"] = {"template.yaml": template(_resources), "c/template.yaml": CHILD, **code("c/src")}
CASES["nested-up"] = {
    "template.yaml": template(NESTED["stack"]), "c/template.yaml": template(function("../src")), **code("src"),
}  # fmt: skip
CASES["nested-parameters"] = {
    "template.yaml": template(
        NESTED["application"].replace("template.yaml}", "template.yaml, Parameters: {Dir: lib}}")
    ),
    "c/template.yaml": template(function("!Ref Dir"), NAMES),
    **code("c/src", "c/lib"),
}
CASES["nested-levels"] = {
    "template.yaml": template(NESTED["application"]),
    "c/template.yaml": template(
        "  D: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: d/t.yaml}}\n" + function()
    ),
    "c/d/t.yaml": template(function(".")),
    **code("c/src", "c/d"),
}

# layers, make, files, loops

CASES["layer"] = {
    "template.yaml": template(function(more="Layers: [!Ref L]") + "  L:\n    Type: AWS::Serverless::LayerVersion\n    Properties: {ContentUri: lib}\n"),
    **code("src"), "lib/python/shared.py": "X = 1\n", "lib/bin/tool": "#!/bin/sh\n",
}  # fmt: skip
CASES["layer-built"] = {
    "template.yaml": template("  L:\n    Type: AWS::Serverless::LayerVersion\n    Properties: {ContentUri: lib, CompatibleRuntimes: [python3.11]}\n"
                              "    Metadata: {BuildMethod: python3.11}\n" + function()),
    **code("src"), "lib/shared.py": "X = 1\n",
}  # fmt: skip
MAKE = "build-F:\n\tcp app.py helper.py $(ARTIFACTS_DIR)\n"
CASES["make"] = {
    "template.yaml": template(function().replace("  F:\n", "  F:\n    Metadata: {BuildMethod: makefile}\n")),
    **code("src"), "src/Makefile": MAKE,
}  # fmt: skip
CASES["make-provided"] = {
    "template.yaml": template(function(runtime="provided.al2023").replace("app.handler", "bootstrap").replace(
        "  F:\n", "  F:\n    Metadata: {WorkingDirectory: src}\n")),
    "src/Makefile": "build-F:\n\tinstall -m 755 bootstrap $(ARTIFACTS_DIR)\n", "src/bootstrap": "#!/bin/sh\n",
}  # fmt: skip
CASES["files"] = {
    "template.yaml": template(function() + (
        "  Api: {Type: AWS::Serverless::Api, Properties: {StageName: x, DefinitionUri: api.yaml}}\n"
        "  Machine: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: m.json, Role: r}}\n"
        "  Missing: {Type: AWS::ApiGateway::RestApi, Properties: {BodyS3Location: missing.yaml}}\n"),
        "Metadata: {AWS::ServerlessRepo::Application: {Name: x, Author: y, Description: z, LicenseUrl: LICENSE, ReadmeUrl: README.md}}\n"),
    **code("src"), "api.yaml": "{}", "m.json": "{}", "LICENSE": "", "README.md": "",
}  # fmt: skip
CASES["skip-build"] = {
    "template.yaml": template(function("src").replace("  F:\n", "  F:\n    Metadata: {SkipBuild: true}\n") + function("lib", "G")),
    **code("src", "lib"),
}  # fmt: skip
CASES["node"] = {
    "template.yaml": template(function(runtime="nodejs22.x") + function("lib", "G")),
    "src/app.js": "exports.handler = async () => require('./lib').x\n", "src/lib.js": "exports.x = 1\n", **code("lib"),
}  # fmt: skip
CASES["condition"] = {
    "template.yaml": template(
        function().replace("  F:\n", "  F:\n    Condition: IsProd\n") + function("lib", "G"), NAMES
    ),
    **code("src", "lib"),
}
CASES["requirements"] = {
    "template.yaml": template(function() + function("lib", "G")), **code("src", "lib"), "src/requirements.txt": "six==1.17.0\n",
}  # fmt: skip

# workspaces: members say exact versions, for sam build sees no lock of the root

SHOP = {
    "package.json": '{"name": "shop", "private": true, "workspaces": ["functions/*", "tools"]}',
    "functions/a/package.json": '{"name": "a", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}}',
    "functions/b/package.json": '{"name": "b", "version": "1.0.0", "type": "module", "dependencies": {"ms": "2.0.0"}}',
    "functions/a/app.js": "exports.handler = async () => require('ms')(1000)\n",
    "functions/b/app.js": "import ms from 'ms'\nexport const handler = async () => ms(1000)\n",
    "functions/c/app.js": "exports.handler = async () => 1\n", "functions/c/package.json": '{"name": "c", "version": "1.0.0"}',
    "tools/package.json": '{"name": "tools", "version": "1.0.0", "devDependencies": {"ms": "2.1.1"}}',
}  # fmt: skip
MEMBERS = "".join(function(f"functions/{one}", one.upper(), runtime="nodejs22.x") for one in "abc")
CASES["workspace"] = {"template.yaml": template(MEMBERS), **SHOP}
CASES["workspace-above"] = {
    "infra/template.yaml": template(MEMBERS.replace("functions/", "../functions/")), **SHOP,
    "template.yaml": template("  I: {Type: AWS::Serverless::Application, Properties: {Location: infra/template.yaml}}\n"),
    "package.json": '{"name": "shop", "private": true, "workspaces": {"packages": ["./functions/a", "functions/[bc]"]}}',
}  # fmt: skip

"""The 24 plugins that are used most, as they come from npm: the framework's template beside ours, or our error."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from peers.serverless.conftest import MOST_USED_PLUGINS, SERVERLESS, installed, ours, runner
from peers.serverless.differences import both, corrected, differing, of_the_roles_plugin
from sandbox import Sandbox

from lambdabuild.frontends.serverless.plugins.known import row

pytestmark = pytest.mark.slow

OUT = ".serverless/cloudformation-template-update-stack.json"
PACKAGE = "package: {patterns: ['!**', app.js], excludeDevDependencies: false}\n"
ENVIRONMENT = {"SHOP_SIX": "1"}

HARMLESS_AND_DONE = """\
service: shop
provider:
  name: aws
  runtime: nodejs18.x
  environment: {A: own, R: "${env:FROMFILE, 'not seen'}"}
  timeout: 9
  deploymentBucket: {name: my-bucket}
plugins:
  - serverless-offline
  - serverless-prune-plugin
  - serverless-deployment-bucket
  - serverless-localstack
  - serverless-dotenv-plugin
  - serverless-plugin-ifelse
  - serverless-plugin-conditional-functions
  - serverless-iam-roles-per-function
custom:
  prune: {automatic: true, number: 3}
  localstack: {stages: [local]}
  deploymentBucket: {versioning: true}
  dotenv: {exclude: [SECRET], required: {env: [A]}}
  serverlessIfElse:
    - If: '"${sls:stage}" == "dev"'
      Exclude: [functions.gone, functions.one.events.1.http.private, provider.environment.NOPE]
      Set: {provider.memorySize: 256, functions.two.timeout: 20, functions.two.description: set, nothing.there: 1}
      ElseSet: {provider.memorySize: 512}
    - If: '/^d/.test("${sls:stage}") && ["dev"].includes("${sls:stage}")'
      Set: {functions.two.reservedConcurrency: 3}
    - If: 'undefinedVariable == 1'
      Exclude: [functions.two]
    - ExcludeIf: {functions.off: '1 < 2', functions.two: 'false'}
    - If: 'this.serverless.service.functions.two.timeout == 20'
      Set: {functions.two.name: two-by-name}
functions:
  gone: {handler: app.one}
  off: {handler: app.one}
  one: {handler: app.one, events: [{http: GET /a}, {http: {path: /b, method: get, private: true}}, {schedule: rate(1 day)}]}
  two: {handler: app.one, timeout: 3, environment: {TWO: 2}}
  three: {handler: app.one, enabled: '"${sls:stage}" == "prod"'}
  four: {handler: app.one, enabled: true, iamRoleStatements: [{Effect: Allow, Action: 's3:GetObject', Resource: '*'}]}
  five: {handler: app.one, enabled: false}
  six: {handler: app.one, enabled: 'process.env.SHOP_SIX === "1"'}
  seven: {handler: app.one, enabled: 'no such thing'}
"""
OTHER_OPTIONS = """\
service: shop
provider: {name: aws, runtime: nodejs18.x}
plugins: {modules: [serverless-dotenv-plugin, serverless-plugin-ifelse]}
custom:
  dotenv: {path: [.env.dev, .env], variableExpansion: false, include: [B, C, SECRET]}
  serverlessIfElse:
    - {If: '"${self:provider.runtime}" != "nodejs18.x" || !true', Exclude: functions.one, ElseExclude: functions.two}
    - {If: 'false', ElseSet: {functions.one.environment: {X: y}, package.individually: true}}
functions:
  one: {handler: app.one}
  two: {handler: app.one}
"""
FILES = {
    "app.js": "exports.one = async () => 1;\n", "schema.graphql": "type Query { a: String }\n",
    ".env": 'A=file\nB="b $A"\nSECRET=x\nFROMFILE=y\nC=${A}-${NOPE:-f}#c\n', ".env.dev": "B=local\nD: d\n",
}  # fmt: skip
ADDING = """\
service: shop
provider: {name: aws, runtime: nodejs18.x, stackTags: {team: x}, tracing: true}
plugins: [PLUGINS]
custom:
  logRetentionInDays: 7
  lambdaInsights: {defaultLambdaInsights: true}
  alerts: {stages: [dev], alarms: [functionErrors]}
  warmup: {default: {enabled: true}}
  apiGatewayThrottling: {maxRequestsPerSecond: 10, maxConcurrentRequests: 5}
stepFunctions:
  stateMachines: {flow: {definition: {StartAt: A, States: {A: {Type: Pass, End: true}}}}}
appSync:
  name: api
  schema: schema.graphql
  authentication: {type: API_KEY}
  dataSources: {none: {type: NONE}}
  resolvers: {}
functions:
  one: {handler: app.one, warmup: {default: {enabled: true}}, events: [{http: GET /a}]}
"""
ADDED = {
    "serverless-step-functions": "AWS::StepFunctions::StateMachine",
    "serverless-plugin-aws-alerts": "AWS::CloudWatch::Alarm",
    "serverless-plugin-warmup": "WarmUpPluginDefaultLambdaFunction",
    "serverless-plugin-resource-tagging": '"Key": "team"',
    "serverless-plugin-log-retention": '"RetentionInDays": 7',
    "serverless-plugin-tracing": '"Mode": "Active"',
    "serverless-plugin-lambda-insights": ":layer:LambdaInsightsExtension:",
    "serverless-appsync-plugin": "AWS::AppSync::GraphQLApi",
    "serverless-api-gateway-throttling": "RestApiIdForApigThrottling",
}
"""What each leaves in the framework's template."""
NOT_COMPARED = {
    "serverless-esbuild": "test_packages.py compares its zips",
    "serverless-python-requirements": "test_packages.py compares its zips",
    "serverless-plugin-typescript": "end_to_end/test_typescript.py runs its bundles",
    "serverless-domain-manager": "it works with a deployment, not with a package",
    "serverless-webpack": "what it compiles is not ours to compare",
    "serverless-plugin-datadog": "it asks AWS",
    "serverless-plugin-split-stacks": "it moves what a stack has, and asks AWS",
}


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sandbox]:
    """Services packaged by the framework with the real plugins."""
    modules = installed(SERVERLESS, *(f"{name}@{MOST_USED_PLUGINS[name]}" for name in sorted(MOST_USED_PLUGINS)))
    run = runner(modules / "node_modules/serverless/bin/serverless.js", tmp_path_factory.mktemp("home"))
    services = {
        "done": HARMLESS_AND_DONE,
        "other": OTHER_OPTIONS,
        "adding": ADDING.replace("PLUGINS", ", ".join(ADDED)),
    }
    places = {}
    for name, text in services.items():
        head, functions = text.split("functions:\n", 1)
        place = Sandbox(tmp_path_factory.mktemp(name)).write(
            {"serverless.yml": f"{head}{PACKAGE}functions:\n{functions}", **FILES}
        )
        place.path("node_modules").symlink_to(modules / "node_modules")
        places[name] = place
    with ThreadPoolExecutor(2) as pool:
        ran = dict(zip(places, pool.map(lambda place: run(place, env=ENVIRONMENT), places.values()), strict=True))
    assert [one.said for one in ran.values() if one.code != 0] == []
    return places


@pytest.mark.parametrize("name", ["done", "other"])
def test_with_plugins_whose_work_is_done_here_the_template_is_the_frameworks(
    name: str, packaged: dict[str, Sandbox]
) -> None:
    place = packaged[name]
    ran = ours(place, env=ENVIRONMENT)
    assert ran.code == 0, ran.said
    theirs = corrected(json.loads(place.path(OUT).read_text()))
    theirs = of_the_roles_plugin(theirs) if name == "done" else theirs
    assert differing(both(json.loads(ran.out)), both(theirs)) == []


@pytest.mark.parametrize("plugin", ADDED)
def test_what_a_plugin_adds_that_is_not_done_here_is_in_the_frameworks_template_and_an_error_here(
    plugin: str, packaged: dict[str, Sandbox], tmp_path: Path
) -> None:
    assert ADDED[plugin] in json.dumps(json.loads(packaged["adding"].path(OUT).read_text()))
    place = Sandbox(tmp_path).write({"serverless.yml": ADDING.replace("PLUGINS", plugin), **FILES})
    ran = ours(place)
    assert ran.code != 0
    assert "LB115" in ran.said
    assert f"{plugin}: {row(plugin).words}" in ran.said


def test_each_of_them_is_looked_at() -> None:
    compared = {name for name in MOST_USED_PLUGINS if f"- {name}\n" in HARMLESS_AND_DONE} | {*ADDED}
    assert {*compared, *NOT_COMPARED} == {*MOST_USED_PLUGINS}
    compiled_here = {"serverless-esbuild", "serverless-python-requirements", "serverless-plugin-typescript"}
    assert {name for name in NOT_COMPARED if row(name).becomes != "error"} == compiled_here
    assert {row(name).becomes for name in ADDED} == {"error"}

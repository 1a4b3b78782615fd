"""Small services that lambdabuild and the Serverless Framework compile alike: between them every property that is not an event.

A service is the text of its serverless.yml, or a mapping of files. ``HEAD`` is led before a text that has no ``service:``.
"""

from __future__ import annotations

HEAD = "service: shop\nprovider: {name: aws, runtime: python3.11}\n"
ONE = "functions: {one: {handler: app.one}}\n"


def provider(text: str, functions: str = ONE) -> str:
    """A service whose provider says something."""
    lines = "".join(f"  {line}\n" for line in text.strip().splitlines())
    return f"service: shop\nprovider:\n  name: aws\n  runtime: python3.11\n{lines}{functions}"


def function(text: str, more: str = "") -> str:
    """A service whose one function says something."""
    lines = "".join(f"    {line}\n" for line in text.strip().splitlines())
    return f"{HEAD}functions:\n  one:\n    handler: app.one\n{lines}{more}"


ROLE = "arn:aws:iam::123456789012:role/mine"
VPC = "vpc: {securityGroupIds: [sg-1], subnetIds: [subnet-1, subnet-2]}"

STATED = (
    "'*'", "['*']", "arn:aws:s3:::a", "[arn:aws:s3:::a]", "a-b", "[a-b]", "Table", "[Table]", "!Ref T", "[!Ref T]",
    "[!GetAtt T.Arn]", "[{'Fn::GetAtt': [T, Arn]}]", "!Sub 'arn:x'", "[!Sub 'arn:x']", "[!Join ['', [a, !Ref B]]]",
    "[!If [A, b, c]]", "!If [A, b, c]", "[!ImportValue a]", "[{'Fn::ImportValue': !Sub a}]", "!Split [',', a]",
    "[!Split [',', a]]", "[arn:a, !If [A, b, c]]", "[[arn:a, arn:b]]", "1", "[1]", "'{{resolve:ssm:/a}}'",
)  # fmt: skip
"""Resources of a statement."""

SERVICES: dict[str, str | dict[str, str]] = {
    "smallest": HEAD + ONE,
    "no_functions": "service: shop\nprovider: aws\n",
    "provider_as_a_word": "service: shop\nprovider: aws\n" + ONE,
    "several_functions_of_odd_names": HEAD
    + "functions:\n  b-c_d: {handler: app.a}\n  a: {handler: app.b}\n  Zed: {handler: app.c}\n",
    "names_of_their_own": HEAD
    + "functions:\n  a: {handler: app.a, name: mine}\n  b: {handler: app.b, name: shop-dev-other}\n  c: {handler: app.c}\n",
    "only_names_of_their_own": HEAD + "functions:\n  a: {handler: app.a, name: mine}\n",
    "memory_and_time": provider(
        "memorySize: 256\ntimeout: 20",
        "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, memorySize: 128, timeout: 900}\n",
    ),
    "description_of_a_function_and_its_version": function("description: does one thing"),
    "environment": provider(
        "environment: {A: 1, B: true, C: text, D: provider}",
        "functions:\n  a: {handler: a.a}\n  b:\n    handler: a.b\n    environment:\n      D: function\n      E: {Ref: AWS::Region}\n"
        "      F: !Sub '${AWS::AccountId}-x'\n      G: ''\n      H: !If [C, a, b]\n      I: !Select [0, [x]]\n",
    ),
    "environment_taken_away": provider(
        "environment: {A: a, B: b}", "functions:\n  a:\n    handler: a.a\n    environment:\n      A: null\n"
    ),
    "environment_of_a_function_only": function("environment: {B: 1.50, A: yes, C: '007'}"),
    "tags": provider(
        "tags: {team: a, cost: 1}",
        "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, tags: {team: b, 'x/y:z': w}}\n",
    ),
    "architecture": provider(
        "architecture: arm64", "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, architecture: x86_64}\n"
    ),
    "runtime_of_its_own": HEAD + "functions:\n  a: {handler: a.a, runtime: nodejs18.x}\n  b: {handler: a.b}\n",
    "no_runtime_at_all": "service: shop\nprovider: {name: aws}\n" + ONE,
    "runtime_management_word": function("runtimeManagement: onFunctionUpdate"),
    "runtime_management_manual": provider(
        "runtimeManagement: {mode: onFunctionUpdate}",
        "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, runtimeManagement: auto}\n  c:\n    handler: a.c\n    runtimeManagement:"
        " {mode: manual, arn: 'arn:aws:lambda:us-east-1::runtime:abc'}\n",
    ),
    "ephemeral_storage": function("ephemeralStorageSize: 1024"),
    "reserved_concurrency": HEAD
    + "functions:\n  a: {handler: a.a, reservedConcurrency: 0}\n  b: {handler: a.b, reservedConcurrency: 5}\n"
    "  c: {handler: a.c, reservedConcurrency: {Ref: P}}\nresources: {Parameters: {P: {Type: Number}}}\n",
    "provisioned_concurrency": function("provisionedConcurrency: 2"),
    "provisioned_concurrency_without_versions": provider(
        "versionFunctions: false", "functions:\n  a: {handler: a.a, provisionedConcurrency: 3}\n"
    ),
    "snap_start": HEAD
    + "functions:\n  a: {handler: a.a, runtime: java17, snapStart: true}\n  b: {handler: a.b, snapStart: false}\n",
    "no_versions": provider(
        "versionFunctions: false", "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, versionFunction: true}\n"
    ),
    "one_without_version": function("versionFunction: false"),
    "vpc": provider(
        VPC,
        "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, vpc: {securityGroupIds: [sg-2], subnetIds: [!Ref S]}}\n",
    ),
    "vpc_of_a_function": function(VPC),
    "vpc_said_by_functions": function(
        "vpc: {securityGroupIds: !Split [',', !ImportValue a], subnetIds: !FindInMap [a, b, c]}"
    ),
    "layers_by_arn": provider(
        "layers: ['arn:aws:lambda:us-east-1:123456789012:layer:a:1']",
        "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, layers: ['arn:aws:lambda:us-east-1:123456789012:layer:b:2', {'Fn::ImportValue': x}]}\n",
    ),
    "tracing": provider(
        "tracing: {lambda: true}", "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, tracing: PassThrough}\n"
    ),
    "tracing_of_a_function": function("tracing: Active"),
    "kms_key": provider(
        "kmsKeyArn: 'arn:aws:kms:us-east-1:123456789012:key/a'",
        "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, kmsKeyArn: !GetAtt K.Arn}\n"
        "  c: {handler: a.c, kmsKeyArn: 'arn:aws:kms:us-east-1:123456789012:key/c'}\n",
    ),
    "on_error_topic": function("onError: arn:aws:sns:us-east-1:123456789012:topic"),
    "on_error_reference": function("onError: !Ref Topic"),
    "file_system": function(
        f"{VPC}\nfileSystemConfig:\n  arn: arn:aws:elasticfilesystem:us-east-1:111111111111:access-point/fsap-0d0d0d0d0d0d0d0d0\n  localMountPath: /mnt/x"
    ),
    "file_system_reference": provider(
        VPC, "functions:\n  a:\n    handler: a.a\n    fileSystemConfig: {arn: !GetAtt F.Arn, localMountPath: /mnt/y}\n"
    ),
    "condition_and_depends_on": function(
        "condition: IsProd\ndependsOn: Table", "resources:\n  Conditions: {IsProd: !Equals [a, b]}\n"
    ),
    "depends_on_several": function("dependsOn: [Table, Queue]"),
    "no_logs": HEAD + "functions:\n  a: {handler: a.a, disableLogs: true}\n  b: {handler: a.b}\n",
    "log_settings": provider(
        "logRetentionInDays: 14\nlogDataProtectionPolicy: {Name: a, Version: '2021-06-01', Statement: []}",
        "functions:\n  a: {handler: a.a}\n  b: {handler: a.b, logRetentionInDays: 1, logDataProtectionPolicy: {Name: b, Description: d, Version: v, Statement: [{Sid: x}]}}\n",
    ),
    "url": function("url: true"),
    "url_with_authorizer": function("url: {authorizer: aws_iam, invokeMode: RESPONSE_STREAM}"),
    "url_with_cors": function("url: {cors: true}"),
    "url_with_own_cors": function(
        "url:\n  cors:\n    allowedOrigins: [https://a.b, https://a.b]\n    allowedHeaders: null\n    allowedMethods: GET\n"
        "    allowCredentials: true\n    exposedResponseHeaders: [X-A]\n    maxAge: 10"
    ),
    "url_of_an_alias": function("url: {invokeMode: BUFFERED}\nprovisionedConcurrency: 1"),
    "asynchronous": function("maximumEventAge: 120\nmaximumRetryAttempts: 0"),
    "destinations": HEAD
    + "functions:\n  a:\n    handler: a.a\n    destinations:\n      onSuccess: b\n      onFailure: arn:aws:sqs:us-east-1:123456789012:q\n  b: {handler: a.b}\n",
    "destinations_of_every_kind": HEAD
    + "functions:\n  a: {handler: a.a, destinations: {onSuccess: 'arn:aws:sns:us-east-1:123456789012:t', onFailure: 'arn:aws:events:us-east-1:123456789012:event-bus/b'}}\n"
    "  b: {handler: a.b, destinations: {onSuccess: {type: sqs, arn: !GetAtt Q.Arn}, onFailure: {type: eventBus, arn: !Ref B}}}\n"
    "  c: {handler: a.c, destinations: {onSuccess: {type: function, arn: !Sub 'x'}, onFailure: 'arn:aws:lambda:us-east-1:123456789012:function:f'}}\n"
    "  d: {handler: a.d, destinations: {onSuccess: {type: sns, arn: !ImportValue t}}}\n",
    "destinations_of_an_alias": function(
        "runtime: python3.13\nsnapStart: true\nmaximumRetryAttempts: 1\ndestinations: {onFailure: one}"
    ),
    "destinations_with_own_role": function(
        f"role: {ROLE}\ndestinations: {{onFailure: 'arn:aws:sqs:us-east-1:123456789012:q'}}"
    ),
    "role_by_arn": provider(f"iam: {{role: '{ROLE}'}}"),
    "role_by_logical_id": provider("iam: {role: MyRole}"),
    "role_of_old": provider("role: !GetAtt MyRole.Arn"),
    "roles_of_functions": HEAD
    + f"functions:\n  a: {{handler: a.a, role: '{ROLE}'}}\n  b: {{handler: a.b, role: Mine}}\n  c: {{handler: a.c, role: !GetAtt R.Arn}}\n"
    "  d: {handler: a.d, role: !Sub 'arn:x'}\n  e: {handler: a.e, role: !ImportValue r}\n",
    "role_of_one_function": HEAD + f"functions:\n  a: {{handler: a.a, role: '{ROLE}'}}\n  b: {{handler: a.b}}\n",
    "role_in_full": provider(
        "iam:\n  role:\n    name: shop-role\n    path: /team/\n    managedPolicies: ['arn:aws:iam::aws:policy/ReadOnlyAccess']\n"
        "    permissionsBoundary: arn:aws:iam::123456789012:policy/b\n    tags: {a: b}\n    statements:\n"
        "      - Effect: Allow\n        Action: s3:*\n        Resource: '*'\n"
        "      - {Sid: x, Effect: Deny, NotAction: [a, b], NotResource: !GetAtt B.Arn, Condition: {Bool: {x: true}}}\n"
    ),
    "role_settings_of_old": provider(
        "iamRoleStatements:\n  - {Effect: Allow, Action: [a], Resource: ['arn:aws:s3:::x', !Sub y]}\n"
        "iamManagedPolicies: ['arn:aws:iam::aws:policy/ReadOnlyAccess']\nrolePermissionsBoundary: arn:aws:iam::123456789012:policy/b\n"
        + VPC
    ),
    "role_statements_of_every_form": provider(
        "iam:\n  role:\n    statements:\n"
        + "".join(
            f"      - {{Effect: Allow, Action: 's3:*', {key}: {value}}}\n"
            for key in ("Resource", "NotResource")
            for value in STATED
        )
    ),
    "deployment_bucket": provider("deploymentBucket: my-bucket"),
    "deployment_bucket_by_name": provider(
        "deploymentBucket: {name: my-bucket, serverSideEncryption: AES256}\ndeploymentPrefix: other"
    ),
    "deployment_bucket_options": provider(
        "deploymentBucket: {blockPublicAccess: true, versioning: true, tags: {a: b}, maxPreviousDeploymentArtifacts: 3}"
    ),
    "deployment_bucket_without_policy": provider("deploymentBucket: {skipPolicySetup: true}"),
    "stack_settings": provider(
        "stackName: my-stack\nstackTags: {a: b}\nnotificationArns: ['arn:aws:sns:us-east-1:123456789012:t']\nrollbackConfiguration: {MonitoringTimeInMinutes: 3}\n"
        "disableRollback: true\nstackParameters: [{ParameterKey: a, ParameterValue: b}]\ndeploymentMethod: direct\nprofile: default\n"
        "stackPolicy: [{Effect: Allow, Action: ['Update:*'], Principal: '*', Resource: '*'}]"
    ),
    "resources": HEAD
    + ONE
    + "resources:\n  AWSTemplateFormatVersion: '2010-09-09'\n  Description: mine\n  Parameters: {P: {Type: String}}\n  Mappings: {M: {a: {b: c}}}\n"
    "  Conditions: {C: !Not [!Equals [!Ref P, x]]}\n  Metadata: {a: b}\n  Transform: AWS::Serverless-2016-10-31\n  Resources:\n"
    "    Table: {Type: AWS::DynamoDB::Table, Condition: C, DeletionPolicy: Retain, DependsOn: OneLambdaFunction, Properties: {TableName: !Sub '${AWS::StackName}-t', BillingMode: PAY_PER_REQUEST, AttributeDefinitions: [{AttributeName: a, AttributeType: S}], KeySchema: [{AttributeName: a, KeyType: HASH}]}, Metadata: {L: [1.0, 2.5]}}\n"
    "    Topic: {Type: AWS::SNS::Topic}\n  Outputs: {T: {Value: !GetAtt Table.Arn, Export: {Name: t}}}\n",
    "resources_over_what_is_made": HEAD
    + ONE
    + "resources:\n  Resources:\n    OneLambdaFunction:\n      Type: AWS::Lambda::Function\n      Properties: {Timeout: 99, Environment: {Variables: {A: b}}}\n"
    "    OneLogGroup: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 3}}\n"
    "    IamRoleLambdaExecution: {Type: AWS::IAM::Role, Properties: {Policies: [{PolicyName: other}]}}\n",
    "resources_in_a_list": HEAD
    + "functions:\n  - a: {handler: a.a}\n  - b: {handler: a.b}\n    a: {timeout: 3}\nresources:\n  - Resources: {A: {Type: AWS::SNS::Topic}}\n"
    "  - Resources: {B: {Type: AWS::SNS::Topic}, A: {Properties: {TopicName: x}}}\n  - null\n",
    "extensions": function(
        "provisionedConcurrency: 1",
        "resources:\n  extensions:\n    OneLogGroup: {Properties: {RetentionInDays: 7, Tags: []}, DeletionPolicy: Retain, UpdateReplacePolicy: Retain}\n"
        "    OneProvConcLambdaAlias: {UpdatePolicy: {CodeDeployLambdaAliasUpdate: {ApplicationName: a, DeploymentGroupName: g}}}\n"
        "    OneLambdaFunction: {DependsOn: Table, Metadata: {a: b}, Condition: C, CreationPolicy: {ResourceSignal: {Count: 1}}}\n",
    ),
    "coerced_scalars": HEAD
    + "functions:\n  one: {handler: app.one, memorySize: '512', timeout: '30', description: 42, ephemeralStorageSize: '512', disableLogs: 'false',\n"
    "    versionFunction: 'true', tags: {a: 1, b: true}, dependsOn: Table, logRetentionInDays: '14', reservedConcurrency: '3'}\n",
    "coerced_though_validation_is_off": "configValidationMode: off\n"
    + HEAD
    + "functions:\n  one: {handler: app.one, memorySize: '512', unknown: 1, environment: {A: 1}}\n",
    "unknown_keys_are_warned_of": "configValidationMode: warn\n"
    + HEAD
    + "functions:\n  one: {handler: app.one, memorySise: 512}\n",
    "yaml_of_its_own": HEAD
    + "custom: &all {A: x, B: on}\nfunctions:\n  one:\n    handler: app.one\n    environment:\n      <<: *all\n      C: off\n      D: 0x10\n      E: 010\n      F: 1e3\n      G: ~\n"
    "      H: |\n        two\n        lines\n      I: >-\n        one\n        line\n",
    "function_that_is_null": HEAD + "functions:\n  one: {handler: app.one}\n  two: null\n",
    # packaging
    "individually": HEAD
    + "package: {individually: true, patterns: ['!docs/**']}\nfunctions:\n  a: {handler: app.a, package: {patterns: ['!x/**', 'x/y']}}\n  b: {handler: app.b}\n",
    "ready_artifact": {
        "serverless.yml": HEAD
        + "functions:\n  a: {handler: app.a, package: {artifact: ready.zip}}\n  b: {handler: app.b}\n",
        "ready.zip": "not really a zip",
    },
    "ready_artifact_of_the_service": {
        "serverless.yml": HEAD + "package: {artifact: ready.zip}\n" + ONE,
        "ready.zip": "not really a zip",
    },
    "image_by_digest": HEAD
    + f"functions:\n  one: {{image: '123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b@sha256:{'ab' * 32}'}}\n"
    f"  two: {{image: {{uri: '123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b@sha256:{'cd' * 32}', command: [x, y], entryPoint: z, workingDirectory: /w}}}}\n",
    "image_by_name": provider(
        f"ecr: {{images: {{base: '123456789012.dkr.ecr.us-east-1.amazonaws.com/a@sha256:{'ab' * 32}', other: {{uri: '123456789012.dkr.ecr.us-east-1.amazonaws.com/b@sha256:{'cd' * 32}'}}}}}}",
        "functions:\n  one: {image: base}\n  two: {image: {name: other, command: run}}\n",
    ),
    # variables
    "self_references": "service: shop\nprovider: {name: aws, runtime: '${self:custom.runtime}', stage: \"${opt:stage, 'dev'}\"}\n"
    "custom:\n  runtime: python3.11\n  deep: {er: {list: [a, b], map: {x: '${self:custom.runtime}'}}}\n  copy: ${self:custom.deep.er}\n  size: 256\n  name: er\n"
    "functions:\n  one:\n    handler: app.one\n    memorySize: ${self:custom.size}\n    environment:\n      A: ${self:custom.copy.map.x}\n"
    "      B: ${self:custom.deep.er.list.1}\n      C: ${self:custom.deep.${self:custom.name}.list.0}-${sls:stage}\n      D: \"${self:custom.nothing, 'fallback'}\"\n"
    "      E: ${self:service}-${self:provider.stage}\n    tags: ${self:custom.copy.map}\n",
    "literal_fallbacks": HEAD
    + "functions:\n  one:\n    handler: app.one\n    timeout: ${opt:timeout, 33}\n    disableLogs: ${opt:quiet, false}\n    environment:\n      A: \"${opt:x, opt:y, 'a, b}'}\"\n"
    '      B: ${opt:x, "q\\"uoted"}\n      C: ${opt:stage}\n      D: ${opt:x, null}\n      E: ${opt:region, \'none\'}\n',
    "environment_variables": HEAD
    + "functions:\n  one: {handler: app.one, environment: {A: '${env:SHOP_NAME}', B: \"${env:SHOP_NOTHING, 'none'}\"}}\n",
    "foreign_text": HEAD
    + "functions:\n  one:\n    handler: app.one\n    environment:\n      A: !Sub 'arn:${AWS::Partition}:${Name}:${self:service}'\n      B: '$${self:service} \\${self:service} \\\\${self:service} ${} ${x} $x'\n"
    "      C: !Sub ['${a}', {a: '${self:service}'}]\n",
    "files": {
        "serverless.yml": HEAD
        + "custom: ${file(./config/${sls:stage}.yml)}\nfunctions:\n  one:\n    handler: app.one\n    memorySize: ${file(config/sizes.json):small.0}\n    environment:\n"
        "      A: ${self:custom.name}\n      B: ${file(config/text.txt)}\n      C: \"${file(nothing.yml), 'none'}\"\n      D: ${file(config/dev.yml):deep.er}\n      E: ${file(config/dev.yml):sub}\n"
        "      F: \"${file(config/dev.yml):nothing.here, 'no'}\"\nresources: ${file(config/resources.yml)}\n",
        "config/dev.yml": "name: ${self:service}-x\ndeep: {er: '${sls:stage}'}\nsub: !Sub '${AWS::Region}'\n",
        "config/sizes.json": '{"small": [128, 256]}',
        "config/text.txt": "plain ${self:service} text",
        "config/resources.yml": "Resources:\n  T: {Type: AWS::SNS::Topic, Properties: {TopicName: !Join ['-', [a, !Ref AWS::Region]]}}\n",
    },
    "functions_from_files": {
        "serverless.yml": HEAD
        + "functions: ${file(functions.yml)}\nresources:\n  - ${file(a.yml)}\n  - ${file(b.yml)}\n",
        "functions.yml": "one: {handler: app.one}\ntwo: ${file(two.yml)}\n",
        "two.yml": "handler: app.two\ntimeout: 9\n",
        "a.yml": "Resources: {A: {Type: AWS::SNS::Topic}}\n",
        "b.yml": "Outputs: {B: {Value: x}}\n",
    },
    "javascript_files": {
        "serverless.yml": HEAD
        + "functions:\n  one:\n    handler: app.one\n    timeout: ${file(config.js):timeout}\n    environment:\n      A: ${file(config.js):deep.er}\n      B: ${file(function.js):value}\n"
        "      C: ${file(config.js):called}\n      D: ${file(config.js):promised}\n      E: ${file(async.cjs)}\n",
        "config.js": "module.exports = {timeout: 12, deep: {er: 'x'}, called: () => 'y', promised: Promise.resolve('z')};\n",
        "function.js": "module.exports = async ({options, resolveVariable, resolveConfigurationProperty}) => ({value: options.stage + '-' + await resolveVariable('self:service')"
        " + '-' + await resolveVariable(\"opt:x, 'no'\") + '-' + await resolveConfigurationProperty(['provider', 'runtime'])});\n",
        "async.cjs": "module.exports = async () => 'whole';\n",
    },
    "params": "service: shop\nparams:\n  default: {size: 256, name: d, only: '${self:service}'}\n  dev: {name: dev-name}\n  prod: {name: prod}\n"
    "provider: {name: aws, runtime: python3.11}\nfunctions:\n  one: {handler: app.one, memorySize: '${param:size}', environment: {A: '${param:name}', B: '${param:only}', C: \"${param:none, 'no'}\"}}\n",
    "string_to_bool": HEAD
    + "functions:\n  one: {handler: app.one, disableLogs: \"${strToBool('false')}\", versionFunction: \"${strToBool('0')}\", tags: {a: '${strToBool(${env:SHOP_TRUE})}'}}\n",
    "region_and_stage": "service: shop\nprovider: {name: aws, runtime: python3.11, region: eu-west-1, stage: other}\nfunctions:\n  one: {handler: app.one, environment: {A: '${aws:region}', B: '${sls:stage}', C: '${self:provider.stage}'}}\n",
    "dotenv_of_the_stage": {
        "serverless.yml": "useDotenv: true\n"
        + HEAD
        + "functions:\n  one: {handler: app.one, environment: {A: '${env:A}', B: '${env:B}', C: \"${env:C, 'no'}\"}}\n",
        ".env.dev": 'A=from stage\nB="quoted $A"\n',
        ".env": "A=from env\nC=never\n",
    },
    "dotenv": {
        "serverless.yml": "useDotenv: true\n"
        + HEAD
        + "functions:\n  one: {handler: app.one, environment: {A: '${env:A}', B: '${env:SHOP_NAME}'}}\n",
        ".env": "# comment\nexport A='single $X'\nSHOP_NAME=not this\n",
    },
    "json_configuration": {
        "serverless.json": '{"service": "shop", "provider": {"name": "aws", "runtime": "python3.11"}, "functions": {"one": {"handler": "app.one", "timeout": 7}}}'
    },
    "javascript_configuration": {
        "serverless.js": "module.exports = {service: 'shop', provider: {name: 'aws', runtime: 'python3.11'}, functions: {one: {handler: 'app.one', environment: {A: '${self:service}'}}}};\n",
    },
    "top_level_keys": "service: shop\nframeworkVersion: '3'\ndisabledDeprecations: '*'\ndeprecationNotificationMode: warn\nprovider: {name: aws, runtime: python3.11, lambdaHashingVersion: '20201221'}\n"
    + ONE,
}

# Layers need what answers describeStacks, so these run with a server for it.
LAYERS: dict[str, str | dict[str, str]] = {
    "layer": {
        "serverless.yml": HEAD
        + "layers:\n  my-lib: {path: lib, name: my-lib, description: a lib, licenseInfo: MIT, compatibleRuntimes: [python3.11, python3.10], compatibleArchitectures: [x86_64, arm64]}\n"
        "functions:\n  one: {handler: app.one, layers: [{Ref: MyDashlibLambdaLayer}]}\n  two: {handler: app.two}\n",
        "lib/a.py": "1",
    },
    "layer_for_accounts": {
        "serverless.yml": HEAD + "layers:\n  lib: {path: lib, allowedAccounts: ['*', '123456789012']}\n" + ONE,
        "lib/a.py": "1",
    },
    "layer_retained": {
        "serverless.yml": HEAD + "layers:\n  lib: {path: lib, retain: true, allowedAccounts: ['123456789012']}\n" + ONE,
        "lib/a.py": "1",
    },
    "layer_of_the_provider_with_bucket": {
        "serverless.yml": provider("deploymentBucket: my-bucket\nlayers: [{Ref: LibLambdaLayer}]", "layers: {lib: {path: lib}}\n" + ONE),
        "lib/a.py": "1",
    },
    "layer_ready": {"serverless.yml": HEAD + "layers: {lib: {package: {artifact: lib.zip}}}\n" + ONE, "lib.zip": "zip"},
}  # fmt: skip

# With a plugin whose work lambdabuild does; the Serverless Framework has it installed beside it.
ROLES: dict[str, str] = {
    "role_for_one_function": "plugins: [serverless-iam-roles-per-function]\n" + HEAD
    + "functions:\n  a:\n    handler: a.a\n    iamRoleStatements:\n      - {Effect: Allow, Action: ['s3:*'], Resource: '*'}\n  b: {handler: a.b}\n",
    "roles_in_every_form": "plugins: [serverless-iam-roles-per-function]\n" + provider(
        VPC + "\niam: {role: {path: /x/, permissionsBoundary: 'arn:aws:iam::123456789012:policy/b', statements: [{Effect: Allow, Action: [a], Resource: '*'}]}}",
        "functions:\n  a: {handler: a.a, iamRoleStatementsInherit: true, iamRoleStatementsName: mine, iamRoleStatements: []}\n"
        "  b: {handler: a.b, iamPermissionsBoundary: 'arn:aws:iam::123456789012:policy/c', iamRoleStatements: [{Effect: Deny, Action: [x], Resource: '*'}]}\n"
        "  c: {handler: a.c}\n",
    ),
    "role_by_default_with_the_providers": "plugins: [serverless-iam-roles-per-function]\n"
    "custom: {serverless-iam-roles-per-function: {defaultInherit: true, iamGlobalPermissionsBoundary: 'arn:aws:iam::123456789012:policy/g'}}\n"
    + provider("iam: {role: {statements: [{Effect: Allow, Action: [a], Resource: '*'}]}}",
               "functions:\n  a_function_with_a_name_that_is_long: {handler: a.a, iamRoleStatements: []}\n  b: {handler: a.b, onError: 'arn:aws:sns:us-east-1:123456789012:t', iamRoleStatements: [], iamRoleStatementsInherit: false}\n  c: {handler: a.c}\n"),
}  # fmt: skip

ENVIRONMENT = {"SHOP_NAME": "the shop", "SHOP_TRUE": "1"}

# Refused by both, by the same name.
REFUSED: dict[str, tuple[str, str | dict[str, str]]] = {
    "no_handler": ("FUNCTION_NEITHER_HANDLER_NOR_IMAGE_DEFINED_ERROR", HEAD + "functions: {one: {timeout: 3}}\n"),
    "handler_and_image": (
        "FUNCTION_BOTH_HANDLER_AND_IMAGE_DEFINED_ERROR",
        HEAD + f"functions: {{one: {{handler: a.b, image: '123456789012.dkr.ecr.us-east-1.amazonaws.com/a@sha256:{'ab' * 32}'}}}}\n",
    ),
    "file_system_without_vpc": (
        "LAMBDA_FILE_SYSTEM_CONFIG_MISSING_VPC",
        function("fileSystemConfig: {arn: !GetAtt F.Arn, localMountPath: /mnt/x}"),
    ),
    "destination_of_no_kind": ("UNSUPPORTED_DESTINATION_TARGET", function("destinations: {onFailure: 'arn:aws:s3:::bucket'}")),
    "destination_unknown": ("FUNCTION_MISSING_IN_SERVICE", function("destinations: {onFailure: two}")),
    "snap_start_and_provisioned": (
        "FUNCTION_BOTH_PROVISIONED_CONCURRENCY_AND_SNAPSTART_ENABLED_ERROR",
        function("snapStart: true\nprovisionedConcurrency: 1"),
    ),
    "image_of_no_kind": ("FUNCTION_IMAGE_NEITHER_URI_NOR_NAME_DEFINED_ERROR", HEAD + "functions: {one: {image: {command: [x]}}}\n"),
    "image_of_both_kinds": (
        "FUNCTION_IMAGE_BOTH_URI_AND_NAME_DEFINED_ERROR",
        HEAD + f"functions: {{one: {{image: {{name: base, uri: '123456789012.dkr.ecr.us-east-1.amazonaws.com/a@sha256:{'ab' * 32}'}}}}}}\n",
    ),
    "image_unknown": ("REFERENCED_FUNCTION_IMAGE_NOT_DEFINED_IN_PROVIDER", HEAD + "functions: {one: {image: base}}\n"),
    "image_neither": ("ECR_IMAGE_NEITHER_URI_NOR_PATH_DEFINED_ERROR", provider("ecr: {images: {base: {platform: x}}}", "functions: {one: {image: base}}\n")),
    "image_both": (
        "ECR_IMAGE_BOTH_URI_AND_PATH_DEFINED_ERROR",
        provider(f"ecr: {{images: {{base: {{path: a, uri: '123456789012.dkr.ecr.us-east-1.amazonaws.com/a@sha256:{'ab' * 32}'}}}}}}", "functions: {one: {image: base}}\n"),
    ),
    "image_with_build_arguments": (
        "ECR_IMAGE_BOTH_URI_AND_BUILDARGS_DEFINED_ERROR",
        provider(f"ecr: {{images: {{base: {{buildArgs: {{a: b}}, uri: '123456789012.dkr.ecr.us-east-1.amazonaws.com/a@sha256:{'ab' * 32}'}}}}}}", "functions: {one: {image: base}}\n"),
    ),
    "extension_of_nothing": ("RESOURCE_EXTENSION_NOT_EXISTING", HEAD + ONE + "resources: {extensions: {Nothing: {Properties: {}}}}\n"),
    "extension_of_an_odd_attribute": (
        "RESOURCE_EXTENSION_UNSUPPORTED_ATTRIBUTE",
        "configValidationMode: warn\n" + HEAD + ONE + "resources: {extensions: {OneLogGroup: {Type: x}}}\n",
    ),
    "artifact_missing": ("INVALID_PACKAGE_ARTIFACT_PATH", function("package: {artifact: nothing.zip}")),
    "no_service": ("SERVICE_NAME_MISSING", "provider: aws\n" + ONE),
    "no_provider": ("PROVIDER_NAME_MISSING", "service: shop\n" + ONE),
    "service_as_mapping": ("SERVICE_OBJECT_NOTATION", "service: {name: shop}\nprovider: aws\n"),
    "function_as_text": ("NON_OBJECT_FUNCTION_CONFIGURATION_ERROR", HEAD + "functions: {one: text}\n"),
    "functions_as_text": ("NON_OBJECT_FUNCTIONS_CONFIGURATION", HEAD + "functions: text\n"),
    "list_with_text": ("LEGACY_CONFIGURATION_PROPERTY_MERGE_INVALID_INPUT", HEAD + "functions: [text]\n"),
}  # fmt: skip

# Each is one service with mistakes that only the schema finds; both must find them at the same places.
WRONG: dict[str, str] = {
    "functions": HEAD
    + "functions:\n  one:\n    handler: app.one\n    memorySize: 64\n    timeout: 901\n    ephemeralStorageSize: 100\n    memmorySize: 3\n    architecture: arm\n    tracing: On\n"
    "    maximumEventAge: 3\n    maximumRetryAttempts: 3\n    kmsKeyArn: text\n    onError: arn:aws:sqs:us-east-1:123456789012:q\n    logRetentionInDays: 2\n    environment: {1A: x}\n"
    "    tags: {'aws:x': y}\n    url: {authorizer: jwt}\n    vpc: {subnetIds: [a]}\n    layers: [text]\n    fileSystemConfig: {localMountPath: /x, arn: text}\n    package: {what: x}\n"
    "    destinations: {onSuccess: {arn: text}, other: x}\n    reservedConcurrency: -1\n    snapStart: [1, 2]\n",
    "provider": "service: shop\nprovider:\n  name: aws\n  runtime: cobol85\n  stage: a_b\n  stackName: 1a\n  memorySize: text\n  timout: 3\n  deploymentBucket: {nme: x}\n"
    "  iam: {role: {statements: [{Effect: Maybe, Action: a, Resource: '*'}, {Effect: Allow, Resource: '*'}], path: x}}\n  tracing: {lamda: true}\n  logs: {restApi: {level: LOUD}}\n" + ONE,
    "top_level": "service: 1shop\nprovider: {name: aws}\nfunktions: {}\nuseDotenv: maybe\npackage: {indivdually: true}\ncustom: text\n",
    "layers_and_resources": HEAD
    + "layers: {a: {path: x, compatibleRuntime: python3.11, allowedAccounts: [me], compatibleArchitectures: [x]}}\nresources:\n  Resource: {}\n"
    "  Resources: {A: {Properties: {}}, B: {Type: x, Conditon: y}, a-b: {Type: x}}\n  Outputs: text\n",
}  # fmt: skip

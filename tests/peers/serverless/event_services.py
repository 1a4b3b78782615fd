"""Services with events, which lambdabuild and the Serverless Framework compile alike: between them every option of every event type."""

from __future__ import annotations

from peers.serverless.services import HEAD, provider

ARN = "arn:aws:{}:us-east-1:123456789012:{}"
SQS, SNS = ARN.format("sqs", "my-queue"), ARN.format("sns", "my-topic")
DYNAMODB = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2020-01-01T00:00:00.000"
KINESIS = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:MySecret"
LISTENER = (
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/my-balancer/50dc6c495c0c9188/f2f7dc8efc522ab2"
)
BROKER = "arn:aws:mq:us-east-1:123456789012:broker:name:b-0000-0000"
MSK = "arn:aws:kafka:us-east-1:123456789012:cluster/my-cluster/uuid"


def events(*listed: str, more: str = "", head: str = HEAD) -> str:
    """A service whose one function has events, each written in flow style."""
    lines = "".join(f"      - {one}\n" for one in listed)
    return f"{head}functions:\n  one:\n    handler: app.one\n    events:\n{lines}{more}"


TWO = "  two:\n    handler: app.two\n    events:\n"
ALIAS = "    provisionedConcurrency: 1\n"

DURABLE = "service: shop\nprovider: {name: aws, runtime: python3.13}\n"
BY_PROGRAM = "eventBridge: {useCloudFormation: false}"

EVENTS: dict[str, str | dict[str, str]] = {
    "sqs": events(
        f"sqs: {SQS}",
        "sqs: {arn: !GetAtt Queue.Arn, batchSize: 5, enabled: false, maximumBatchingWindow: 0, functionResponseType: ReportBatchItemFailures}",
        "sqs: {arn: !ImportValue other-queue, filterPatterns: [{a: [1, 1.0, null, 'x\"y']}, {b: [{prefix: ü}]}], maximumConcurrency: 250}",
        "sqs: {arn: !Join [':', [arn, aws, sqs, r, a, joined]], batchSize: '7'}",
        more=TWO + f"      - sqs: {{arn: '{ARN.format('sqs', 'two')}'}}\n",
    ),
    "sqs_of_an_alias": events(f"sqs: {SQS}", more=ALIAS),
    "sqs_with_roles": HEAD
    + f"functions:\n  a: {{handler: a.a, role: 'arn:aws:iam::123456789012:role/r', events: [{{sqs: '{SQS}'}}]}}\n  b: {{handler: a.b, role: Mine, events: [{{sqs: '{SQS}'}}]}}\n"
    f"  c: {{handler: a.c, role: !GetAtt R.Arn, events: [{{sqs: '{SQS}'}}]}}\n  d: {{handler: a.d, role: !Sub x, events: [{{sqs: '{SQS}'}}]}}\n  e: {{handler: a.e, events: [{{sqs: '{SQS}'}}]}}\n",
    "stream": events(
        f"stream: {DYNAMODB}",
        f"stream: {KINESIS}",
        "stream: {type: dynamodb, arn: !GetAtt Table.StreamArn, batchSize: 100, parallelizationFactor: 3, startingPosition: LATEST, enabled: false, batchWindow: 5,"
        " maximumRetryAttempts: -1, bisectBatchOnFunctionError: true, maximumRecordAgeInSeconds: 120, functionResponseType: ReportBatchItemFailures, tumblingWindowInSeconds: 30,"
        " filterPatterns: [{eventName: [INSERT]}]}",
        "stream: {type: kinesis, arn: !ImportValue stream-import, maximumRetryAttempts: 0, maximumRecordAgeInSeconds: -1}",
        more=TWO + "      - stream: {type: kinesis, arn: {'Fn::Join': [':', [a, 'kinesis/joined']]}}\n      - stream: {type: dynamodb, arn: !Ref Parameter}\n",
    ),
    "stream_with_failures": events(
        f"stream: {{arn: '{DYNAMODB}', destinations: {{onFailure: '{SNS}'}}}}",
        f"stream: {{arn: '{KINESIS}', destinations: {{onFailure: '{SQS}'}}}}",
        "stream: {type: dynamodb, arn: !GetAtt T.StreamArn, destinations: {onFailure: {type: sns, arn: !Ref Topic}}}",
        f"stream: {{type: kinesis, arn: !GetAtt S.Arn, destinations: {{onFailure: {{arn: '{SQS}'}}}}}}",
    ),
    "stream_with_consumers": events(
        f"stream: {{arn: '{KINESIS}', consumer: true}}",
        f"stream: {{arn: '{KINESIS}2', consumer: '{KINESIS}/consumer/c:1', startingPosition: AT_TIMESTAMP, startingPositionTimestamp: 1.5}}",
        more=ALIAS,
    ),
    "stream_with_consumers_of_the_service": events(
        f"stream: {{arn: '{KINESIS}', consumer: true}}", head=provider("kinesis: {consumerNamingMode: serviceSpecific}", "")
    ),
    "msk": events(
        f"msk: {{arn: '{MSK}', topic: my-topic}}",
        f"msk: {{arn: !ImportValue cluster, topic: t.b, batchSize: 5, maximumBatchingWindow: 3, enabled: false, startingPosition: LATEST, saslScram512: '{SECRET}', consumerGroupId: g,"
        " filterPatterns: [{a: [b]}]}",
        f"msk: {{arn: '{MSK}', topic: t.c, startingPosition: AT_TIMESTAMP, startingPositionTimestamp: 1600000000}}",
        more=TWO + "      - msk: {arn: !Ref Cluster, topic: t.d}\n",
    ),
    "kafka": events(
        f"kafka: {{bootstrapServers: ['a:9092', 'b:9092'], topic: t.1, accessConfigurations: {{saslScram512Auth: '{SECRET}'}}}}",
        f"kafka: {{bootstrapServers: ['a:9092'], topic: t2, batchSize: 9, maximumBatchingWindow: 2, enabled: true, startingPosition: LATEST, consumerGroupId: g, filterPatterns: [{{a: [1]}}],"
        f" accessConfigurations: {{vpcSubnet: [subnet-1, subnet-2], vpcSecurityGroup: [sg-1], saslPlainAuth: ['{SECRET}1'], saslScram256Auth: ['{SECRET}2'],"
        f" clientCertificateTlsAuth: ['{SECRET}3'], serverRootCaCertificate: ['{SECRET}4']}}}}",
        f"kafka: {{bootstrapServers: ['a:9092'], topic: t3, startingPosition: AT_TIMESTAMP, startingPositionTimestamp: 1, accessConfigurations: {{saslPlainAuth: ['{SECRET}']}}}}",
    ),
    "activemq": events(
        f"activemq: {{arn: '{BROKER}', basicAuthArn: '{SECRET}', queue: q.1}}",
        "activemq: {arn: !ImportValue broker, basicAuthArn: !Ref Secret, queue: q2, batchSize: 10, maximumBatchingWindow: 20, enabled: false, filterPatterns: [{a: [1]}]}",
    ),
    "rabbitmq": events(
        f"rabbitmq: {{arn: '{BROKER}', basicAuthArn: '{SECRET}', queue: q}}",
        "rabbitmq: {arn: !Ref Broker, basicAuthArn: !ImportValue s, queue: q2, virtualHost: /, batchSize: 10, maximumBatchingWindow: 20, enabled: true, filterPatterns: [{a: [1]}]}",
    ),
    "schedule": events(
        "schedule: rate(10 minutes)",
        "schedule: cron(0 12 * * ? *)",
        "schedule: {rate: rate(1 hour), enabled: false, name: mine, description: hourly, input: {a: 1, b: [x, 1.0]}}",
        "schedule: {rate: ['rate(1 day)', 'cron(0 1 * * ? *)', !Sub 'rate(1 day)'], input: plain}",
        "schedule: {rate: rate(2 days), inputPath: $.stageVariables}",
        "schedule: {rate: rate(3 days), inputTransformer: {inputTemplate: '{\"time\": <t>}', inputPathsMap: {t: $.time}}}",
        "schedule: {rate: rate(4 days), input: {body: '{\"a\": 1}'}}",
        "schedule: rate(5 days)",
        more=TWO + "      - schedule: rate(1 minute)\n",
    ),
    "schedule_of_an_alias": events("schedule: rate(10 minutes)", "schedule: {rate: rate(1 hour), method: scheduler}", more=ALIAS),
    "scheduler": events(
        "schedule: {rate: rate(1 hour), method: scheduler, name: mine, description: hourly, timezone: Europe/Berlin, input: {a: 'x\"y'}, enabled: false}",
        "schedule: {rate: [rate(2 hours), rate(3 hours)], method: scheduler, input: text}",
        "schedule: {rate: rate(4 hours), method: eventBus}",
        more=TWO + "      - schedule: {rate: rate(1 minute), method: scheduler}\n",
    ),
    "scheduler_with_a_role": HEAD
    + "functions: {one: {handler: app.one, role: 'arn:aws:iam::123456789012:role/r', events: [{schedule: {rate: rate(1 hour), method: scheduler}}]}}\n",
    "cloudwatch_event": events(
        "cloudwatchEvent: {event: {source: [aws.ec2], detail: {state: [pending]}}}",
        "cloudwatchEvent: {event: {source: [a]}, name: mine, description: ours, enabled: false, input: text}",
        "cloudwatchEvent: {event: {source: [a]}, inputPath: $.x}",
        "cloudwatchEvent: {event: {source: [a]}, inputTransformer: {inputTemplate: <t>, inputPathsMap: {t: $.time}}}",
        "cloudwatchEvent: {event: {source: [b]}, input: {a: 1, b: {c: [d]}}}",
        more=TWO + "      - cloudwatchEvent: {event: {source: [c]}}\n",
    ),
    "cloudwatch_event_of_an_alias": events("cloudwatchEvent: {event: {source: [aws.ec2]}}", more=ALIAS),
    "event_bridge": events(
        "eventBridge: {pattern: {source: [a], detail-type: [b], detail: {c: [{numeric: ['>', 1]}]}}}",
        "eventBridge: {schedule: rate(10 minutes), name: mine, description: ours, enabled: false, input: {a: 1}}",
        "eventBridge: {pattern: {source: [a]}, eventBus: my-bus, inputPath: $.x}",
        f"eventBridge: {{pattern: {{source: [a]}}, eventBus: '{ARN.format('events', 'event-bus/other')}', inputTransformer: {{inputTemplate: <t>, inputPathsMap: {{t: $.time}}}}}}",
        "eventBridge: {pattern: {source: [a]}, eventBus: !Ref Bus, retryPolicy: {maximumEventAge: 60, maximumRetryAttempts: 0}, deadLetterQueueArn: !GetAtt Q.Arn}",
        "eventBridge: {pattern: {source: [a]}, eventBus: !GetAtt [Bus, Name]}",
        f"eventBridge: {{schedule: 'cron(0 12 * * ? *)', eventBus: !ImportValue bus, deadLetterQueueArn: '{SQS}'}}",
        "eventBridge: {pattern: {$or: [{source: [a]}, {source: [b]}]}}",
        more=TWO + "      - eventBridge: {pattern: {source: [a]}, eventBus: my-bus}\n",
    ),
    "event_bridge_with_long_names": "service: a-service-with-a-name-that-is-quite-long\nprovider: {name: aws, runtime: python3.11}\n"
    "functions:\n  a-function-with-a-name-that-is-long:\n    handler: a.b\n    name: short\n    events: [{eventBridge: {pattern: {source: [a]}}}, {eventBridge: {schedule: rate(1 day), name: a-rule-with-a-name-of-exactly-sixty-four-characters-in-all-yes-o}}]\n",
    "event_bridge_of_an_alias": events("eventBridge: {pattern: {source: [a]}}", more=ALIAS),
    "event_bridge_by_a_program": events(
        "eventBridge: {pattern: {source: [a], detail: {c: [{numeric: ['>', 1]}]}}}", "eventBridge: {schedule: rate(10 minutes), name: mine, description: ours, enabled: false}",
        "sqs: " + SQS, "eventBridge: {pattern: {source: [a]}, eventBus: default}", "eventBridge: {schedule: rate(1 day), input: {a: 1, b: {c: [d]}}}", head=provider(BY_PROGRAM, ""),
    ),
    "event_bridge_by_a_program_on_buses": events(
        "eventBridge: {pattern: {source: [a]}, eventBus: my-bus, inputPath: $.x}",
        f"eventBridge: {{pattern: {{source: [a]}}, eventBus: '{ARN.format('events', 'event-bus/other')}', inputTransformer: {{inputTemplate: <t>, inputPathsMap: {{t: $.time}}}}}}",
        more=ALIAS + TWO + "      - eventBridge: {pattern: {source: [a]}, eventBus: my-bus}\n      - eventBridge: {pattern: {source: [b]}, eventBus: another}\n", head=provider(BY_PROGRAM, ""),
    ),
    "event_bridge_by_a_program_of_one_default_bus": events(
        f"eventBridge: {{pattern: {{source: [a]}}, eventBus: '{ARN.format('events', 'event-bus/default')}', inputTransformer: {{inputTemplate: x}}}}",
        head=provider(BY_PROGRAM + "\nlogs: {frameworkLambda: true}\nlogRetentionInDays: 3", ""),
    ),
    "event_bridge_by_a_program_with_a_role": events(
        "eventBridge: {pattern: {source: [a]}, eventBus: my-bus}", more=TWO + "      - eventBridge: {schedule: rate(1 day)}\n",
        head=provider(BY_PROGRAM + "\niam: {deploymentRole: 'arn:aws:iam::123456789012:role/deploy'}", ""),
    ),
    "event_bridge_by_a_program_beside_others": events(
        "eventBridge: {schedule: rate(1 day)}", "s3: {bucket: there-already, existing: true}", "cognitoUserPool: {pool: there, trigger: PreSignUp, existing: true}",
        head="service: a-service-with-a-name-that-is-rather-long-for-a-function\nprovider: {name: aws, runtime: python3.11, eventBridge: {}}\n",
    ),
    "event_bridge_as_cloudformation_makes_it": events("eventBridge: {schedule: rate(1 day)}", head=provider("eventBridge: {useCloudFormation: true}", "")),
    "sns": events(
        "sns: topic-name",
        f"sns: {SNS}",
        "sns: {topicName: other, displayName: Other}",
        f"sns: {{arn: '{SNS}2'}}",
        "sns: {arn: !Ref Topic, topicName: referred}",
        "sns: {arn: 'arn:aws:sns:eu-west-1:123456789012:elsewhere', filterPolicy: {a: [b]}, filterPolicyScope: MessageBody}",
        "sns: {topicName: filtered, filterPolicy: {pet: [cat]}}",
        more=TWO + "      - sns: topic-name\n      - sns: {topicName: filtered}\n",
    ),
    "sns_with_dead_letters": events(
        f"sns: {{arn: '{SNS}', redrivePolicy: {{deadLetterTargetArn: '{SQS}'}}}}",
        "sns: {topicName: made, redrivePolicy: {deadLetterTargetRef: Queue}}",
        f"sns: {{arn: '{SNS}3', redrivePolicy: {{deadLetterTargetImport: {{arn: '{SQS}', url: q-url}}}}}}",
    ),
    "sns_of_an_alias": events("sns: topic-name", f"sns: {SNS}", more=ALIAS),
    "alexa": events(
        "alexaSkill: amzn1.ask.skill.1", "alexaSkill: {appId: amzn1.ask.skill.2, enabled: false}", "alexaSmartHome: amzn1.ask.skill.3",
        "alexaSmartHome: {appId: amzn1.ask.skill.4, enabled: true}",
    ),
    "alexa_of_an_alias": events("alexaSkill: amzn1.ask.skill.1", "alexaSmartHome: {appId: x, enabled: false}", more=ALIAS),
    "http": events(
        "http: 'GET /items/{itemId}/sub-Path'", "http: {method: post, path: items}", "http: {method: any, path: '/any/{proxy+}', private: true, operationId: op}", "http: {path: '', method: put}", "http: GET /",
        more=TWO + "      - http: 'DELETE /items/{itemId}/'\n",
    ),
    "http_with_options": events(
        "http: GET /a",
        head=provider(
            "apiName: mine\nendpointType: private\nvpcEndpointIds: [vpce-1, !Ref V]\ntags: {a: b}\nlogRetentionInDays: 3\nlogs: {restApi: {roleManagedExternally: true, level: INFO}}\ntracing: {apiGateway: true}\n"
            "apiGateway: {binaryMediaTypes: ['*/*', image/png], disableDefaultEndpoint: true, minimumCompressionSize: 0, description: ours, apiKeySourceType: header, metrics: true,"
            " resourcePolicy: [{Effect: Allow, Principal: '*', Action: execute-api:Invoke, Resource: ['execute-api:/*/*/*']}]}", ""),
    ),
    "http_named_after_the_service": events("http: GET /a", head=provider("endpointType: regional\napiGateway: {shouldStartNameWithService: true}", "")),
    "http_with_cors": events(
        "http: {method: get, path: a, cors: true}", "http: {method: post, path: a, cors: true}", "http: {method: any, path: b, cors: {origins: ['https://a.b', 'https://*.c.d'], headers: [X-A], allowCredentials: true, maxAge: 60, cacheControl: max-age=1}}",
        "http: {method: put, path: c, cors: {origin: 'https://a, https://b', methods: [PUT, GET]}}", "http: {method: get, path: d, cors: {origin: https://d}}",
        more=TWO + "      - http: {method: delete, path: d, cors: {headers: Y, allowCredentials: true}}\n",
    ),
    "http_with_lambda_integration": events(
        "http: {method: get, path: a, integration: lambda}",
        "http: {method: post, path: b, integration: lambda, cors: {origins: ['https://a', 'https://b'], allowCredentials: true}, request: {passThrough: WHEN_NO_MATCH, contentHandling: CONVERT_TO_TEXT,"
        " template: {text/xml: '{}', application/x-www-form-urlencoded: null, application/json: '{\"a\": 1}'}, parameters: {querystrings: {q: true, r: false}, headers: {H: {required: true, mappedValue: context.x}}, paths: {p: {required: false}}}},"
        " response: {headers: {X-A: integration.response.header.a}, template: $input.path('$'), contentHandling: CONVERT_TO_BINARY, statusCodes: {201: {pattern: ''}, 409: {pattern: '.*conflict.*', template: $x, headers: {Y: \"'y'\"}},"
        " 500: {pattern: x, template: {application/json: a, text/xml: b}}}}}",
        "http: {method: put, path: c, integration: lambda, response: {statusCodes: {404: {pattern: 'x'}}}}",
        "http: {method: get, path: d, async: true}", "http: {method: get, path: e, integration: aws, response: {headers: {A: b}}}", "http: {method: get, path: f, integration: lambda, cors: true}",
        more=ALIAS,
    ),
    "http_with_proxies": events(
        "http: {method: get, path: a, integration: http, request: {uri: https://x, method: POST, parameters: {paths: {id: true}}}, response: {statusCodes: {200: {pattern: ''}}}}",
        "http: {method: get, path: b, integration: http-proxy, request: {uri: !Sub 'https://y', parameters: {querystrings: {a: true}}}}",
        "http: {method: get, path: c, integration: HTTP_PROXY, connectionType: vpc-link, connectionId: !Ref Link, request: {uri: https://z}}",
        "http: {method: get, path: d, integration: mock, request: {template: {application/json: '{\"statusCode\": 200}'}}, response: {headers: {A: b}, statusCodes: {200: {pattern: ''}}}}",
        "http: {method: get, path: e, integration: mock}",
        "http: {method: get, path: f, integration: lambda-proxy, request: {parameters: {paths: {a: true}, headers: {b: false}}}}",
    ),
    "http_with_authorizers": events(
        "http: {method: get, path: a, authorizer: two}", "http: {method: get, path: b, authorizer: aws_iam}", "http: {method: get, path: c, authorizer: 'arn:aws:lambda:us-east-1:123456789012:function:my-svc-auth'}",
        "http: {method: get, path: d, authorizer: {name: two, resultTtlInSeconds: 0, identitySource: method.request.header.A, identityValidationExpression: x, type: token}}",
        "http: {method: get, path: e, authorizer: {name: pool, arn: 'arn:aws:cognito-idp:us-east-1:123456789012:userpool/p', scopes: [a, b]}}", "http: {method: get, path: f, authorizer: {name: other, type: COGNITO_USER_POOLS, arn: !GetAtt Pool.Arn}}",
        "http: {method: get, path: g, authorizer: {type: COGNITO_USER_POOLS, authorizerId: !Ref A, scopes: [s]}}", "http: {method: get, path: h, authorizer: {type: CUSTOM, authorizerId: abc}}",
        "http: {method: get, path: i, authorizer: {type: request, authorizerId: abc}}", "http: {method: get, path: j, authorizer: {type: request, name: three, resultTtlInSeconds: 0}}",
        "http: {method: get, path: k, authorizer: {arn: 'arn:aws:lambda:us-east-1:123456789012:function:ext', name: ext, managedExternally: true}}", "http: {method: get, path: l, authorizer: {type: aws_iam}}",
        more="  two: {handler: app.two}\n  three: {handler: app.three, provisionedConcurrency: 1}\n",
    ),
    "http_with_schemas": events(
        "http: {method: post, path: a, request: {schemas: {application/json: {type: object}}}}", "http: {method: post, path: 'b/{id}', request: {schemas: {application/json: {schema: {type: string}, name: Mine, description: ours}, text/plain-x: {type: string}}}}",
        "http: {method: post, path: c, request: {schemas: {application/json: post-create-model}, parameters: {querystrings: {q: true}}}}", "http: {method: post, path: d, request: {schemas: {application/xml: other}}}",
        head=provider("apiGateway: {request: {schemas: {post-create-model: {name: PostCreate, schema: {type: object}, description: d}, other: {schema: {type: number}}}}}", ""),
    ),
    "http_with_keys": events(
        "http: {method: get, path: a, private: true}",
        head=provider("apiGateway: {apiKeys: [first, {name: second, value: '0123456789012345678901', description: d, customerId: c, enabled: false}], usagePlan: {quota: {limit: 5, offset: 2, period: MONTH}, throttle: {burstLimit: 2, rateLimit: 1}}}", ""),
    ),
    "http_with_keys_of_plans": events(
        "http: {method: get, path: a, private: true}",
        head=provider("apiGateway: {apiKeys: [{free: [a, {name: b}]}, {paid: [c]}], usagePlan: [{free: {quota: {limit: 5, period: DAY}}}, {paid: {throttle: {burstLimit: 2, rateLimit: 1}}}]}", ""),
    ),
    "http_with_keys_and_no_plan": events("http: {method: get, path: a, private: true}", head=provider("apiGateway: {apiKeys: [a]}", "")),
    "http_of_others": events(
        "http: GET /a/b/c", "http: GET /a", "http: {method: get, path: x/y, cors: true}",
        head=provider("apiGateway: {restApiId: abc, restApiRootResourceId: def, restApiResources: {a: r1, a/b: r2}, description: d}", ""),
    ),
    "http_of_a_list_of_others": events("http: GET /a/c", head=provider("apiGateway: {restApiId: !ImportValue i, restApiRootResourceId: !ImportValue r, restApiResources: [{path: a, resourceId: x}]}", "")),
    "http_of_an_alias": events("http: GET /a", more=ALIAS),
    "websocket": events(
        "websocket: $connect", "websocket: {route: $default, routeResponseSelectionExpression: $default}", "websocket: {route: a/b-c_d.e}",
        more=TWO + "      - websocket: $disconnect\n",
    ),
    "websocket_with_options": events(
        "websocket: $connect",
        head=provider("tags: {a: b}\nwebsocket: {useProviderTags: true}\nwebsocketsApiName: mine\nwebsocketsApiRouteSelectionExpression: $request.body.route\nwebsocketsDescription: ours", ""),
    ),
    "websocket_with_logs": events(
        "websocket: $connect",
        head=provider("logRetentionInDays: 3\nlogs: {restApi: {roleManagedExternally: true}, websocket: {level: ERROR, fullExecutionData: false, format: x}}", ""),
    ),
    "websocket_with_some_logs": events(
        "websocket: $connect", head=provider("logs: {restApi: {roleManagedExternally: true}, websocket: {accessLogging: false, executionLogging: false}}", "")
    ),
    "websocket_with_all_logs": events("websocket: $connect", head=provider("logs: {restApi: {roleManagedExternally: true}, websocket: true}", "")),
    "websocket_with_authorizers": events(
        "websocket: {route: $connect, authorizer: two}", "websocket: {route: b, authorizer: 'arn:aws:lambda:us-east-1:123456789012:function:auth-fn'}",
        "websocket: {route: c, authorizer: {name: two, identitySource: [route.request.querystring.Auth]}}",
        "websocket: {route: d, authorizer: {arn: !ImportValue f, name: imported}}", "websocket: {route: e, authorizer: {arn: 'arn:aws:lambda:us-east-1:123456789012:function:other'}}",
        more="  two: {handler: app.two}\n",
    ).replace("authorizer: {name: two, identitySource: [route.request.querystring.Auth]}", "authorizer: {name: three, identitySource: [route.request.querystring.Auth]}")
    + "  three: {handler: app.three, provisionedConcurrency: 1}\n",
    "websocket_of_others": events("websocket: $connect", head=provider("apiGateway: {websocketApiId: abc}", "")),
    "websocket_of_an_alias": events("websocket: $connect", more=ALIAS),
    "alb": events(
        f"alb: {{listenerArn: '{LISTENER}', priority: 1, conditions: {{path: /hello}}}}",
        more=TWO + f"      - alb: {{listenerArn: '{LISTENER}', priority: 2, conditions: {{host: [a.b, c.d], method: GET, header: {{name: X-A, values: [b]}}, query: {{a: b, c: d}}, ip: 10.0.0.0/8, path: [/a, /b]}},"
        " multiValueHeaders: true, healthCheck: true}\n"
        + TWO.replace("two", "three") + "      - alb: {listenerArn: !Ref Listener, priority: 3, conditions: {header: [{name: A, values: [b, c]}]}, healthCheck: {path: /health, intervalSeconds: 9, timeoutSeconds: 3,"
        " healthyThresholdCount: 2, unhealthyThresholdCount: 3, matcher: {httpCode: '200,201'}}, targetGroupName: mine}\n",
    ),
    "alb_with_authorizers": events(
        f"alb: {{listenerArn: '{LISTENER}', priority: 1, conditions: {{path: /hello}}, authorizer: [one, two]}}", f"alb: {{listenerArn: '{LISTENER}', priority: 2, conditions: {{path: /x}}, authorizer: three}}",
        head=provider(
            "alb:\n  targetGroupPrefix: pre\n  authorizers:\n    one: {type: cognito, userPoolArn: 'arn:aws:cognito-idp:us-east-1:123456789012:userpool/p', userPoolClientId: c, userPoolDomain: d,"
            " onUnauthenticatedRequest: allow, requestExtraParams: {prompt: login}, scope: openid, sessionCookieName: k, sessionTimeout: 7000}\n"
            "    two: {type: oidc, authorizationEndpoint: https://a, clientId: i, clientSecret: s, issuer: https://i, tokenEndpoint: https://t, userInfoEndpoint: https://u}\n"
            "    three: {type: oidc, authorizationEndpoint: https://a, clientId: i, issuer: https://i, tokenEndpoint: https://t, userInfoEndpoint: https://u, sessionTimeout: 7000}\n", ""),
    ),
    "alb_of_an_alias": events(f"alb: {{listenerArn: '{LISTENER}', priority: 1, conditions: {{path: /hello}}}}", more=ALIAS),
    "http_api": events(
        "httpApi: GET /items/{itemId}/sub-Path", "httpApi: '*'", "httpApi: {method: post, path: /items}", "httpApi: {method: '*', path: '/any/{proxy+}'}",
        more=TWO + "      - httpApi: DELETE /items/{itemId}\n",
    ),
    "http_api_with_options": events(
        "httpApi: PUT /a",
        head=provider(
            "tags: {a: b}\nlogRetentionInDays: 3\nlogs: {httpApi: true}\nhttpApi: {name: mine, payload: '1.0', metrics: true, disableDefaultEndpoint: true, cors: true}", ""),
        more="    httpApi: {payload: '2.0'}\n" + TWO + "      - httpApi: GET /b\n",
    ),
    "http_api_with_cors": events(
        "httpApi: PUT /a", "httpApi: {method: ANY, path: /b}",
        head=provider("stackName: my-stack\nlogs: {httpApi: {format: '$context.requestId'}}\nhttpApi: {shouldStartNameWithService: true, cors: {allowedOrigins: https://a.b, allowedHeaders: [A, A],"
                      " allowCredentials: true, exposedResponseHeaders: X, maxAge: 3}}", ""),
    ),
    "cors_in_the_order_of_the_file": events(
        "http: {method: put, path: a, cors: true}", "httpApi: PUT /a", "http: {method: delete, path: a, cors: {headers: [Y]}}",
        head=provider("httpApi: {cors: true}", ""),
        more="  another:\n    handler: app.two\n    events:\n      - http: {method: patch, path: a, cors: {headers: [X]}}\n      - http: {method: get, path: a, cors: true}\n"
        "      - httpApi: GET /a\n      - httpApi: DELETE /a\n",
    ),
    "http_api_with_own_methods": events("httpApi: PUT /a", head=provider("httpApi: {cors: {allowedMethods: [GET, PUT], allowCredentials: false}}", "")),
    "http_api_with_authorizers": events(
        "httpApi: {method: GET, path: /a, authorizer: jwt}", "httpApi: {method: GET, path: /b, authorizer: {name: jwt, scopes: [s, t, s]}}",
        "httpApi: {method: GET, path: /c, authorizer: {name: asked}}", "httpApi: {method: GET, path: /d, authorizer: {type: aws_iam}}",
        "httpApi: {method: GET, path: /e, authorizer: by-arn}", "httpApi: {method: GET, path: /f, authorizer: {name: named}}",
        head=provider(
            "httpApi:\n  authorizers:\n    jwt: {identitySource: $request.header.Authorization, issuerUrl: https://issuer, audience: [a, b]}\n"
            "    named: {type: jwt, name: other-name, identitySource: $request.header.Authorization, issuerUrl: !Sub x, audience: one}\n"
            "    asked: {type: request, functionName: two, resultTtlInSeconds: 60, identitySource: [$request.header.A, $request.header.B], enableSimpleResponses: true, payloadVersion: '1.0'}\n"
            "    by-arn: {type: request, functionArn: !ImportValue f, managedExternally: true}\n    unused: {type: request, functionArn: 'arn:aws:lambda:us-east-1:123456789012:function:f'}\n", ""),
        more="  two: {handler: app.two, provisionedConcurrency: 1}\n",
    ),
    "http_api_of_others": events("httpApi: GET /a", "httpApi: {method: GET, path: /b, authorizer: {id: abc, scopes: [x]}}", "httpApi: {method: GET, path: /c, authorizer: {id: !Ref A, type: request}}",
                                 head=provider("httpApi: {id: xyz}", "")),
    "http_api_of_an_import": events("httpApi: GET /a", head=provider("httpApi: {id: !ImportValue api}", "")),
    "http_api_of_an_alias": events("httpApi: GET /a", more=ALIAS),
    "iot": events(
        "iot: {sql: \"SELECT * FROM 'a/b'\"}",
        "iot: {sql: \"SELECT x FROM 'c'\", sqlVersion: beta, name: mine, enabled: false, description: ours}",
    ),
    "iot_of_an_alias": events("iot: {sql: x}", "iotFleetProvisioning: {templateBody: {a: b}, provisioningRoleArn: 'arn:aws:iam::123456789012:role/r'}", more=ALIAS),
    "iot_fleet": events("iotFleetProvisioning: {templateBody: {a: {b: [1, 1.0]}}, provisioningRoleArn: !GetAtt R.Arn, enabled: false, templateName: t}"),
    "cloudwatch_log": events(
        "cloudwatchLog: /aws/lambda/hello1",
        "cloudwatchLog: {logGroup: /aws/lambda/hello2, filter: '{$.userIdentity.type = Root}'}",
        "cloudwatchLog: {logGroup: /aws/other, filter: '{ $.x = \\\\\"y\\\\\" }'}",
        more=TWO + "      - cloudwatchLog: /aws/lambda/hello1\n",
    ),
    "cloudwatch_log_of_an_alias": events("cloudwatchLog: /aws/lambda/hello1", more=ALIAS),
    "s3": events(
        "s3: photos",
        "s3: {bucket: photos, event: 's3:ObjectRemoved:*', rules: [{prefix: uploads/}, {suffix: .jpg}]}",
        "s3: {bucket: other.bucket-name, rules: [{prefix: !Sub 'a/${AWS::Region}'}]}",
        more=TWO + "      - s3: {bucket: photos, event: 's3:ObjectCreated:Put'}\n",
    ),
    "s3_with_options": events(
        "s3: main", "s3: {bucket: plain}",
        head=provider(
            "s3:\n  main:\n    name: my-real-bucket\n    versioningConfiguration: {Status: Enabled}\n    notificationConfiguration: {TopicConfigurations: [{Event: x, Topic: y}]}\n"
            "  plain: {accessControl: Private}\n", ""),
    ),
    "s3_of_an_alias": events("s3: photos", more=ALIAS),
    "cognito": events(
        "cognitoUserPool: {pool: My Pool, trigger: PreSignUp}", "cognitoUserPool: {pool: My Pool, trigger: PostConfirmation}", "cognitoUserPool: {pool: Other, trigger: CustomMessage}",
        more=TWO + "      - cognitoUserPool: {pool: My Pool, trigger: CustomSMSSender, kmsKeyId: 'arn:aws:kms:us-east-1:123456789012:key/k'}\n"
        "      - cognitoUserPool: {pool: My Pool, trigger: CustomEmailSender, kmsKeyId: 'arn:aws:kms:us-east-1:123456789012:key/k'}\n",
    ),
    "s3_existing": events(
        "s3: {bucket: there-already, existing: true}", "s3: {bucket: there-already, event: 's3:ObjectRemoved:*', existing: true, rules: [{prefix: a/}, {suffix: .b}], forceDeploy: true}", "s3: made",
        more=TWO + "      - s3: {bucket: there-already, existing: true}\n" + TWO.replace("two", "three") + "      - s3: {bucket: !Ref B, existing: true}\n",
        head=provider("logRetentionInDays: 3\nlogs: {frameworkLambda: true}", ""),
    ),
    "cognito_existing": events(
        "cognitoUserPool: {pool: there, trigger: PreSignUp, existing: true}", "cognitoUserPool: {pool: there, trigger: CustomMessage, existing: true, forceDeploy: true}",
        more=TWO + "      - cognitoUserPool: {pool: there, trigger: CustomSMSSender, existing: true, kmsKeyId: 'arn:aws:kms:us-east-1:123456789012:key/k'}\n",
        head=provider("iam: {deploymentRole: 'arn:aws:iam::123456789012:role/deploy'}", ""),
    ),
    "existing_of_both_kinds": events("cognitoUserPool: {pool: there, trigger: PreSignUp, existing: true}", "s3: {bucket: there-already, existing: true}",
                                     head="service: a-service-with-a-name-that-is-rather-long-for-a-function\nprovider: {name: aws, runtime: python3.11}\n"),
    "http_with_logs": events("http: GET /a", head=provider("logs: {restApi: {role: 'arn:aws:iam::123456789012:role/r', format: x}}", "")),
    "apis_with_logs": events("http: GET /a", "websocket: $connect", head=provider("logs: {restApi: true, websocket: true}", "")),
    "cognito_of_an_alias": events("cognitoUserPool: {pool: Mine, trigger: PreSignUp}", more=ALIAS),
    "cloudfront": events("cloudFront: {eventType: viewer-response, origin: 's3://bucket.s3.amazonaws.com/files'}"),
    "cloudfront_with_everything": events(
        "cloudFront: {eventType: viewer-request, origin: 'https://Example.com/path', pathPattern: /docs*, includeBody: true, isDefaultOrigin: true,"
        " behavior: {AllowedMethods: [GET, HEAD, OPTIONS], Compress: true, ViewerProtocolPolicy: https-only, ForwardedValues: {QueryString: true, Cookies: {Forward: all}}}}",
        "cloudFront: {eventType: origin-request, origin: {DomainName: !GetAtt Bucket.DomainName, S3OriginConfig: {}, OriginPath: /x}, pathPattern: /a, includeBody: false, cachePolicy: {name: my-policy}}",
        "cloudFront: {eventType: viewer-response, origin: {DomainName: example.com, OriginPath: /path, CustomOriginConfig: {OriginProtocolPolicy: http-only},"
        " OriginCustomHeaders: [{HeaderName: a, HeaderValue: b}]}, pathPattern: /docs*, behavior: {AllowedMethods: [GET, HEAD, OPTIONS], MinTTL: 0}}",
        more="    environment: {A: b}\n    vpc: {subnetIds: [s], securityGroupIds: [g]}\n" + TWO + "      - cloudFront: {eventType: origin-response, origin: 'https://Example.com/path', pathPattern: /docs*}\n"
        "      - cloudFront: {eventType: origin-response, origin: 'https://other.example', pathPattern: /b, cachePolicy: {id: !Ref P}}\n"
        "    memorySize: 300\n    timeout: 30\n  three:\n    handler: app.three\n",
        head=provider(
            "memorySize: 512\ntimeout: 20\nversionFunctions: false\nenvironment: {B: c}\ncloudFront: {cachePolicies: {my-policy: {DefaultTTL: 1, MaxTTL: 2, MinTTL: 0,"
            " ParametersInCacheKeyAndForwardedToOrigin: {CookiesConfig: {CookieBehavior: none}, EnableAcceptEncodingGzip: true, HeadersConfig: {HeaderBehavior: none},"
            " QueryStringsConfig: {QueryStringBehavior: none}}}}}",
            "",
        ),
    ),
    "cloudfront_default_and_patterns": events(
        "cloudFront: {eventType: origin-response, origin: 'https://a.example', pathPattern: /a, behavior: {CachePolicyId: x}}",
        "cloudFront: {eventType: origin-response, origin: 'https://a.example', behavior: {DefaultTTL: 5}}",
        "cloudFront: {origin: 'https://a.example', pathPattern: /c}",
    ),
    "cloudfront_with_a_role": HEAD + "functions:\n  one: {handler: app.one, role: 'arn:aws:iam::123456789012:role/r', events: [cloudFront: {eventType: viewer-request, origin: 'https://a.example'}]}\n",
}  # fmt: skip

NEWER: dict[str, str] = {
    "http_streamed": events(
        "http: {method: get, path: a, response: {transferMode: stream}}", "http: {method: get, path: b, response: {transferMode: BUFFERED}}",
        "http: {method: get, path: c, integration: http-proxy, request: {uri: 'https://a.b'}, response: {transferMode: STREAM}}",
    ),
    "http_streamed_by_an_alias": events("http: {method: get, path: a, response: {transferMode: stream}}", more=ALIAS),
    "http_timeouts": events(
        "http: {method: get, path: a, timeoutInMillis: 50}", "http: GET /b", head=provider("apiGateway: {timeoutInMillis: 60000, endpoint: {securityPolicy: TLS_1_2, accessMode: strict}}", "")),
    "http_api_description": events("httpApi: GET /a", head=provider("httpApi: {description: words}", "")),
    "scheduler_group": events(
        "schedule: {rate: [rate(1 day)], method: scheduler, groupName: mine, roleArn: 'arn:aws:iam::123456789012:role/r'}",
        "schedule: {rate: [rate(2 days)], method: scheduler, timezone: Europe/Vienna}"),
    "pollers": events(
        f"msk: {{arn: '{MSK}', topic: tt, provisionedPollerConfig: {{minimumPollers: 1, maximumPollers: 3}}}}",
        f"kafka: {{bootstrapServers: ['a:9092'], topic: t2, onFailureDestination: '{SQS}', provisionedPollerConfig: {{minimumPollers: 2}}, accessConfigurations: {{saslPlainAuth: ['{SECRET}']}}}}"),
    "logging": provider("logs: {lambda: {logFormat: JSON, applicationLogLevel: INFO}}"),
    "dual_stack": provider("vpc: {securityGroupIds: [sg-1], subnetIds: [subnet-1], ipv6AllowedForDualStack: true}"),
    "recursive_loop": HEAD + "functions: {one: {handler: app.one, recursiveLoop: Allow}}\n",
    "durable": DURABLE + "functions:\n  one: {handler: app.one, durableConfig: {executionTimeout: 31622400, retentionPeriodInDays: 90}, versionFunction: false, maximumEventAge: 60}\n"
    "  two: {handler: app.one, destinations: {onFailure: one, onSuccess: three}}\n  three: {handler: app.one, maximumRetryAttempts: 1}\n"
    "  four: {handler: app.one, durableConfig: {executionTimeout: 60}, provisionedConcurrency: 2, tags: {a: b}, memorySize: 512}\n"
    "  five: {handler: app.one, durableConfig: {executionTimeout: 60}, snapStart: true, name: by-name}\n  six: {handler: app.one, durableConfig: {executionTimeout: 60}, role: 'arn:aws:iam::123456789012:role/r'}\n",
    "durable_with_events": events(
        f"sqs: {SQS}", "schedule: rate(1 day)", "httpApi: GET /a", "http: GET /b", f"sns: {SNS}", "eventBridge: {pattern: {source: [a]}}", "schedule: {rate: rate(1 day), method: scheduler}", "s3: bucket",
        more="    durableConfig: {executionTimeout: 900}\n", head=DURABLE,
    ),
    "newest_runtimes": HEAD + "functions: {one: {handler: app.one, runtime: python3.14}, two: {handler: app.one, runtime: nodejs24.x}}\n",
}  # fmt: skip
"""What only the Serverless Framework's successor has."""

REFUSED_EVENTS: dict[str, tuple[str, str]] = {
    "schedule_named_twice": ("SCHEDULE_NAME_NOT_ALLOWED_MULTIPLE_RATES", events("schedule: {rate: [rate(1 day), rate(2 days)], name: x}")),
    "schedule_with_timezone": ("SCHEDULE_PARAMETER_NOT_SUPPORTED", events("schedule: {rate: rate(1 day), timezone: Europe/Berlin}")),
    "scheduler_with_path": ("SCHEDULE_PARAMETER_NOT_SUPPORTED", events("schedule: {rate: rate(1 day), method: scheduler, inputPath: $.x}")),
    "scheduler_with_transformer": ("SCHEDULE_PARAMETER_NOT_SUPPORTED", events("schedule: {rate: rate(1 day), method: scheduler, inputTransformer: {inputTemplate: x}}")),
    "event_bridge_with_two_inputs": ("EVENTBRIDGE_MULTIPLE_INPUT_PROPERTIES", events("eventBridge: {schedule: rate(1 day), input: {a: b}, inputPath: $.x}")),
    "event_bridge_by_a_program_with_retries": ("ERROR_INVALID_RETRY_POLICY_TO_EVENT_BUS_CUSTOM_RESOURCE", events("eventBridge: {schedule: rate(1 day), retryPolicy: {maximumEventAge: 60}}", head=provider(BY_PROGRAM, ""))),
    "event_bridge_by_a_program_with_dead_letters": ("ERROR_INVALID_DEAD_LETTER_CONFIG_TO_EVENT_BUS_CUSTOM_RESOURCE", events(f"eventBridge: {{schedule: rate(1 day), deadLetterQueueArn: '{SQS}'}}", head=provider(BY_PROGRAM, ""))),
    "event_bridge_by_a_program_on_a_resolved_bus": ("ERROR_INVALID_REFERENCE_TO_EVENT_BUS_CUSTOM_RESOURCE", events("eventBridge: {schedule: rate(1 day), eventBus: !Ref Bus}", head=provider(BY_PROGRAM, ""))),
    "event_bridge_by_a_program_with_two_inputs": ("EVENTBRIDGE_MULTIPLE_INPUT_PROPERTIES", events("eventBridge: {schedule: rate(1 day), input: {a: b}, inputPath: $.x}", head=provider(BY_PROGRAM, ""))),
    "cloudwatch_event_with_two_inputs": ("CLOUDWATCH_MULTIPLE_INPUT_PROPERTIES", events("cloudwatchEvent: {event: {}, input: {a: b}, inputPath: $.x}")),
    "sns_without_name": ("SNS_MISSING_TOPIC_NAME", events("sns: {arn: !Ref Topic}")),
    "msk_without_moment": ("FUNCTION_MSK_STARTING_POSITION_TIMESTAMP_INVALID", events(f"msk: {{arn: '{MSK}', topic: c, startingPosition: AT_TIMESTAMP}}")),
    "kafka_without_moment": (
        "FUNCTION_KAFKA_STARTING_POSITION_TIMESTAMP_INVALID",
        events(f"kafka: {{bootstrapServers: ['a:9092'], topic: t, startingPosition: AT_TIMESTAMP, accessConfigurations: {{saslPlainAuth: ['{SECRET}']}}}}"),
    ),
    "kafka_with_half_a_vpc": (
        "FUNCTION_KAFKA_VPC_ACCESS_CONFIGURATION_INVALID",
        events("kafka: {bootstrapServers: ['a:9092'], topic: t, accessConfigurations: {vpcSubnet: [subnet-1]}}"),
    ),
    "http_api_path_with_method": ("INVALID_HTTP_API_PATH", events("httpApi: {method: GET, path: '*'}")),
    "http_api_without_method": ("MISSING_HTTP_API_METHOD", events("httpApi: {path: /a}")),
    "http_api_of_odd_method": ("INVALID_HTTP_API_METHOD", events("httpApi: {method: FOO, path: /a}")),
    "http_api_route_twice": ("DUPLICATE_HTTP_API_ROUTE", events("httpApi: GET /a", "httpApi: get /a")),
    "http_api_unknown_authorizer": ("UNRECOGNIZED_HTTP_API_AUTHORIZER", events("httpApi: {method: GET, path: /a, authorizer: x}")),
    "http_api_foreign_authorizer": ("EXTERNAL_HTTP_API_AUTHORIZER_WITHOUT_EXTERNAL_HTTP_API", events("httpApi: {method: GET, path: /a, authorizer: {id: x}}")),
    "http_api_nameless_authorizer": ("HTTP_API_AUTHORIZER_MISSING_ID_OR_NAME", events("httpApi: {method: GET, path: /a, authorizer: {type: jwt}}")),
    "http_api_iam_and_more": ("HTTP_API_AUTHORIZER_AWS_IAM_UNEXPECTED_PROPERTIES", events("httpApi: {method: GET, path: /a, authorizer: {type: aws_iam, scopes: [x]}}")),
    "http_api_foreign_cors": ("EXTERNAL_HTTP_API_CORS_CONFIG", events("httpApi: GET /a", head=provider("httpApi: {id: x, cors: true}", ""))),
    "http_api_foreign_authorizers": (
        "EXTERNAL_HTTP_API_AUTHORIZERS_CONFIG",
        events("httpApi: GET /a", head=provider("httpApi: {id: x, authorizers: {a: {identitySource: x, issuerUrl: y, audience: z}}}", "")),
    ),
    "http_api_foreign_logs": ("EXTERNAL_HTTP_API_LOGS_CONFIG", events("httpApi: GET /a", head=provider("logs: {httpApi: true}\nhttpApi: {id: x}", ""))),
    **{
        f"http_api_authorizer_{number}": (
            f"HTTP_API_CUSTOM_AUTHORIZER_{code}",
            events("httpApi: GET /a", head=provider(f"httpApi: {{authorizers: {{a: {{type: request, {said}}}}}}}", "")),
        )
        for number, (code, said) in enumerate({
            "NEITHER_FUNCTION_ARN_NOR_FUNCTION_NAME_DEFINED": "name: x",
            "BOTH_FUNCTION_ARN_AND_FUNCTION_NAME_DEFINED": "functionName: one, functionArn: 'arn:x'",
            "FUNCTION_NOT_FOUND_IN_SERVICE": "functionName: none",
            "IDENTITY_SOURCE_MISSING_WHEN_CACHING_ENABLED": "functionName: one, resultTtlInSeconds: 3",
        }.items())
    },
    "http_without_root": ("API_GATEWAY_MISSING_REST_API_ROOT_RESOURCE_ID", events("http: GET /a", head=provider("apiGateway: {restApiId: x}", ""))),
    "http_of_others_traced": (
        "API_GATEWAY_EXTERNAL_API_TRACING", events("http: GET /a", head=provider("tracing: {apiGateway: true}\napiGateway: {restApiId: x, restApiRootResourceId: y}", ""))),
    "http_of_others_logged": (
        "API_GATEWAY_EXTERNAL_API_LOGS", events("http: GET /a", head=provider("logs: {restApi: true}\napiGateway: {restApiId: x, restApiRootResourceId: y}", ""))),
    "http_private_ids": ("API_GATEWAY_INVALID_VPC_ENDPOINT_IDS_CONFIG", events("http: GET /a", head=provider("endpointType: REGIONAL\nvpcEndpointIds: [x]", ""))),
    "http_without_address": ("API_GATEWAY_MISSING_REQUEST_URI", events("http: {method: get, path: a, integration: http}")),
    "http_without_link": ("API_GATEWAY_MISSING_CONNECTION_ID", events("http: {method: get, path: a, integration: http, connectionType: vpc-link, request: {uri: x}}")),
    "http_nameless_authorizer": ("API_GATEWAY_MISSING_AUTHORIZER_NAME_OR_ARN", events("http: {method: get, path: a, authorizer: {resultTtlInSeconds: 3}}")),
    "http_nameless_pool": ("API_GATEWAY_MISSING_AUTHORIZER_NAME", events("http: {method: get, path: a, authorizer: {type: cognito_user_pools, arn: !Ref X}}")),
    "http_claims_of_a_proxy": (
        "API_GATEWAY_INVALID_COGNITO_CLAIMS", events("http: {method: get, path: a, authorizer: {name: x, arn: 'arn:aws:cognito-idp:us-east-1:123456789012:userpool/p', claims: [a]}}")),
    "http_keys_without_plan": (
        "API_GATEWAY_KEY_WITHOUT_USAGE_PLAN", events("http: GET /a", head=provider("apiGateway: {apiKeys: [{free: [a]}], usagePlan: [{paid: {}}]}", ""))),
    "alb_priority_twice": (
        "ALB_PRIORITY_ALREADY_IN_USE",
        events(f"alb: {{listenerArn: '{LISTENER}', priority: 1, conditions: {{path: /a}}}}", more=TWO + f"      - alb: {{listenerArn: '{LISTENER}', priority: 1, conditions: {{path: /b}}}}\n"),
    ),
    "alb_without_conditions": ("ALB_NO_CONDITIONS", events(f"alb: {{listenerArn: '{LISTENER}', priority: 1, conditions: {{}}}}")),
    "alb_unknown_authorizer": ("ALB_MISSING_AUTHORIZER", events(f"alb: {{listenerArn: '{LISTENER}', priority: 1, conditions: {{path: /a}}, authorizer: x}}")),
    "alb_named_twice": (
        "ALB_TARGET_GROUP_NAME_EXCLUSIVE",
        events(f"alb: {{listenerArn: '{LISTENER}', priority: 1, conditions: {{path: /a}}, targetGroupName: x}}", head=provider("alb: {targetGroupPrefix: y}", "")),
    ),
    "websocket_nameless_authorizer": ("WEBSOCKETS_MISSING_AUTHORIZER_NAME", events("websocket: {route: a, authorizer: {arn: !ImportValue x}}")),
    "fleet_twice": (
        "MULTIPLE_IOT_PROVISIONING_TEMPLATE_HOOK",
        events(*["iotFleetProvisioning: {templateBody: {}, provisioningRoleArn: 'arn:aws:iam::123456789012:role/r'}"] * 2),
    ),
    "log_group_thrice": ("CLOUDWATCHLOG_LOG_GROUP_EVENT_PER_FUNCTION_LIMIT_EXCEEDED", events(*["cloudwatchLog: /a"] * 3)),
    "s3_unknown_bucket": ("S3_INVALID_NEW_BUCKET_FORMAT", events("s3: {bucket: !Ref B}")),
    "s3_bad_name": ("S3_INVALID_BUCKET_PATTERN", events("s3: Not_A_Bucket")),
    "s3_two_existing": ("S3_MULTIPLE_BUCKETS_PER_FUNCTION", events("s3: {bucket: a-b, existing: true}", "s3: {bucket: c-d, existing: true}")),
    "cognito_two_existing": (
        "COGNITO_MULTIPLE_USER_POOLS_PER_FUNCTION", events(*[f"cognitoUserPool: {{pool: {n}, trigger: PreSignUp, existing: true}}" for n in "ab"])),
    "cognito_without_key": ("COGNITO_KMS_KEY_NOT_SET", events("cognitoUserPool: {pool: p, trigger: CustomSMSSender}")),
    "cognito_with_two_keys": (
        "COGNITO_KMS_KEY_ID_NOT_SAME_FOR_SINGLE_USER_POOL",
        events(*[f"cognitoUserPool: {{pool: p, trigger: Custom{kind}Sender, kmsKeyId: 'arn:aws:kms:us-east-1:123456789012:key/{kind}'}}" for kind in ("SMS", "Email")]),
    ),
    "stream_without_moment": (
        "FUNCTION_STREAM_STARTING_POSITION_TIMESTAMP_INVALID",
        events(f"stream: {{arn: '{KINESIS}', consumer: true, startingPosition: AT_TIMESTAMP}}"),
    ),
    "cloudfront_memory": ("LAMBDA_EDGE_UNSUPPORTED_MEMORY_SIZE", events("cloudFront: {eventType: viewer-request, origin: 'https://a.b'}", more="    memorySize: 129\n")),
    "cloudfront_timeout": ("LAMBDA_EDGE_UNSUPPORTED_TIMEOUT_VALUE", events("cloudFront: {eventType: origin-request, origin: 'https://a.b'}", more="    timeout: 31\n")),
    "cloudfront_two_origins_of_a_pattern": (
        "CLOUDFRONT_MULTIPLE_BEHAVIORS_FOR_SINGLE_PATH_PATTERN", events(*[f"cloudFront: {{eventType: viewer-request, origin: 'https://{n}.b'}}" for n in "ab"])),
    "cloudfront_two_defaults": (
        "CLOUDFRONT_MULTIPLE_DEFAULT_ORIGIN_EVENTS",
        events(*[f"cloudFront: {{eventType: viewer-request, origin: 'https://{n}.b', isDefaultOrigin: true, pathPattern: /{n}}}" for n in "ab"])),
    "cloudfront_no_default": (
        "CLOUDFRONT_MULTIPLE_DEFAULT_ORIGIN_EVENTS", events(*[f"cloudFront: {{eventType: viewer-request, origin: 'https://{n}.b', pathPattern: /{n}}}" for n in "ab"])),
    "cloudfront_type_twice": (
        "CLOUDFRONT_EVENT_TYPE_NON_UNIQUE_CACHE_BEHAVIOR",
        events("cloudFront: {eventType: viewer-request, origin: 'https://a.b'}", more=TWO + "      - cloudFront: {eventType: viewer-request, origin: 'https://a.b'}\n")),
    "cloudfront_no_policy": (
        "UNRECOGNIZED_CLOUDFRONT_CACHE_POLICY", events("cloudFront: {eventType: viewer-request, origin: 'https://a.b', cachePolicy: {name: x}}")),
}  # fmt: skip

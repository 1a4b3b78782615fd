"""The log group of each function."""

from __future__ import annotations

from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.fragment import Fragment, without_nothing
from lambdabuild.core import naming


def compile(context: Context, function: Lambda) -> Fragment:
    if function.config.get("disableLogs"):
        return Fragment()
    provider, config = context.provider, function.config
    properties = {
        "LogGroupName": naming.log_group_name(function.name),
        "RetentionInDays": config.get("logRetentionInDays") or provider.get("logRetentionInDays"),
        "DataProtectionPolicy": config.get("logDataProtectionPolicy") or provider.get("logDataProtectionPolicy"),
    }
    group = {"Type": "AWS::Logs::LogGroup", "Properties": without_nothing(properties)}
    return Fragment({naming.log_group(function.key): group}, where=function.where)

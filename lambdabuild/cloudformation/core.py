"""The stack's own bucket for artifacts, when the service names none."""

from __future__ import annotations

from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.fragment import Fragment, Json
from lambdabuild.core import naming

DESCRIPTION = "The AWS CloudFormation template for this Serverless application"


def compile(context: Context) -> Fragment:
    """Return the bucket, its TLS-only policy and the output that names it."""
    if context.bucket:
        return Fragment(outputs={naming.BUCKET_OUTPUT: {"Value": context.bucket}})
    given = context.provider.get("deploymentBucket")
    options = given if isinstance(given, dict) else {}
    resources = {naming.BUCKET: _bucket(options)}
    if not options.get("skipPolicySetup"):
        resources[naming.BUCKET_POLICY] = _policy()
    return Fragment(resources, {naming.BUCKET_OUTPUT: {"Value": {"Ref": naming.BUCKET}}})


def _bucket(options: Json) -> Json:
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    properties: Json = {"BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]}}
    if options.get("tags"):
        properties["Tags"] = [{"Key": key, "Value": value} for key, value in options["tags"].items()]
    if options.get("blockPublicAccess"):
        properties["PublicAccessBlockConfiguration"] = dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        )
    if options.get("versioning"):
        properties["VersioningConfiguration"] = {"Status": "Enabled"}
    return {"Type": "AWS::S3::Bucket", "Properties": properties}


def _policy() -> Json:
    arn = ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Ref": naming.BUCKET}]
    statement = {
        "Action": "s3:*",
        "Effect": "Deny",
        "Principal": "*",
        "Resource": [{"Fn::Join": ["", [*arn, "/*"]]}, {"Fn::Join": ["", arn]}],
        "Condition": {"Bool": {"aws:SecureTransport": False}},
    }
    policy = {"Bucket": {"Ref": naming.BUCKET}, "PolicyDocument": {"Statement": [statement]}}
    return {"Type": "AWS::S3::BucketPolicy", "Properties": policy}

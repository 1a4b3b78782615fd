"""Look up what variables need from AWS: stack outputs, parameters, objects, the account, and deployed templates."""

from __future__ import annotations

from typing import Any

from lambdabuild.aws import session
from lambdabuild.core.errors import SourceFailed

MISSING = {"ParameterNotFound", "NoSuchKey", "NoSuchBucket", "ValidationError", "404"}
"""Error codes that say there is no such thing. CloudFormation says ValidationError of a stack it does not have."""


class Lookups:
    """Asks with the credentials of ``profile``, else of the environment."""

    def __init__(self, *, profile: str = "", endpoint_url: str = "") -> None:
        self.profile, self.endpoint_url = profile, endpoint_url

    def ask(self, service: str, region: str, name: str) -> Any:
        """Return the answer as plain data, None when there is no such thing. Raises SourceFailed (LB205)."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return ASK[service](self, region, name)
        except ClientError as error:
            refusal = error.response.get("Error", {})
            if refusal.get("Code") in MISSING and (
                refusal["Code"] != "ValidationError" or "not exist" in refusal["Message"]
            ):
                return None
            raise SourceFailed(
                f"AWS refused: {refusal.get('Message', error)}", help="check the credentials' rights and the region"
            ) from error
        except BotoCoreError as error:
            raise SourceFailed(
                f"AWS could not be asked: {error}", help="check the network, the credentials and endpoint_url"
            ) from error

    def client(self, service: str, region: str) -> Any:
        return session.client(service, region=region, profile=self.profile, endpoint_url=self.endpoint_url)

    def _stack(self, region: str, name: str) -> dict[str, str]:
        stacks = self.client("cloudformation", region).describe_stacks(StackName=name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", ())}

    def _parameter(self, region: str, name: str, decrypted: bool) -> dict[str, str]:
        parameter = self.client("ssm", region).get_parameter(Name=name, WithDecryption=decrypted)["Parameter"]
        return {"Type": parameter["Type"], "Value": parameter["Value"]}

    def _object(self, region: str, name: str) -> str:
        bucket, _, key = name.partition("/")
        body = self.client("s3", region).get_object(Bucket=bucket, Key=key)["Body"].read()
        return str(body.decode("utf-8", "replace"))

    def _account(self, region: str) -> str:
        return str(self.client("sts", region).get_caller_identity()["Account"])


ASK = {
    "cf": lambda lookups, region, name: lookups._stack(region, name),
    "ssm": lambda lookups, region, name: lookups._parameter(region, name, True),
    "ssm-encrypted": lambda lookups, region, name: lookups._parameter(region, name, False),
    "s3": lambda lookups, region, name: lookups._object(region, name),
    "account": lambda lookups, region, name: lookups._account(region),
}

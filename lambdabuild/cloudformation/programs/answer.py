# The way in of a custom resource: change what is asked for, and tell CloudFormation how it went.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
import json
import urllib.request


def handler(event, context):
    status, reason = "SUCCESS", ""
    try:
        change(event, context)  # noqa: F821  # the file that stands before this one has it
    except Exception as error:
        print(repr(error))  # noqa: T201  # into the helper's log
        status, reason = "FAILED", f"{type(error).__name__}: {error}"[:1000]
    answer = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": event.get("PhysicalResourceId") or physical_id(event),  # noqa: F821
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {},
    }
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""})
    urllib.request.urlopen(request, timeout=30).close()

"""Lambda's limits. Sizes are bytes.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

UNZIPPED_BYTES = 262_144_000
"""250 MB for a function together with all its layers."""


DIRECT_UPLOAD_BYTES = 52_428_800
"""50 MB for a zip that is sent to Lambda itself; one that comes from S3 may be larger."""


LAYERS = 5

"""Names of units that no function, layer or image can have: no logical id has a blank."""

TEMPLATE = "the template"
"""The unit of the template and all that is written with it."""
SHARED = "the shared layers"
"""The unit of all steps ``share:...``, which make automatic layers."""

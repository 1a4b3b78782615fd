"""``ParentPackageMode`` of a Python function's BuildProperties: below which packages its code goes.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build-python.html
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

MODE, PACKAGES = "ParentPackageMode", "ParentPackages"
OPTION = "parent_python_packages"
MODES = ("explicit", "auto")


def applied(options: Mapping[str, Any], handler: str, source: str) -> dict[str, Any]:
    """Return the options with what the mode means, as the Python rules know it: ``app.orders``."""
    mode = options.get(MODE)
    rest = {name: value for name, value in options.items() if name not in (MODE, PACKAGES)}
    packages = options.get(PACKAGES) if mode == "explicit" else inferred(handler, source) if mode == "auto" else ""
    return {**rest, OPTION: packages} if packages else rest


def inferred(handler: str, source: str) -> str:
    """Return the packages a handler names before its module, as far as the code's path ends in them.

    ``app.orders.main.handler`` in ``app/orders`` is below ``app.orders``, in ``app`` below ``app``. A path that does
    not name the first package is the folder of all of them.
    """
    wanted, path = handler.split(".")[:-2], posixpath.normpath(source).split("/")
    if not wanted or wanted[0] not in path:
        return ".".join(wanted)
    first = path.index(wanted[0])
    return ".".join(path[first : first + len(wanted)])

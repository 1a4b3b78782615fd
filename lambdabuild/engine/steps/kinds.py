"""The table of all kinds of steps. A new kind is a module with its functions and its ``KIND``, and a row here."""

from __future__ import annotations

from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.steps import (
    compile,
    copy,
    hash,
    image,
    package,
    publish,
    resolve,
    share,
    template,
    tree,
    upload,
    zip,
)

KINDS: dict[str, StepKind] = {
    "resolve": resolve.KIND,
    "package": package.KIND,
    "compile": compile.KIND,
    "copy": copy.KIND,
    "zip": zip.KIND,
    "hash": hash.KIND,
    "image": image.KIND,
    "upload": upload.KIND,
    "tree": tree.KIND,
    "publish": publish.KIND,
    "share": share.KIND,
    "template": template.KIND,
}

"""A project's description -> its Service; and the template of a serverless.yml, with nothing built."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import BadTemplate, CannotReadTemplate, CannotWrite, LambdaBuildError, raise_all
from lambdabuild.core.model import Read, Service, Skipped
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Span
from lambdabuild.frontends import kinds
from lambdabuild.project_files import ProjectFiles, can_be_path
from lambdabuild.project_settings import read_settings


def check_paths(service: Service) -> None:
    """Raise BadTemplate (LB104) for code, layers and files at places that no file system can have."""
    places = [(one.name, one.source, one.where) for one in service.functions]
    places += [(layer.name, layer.source, layer.where) for layer in service.layers]
    places += [(asset.name, asset.source, asset.where) for asset in service.assets]
    raise_all(
        BadTemplate(f"{name} is at {path!a}, which cannot be the name of a file", where=where, help="correct the path")
        for name, path, where in places
        if not can_be_path(path)
    )


def load_service(
    folder: str,
    settings: Settings,
    region: str = "",
    environment: Mapping[str, str] | None = None,
    files: ProjectFiles | None = None,
    keeps_broken: bool = False,
) -> Service:
    """Load the project's description: text -> Service.

    ``region`` is the value of AWS::Region; ``files`` replaces the folder's disk. With ``keeps_broken`` mistakes in
    single functions and layers are recorded in the service instead of being raised.
    """
    files = files or ProjectFiles(folder)
    # What the CDK wrote may be left over, so it describes only a project that nothing else does.
    looked_for = (*kinds.DESCRIPTIONS, *(() if settings.needs_no_template else (kinds.ASSEMBLY,)))
    path = settings.template or next((name for name in looked_for if files.kind(name)), "")
    passed_over = () if settings.template else looked_for[: looked_for.index(path)] if path else looked_for
    path = "" if path == kinds.NONE else path
    if not path and not settings.needs_no_template:
        raise CannotReadTemplate(
            f"no template in {folder}: looked for {', '.join(looked_for)}",
            help="run in the project's folder, or set template in lambdabuild.toml;"
            " a table [functions.NAME] with path and runtime there needs none, nor do [layers.NAME] and [sources.NAME]",
        )
    if not path:
        service = Service((), (), ())
    else:
        known = os.environ if environment is None else environment
        opening = Opening(files, path, settings, region, known, keeps_broken)
        service = FRONTENDS[kinds.kind_of(files, path)](opening)
    if settings.functions:
        from lambdabuild.frontends import settings_only

        service = replace(service, functions=(*service.functions, *settings_only.functions_of(settings, service)))
    check_paths(service)
    if settings.layers:
        from lambdabuild.plan.layers.tables import layers_of

        service = replace(service, layers=(*service.layers, *layers_of(settings, service)))
    read = replace(service.read, files=(*passed_over, *settings.read_files, *service.read.files))
    return replace(service, read=read, notes=(*settings.notes, *service.notes))


OF_FRAMEWORK = "its image is built by the Serverless Framework"


class Opening(Struct, frozen=True):
    """What a front end is given: a description, and what its values depend on."""

    files: ProjectFiles
    path: str
    settings: Settings
    region: str
    environment: Mapping[str, str]
    keeps_broken: bool


def _load_sam(opening: Opening) -> Service:
    from lambdabuild.frontends.sam import reader

    files, settings = opening.files, opening.settings
    service = reader.load(
        opening.path, files, parameters=settings.parameters, stage=settings.stage, root=settings.code_root,
        region=opening.region, keeps_broken=opening.keeps_broken,
    )  # fmt: skip
    return replace(service, read=Read(tuple(files.seen)))


def _load_cdk(opening: Opening) -> Service:
    from lambdabuild.frontends import cdk

    files, path = opening.files, os.path.normpath(opening.path)
    folder = os.path.dirname(path) or "." if os.path.basename(path) == kinds.ASSEMBLY_MANIFEST else path
    service = cdk.load(folder, files, region=opening.region, keeps_broken=opening.keeps_broken)
    return replace(service, read=Read(tuple(files.seen)))


def _load_terraform(opening: Opening) -> Service:
    from lambdabuild.frontends import terraform

    files, path = opening.files, opening.path
    service = terraform.load(path, files.text(path), lambda code: files.kind(code))
    return replace(service, read=Read(tuple(files.seen)))


def _load_serverless(opening: Opening) -> Service:
    from lambdabuild.frontends.serverless import reader
    from lambdabuild.frontends.serverless.environment import Outside

    files, path, settings = opening.files, opening.path, opening.settings

    def aws() -> Any:
        from lambdabuild.aws.lookups import Lookups

        return Lookups(profile=settings.profile, endpoint_url=settings.endpoint_url)

    named = {"stage": settings.stage, "region": settings.region}
    options = {**settings.serverless_options, **{name: value for name, value in named.items() if value}}
    outside = Outside(files, opening.environment, options, aws, settings.offline)
    run_options = reader.RunOptions(
        settings.stage,
        settings.region,
        settings.serverless_options,
        settings.parameters,
        settings.build_dir,
        settings.plugins_ignored,
        settings.artifacts_only,
    )
    try:
        service = reader.load(path, files.text(path), files, outside, run_options)
    except LambdaBuildError as error:
        raise error.without(outside.secrets) from error
    notes = (*_told_of_build_dir(settings), *service.notes)
    if settings.artifacts_only:
        service = _for_framework(service)
    return replace(service, notes=notes, read=outside.read(files.seen))


def _for_framework(service: Service) -> Service:
    """Return a service without what the Serverless Framework does itself: its template, its images."""
    images = tuple(Skipped(image.name, OF_FRAMEWORK, image.where) for image in service.images)
    skipped = (*service.skipped, *images)
    return replace(service, definition=None, is_for_framework=True, images=(), assets=(), skipped=skipped)


def _told_of_build_dir(settings: Settings) -> list[str]:
    from lambdabuild.engine.base import snapshot

    if settings.build_dir != snapshot.APART:
        return []
    return [
        f"{snapshot.BUILD_DIR}/ holds files that lambdabuild did not make, so its output goes to {snapshot.APART}/;"
        " set build_dir to use another folder"
    ]


FRONTENDS: Mapping[str, Callable[[Opening], Service]] = {
    kinds.SAM: _load_sam,
    kinds.SERVERLESS: _load_serverless,
    kinds.TERRAFORM: _load_terraform,
    kinds.CDK: _load_cdk,
}
"""A kind of description -> its front end."""


def compile_text(
    folder: str, variables: Mapping[str, str], tell: Callable[[str], object]
) -> tuple[str, LambdaBuildError | None]:
    """Return the template of a serverless.yml without building, and what CloudFormation would refuse in it.

    Artifacts are those of the last build, or empty. ``tell`` gets what the file's author should know.
    """
    settings = read_settings(folder, os.environ, variables)
    service = load_service(folder, settings, environment=os.environ)
    if service.definition is None:
        raise CannotReadTemplate(
            "compile is for a serverless.yml; a SAM or CloudFormation template passes through as it is written",
            help="run lambdabuild build, and look at build/packaged-template.yaml",
        )
    from lambdabuild.engine.steps.delivery import serverless_outputs

    for line in (*(f"warning: {one}" for one in service.warnings), *(f"note: {one}" for one in service.notes)):
        tell(line)
    return serverless_outputs.alone(service.definition, folder, os.path.join(folder, settings.build_dir))


def schema_text(words: Sequence[str] = ()) -> str | None:
    """Return the JSON Schema of what is named (``SCHEMAS``), else of a serverless.yml; None if there is none."""
    make = SCHEMAS.get(" ".join(words))
    return make() if make is not None else None


def _schema_of_service() -> str:
    from lambdabuild.frontends.serverless import reader

    return reader.schema_text()


def _schema_of_settings() -> str:
    from lambdabuild.config import schema

    return schema.schema_text()


def _schema_of_manifest() -> str:
    from lambdabuild.engine.steps.delivery import manifest_schema

    return manifest_schema.schema_text()


SCHEMAS: Mapping[str, Callable[[], str]] = {
    "": _schema_of_service,
    "settings": _schema_of_settings,
    "manifest": _schema_of_manifest,
}
"""What ``lambdabuild schema`` prints a schema of."""


def write_file(path: str, text: str, store: str) -> None:
    """Write a file whole or not at all, over one of ours alone, in a folder that is made when it is not there.

    Raises InTheWay (LB507), CannotWrite (LB504).

    ``store`` is the machine's folder, which knows what is ours.
    """
    from lambdabuild.artifacts.caller_folders import named_file

    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with named_file(path, store) as file, open(file, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
    except OSError as error:
        raise CannotWrite(
            f"cannot write {path}: {error.strerror}", where=Span(path), help="name a file in a folder that exists"
        ) from error

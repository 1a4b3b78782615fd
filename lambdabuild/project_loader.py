"""A project's folder -> its settings and its Service; and the template of a serverless.yml, with nothing built."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lambdabuild.config import samconfig
from lambdabuild.config.loader import load as load_settings
from lambdabuild.config.loader import sam_config
from lambdabuild.config.samconfig import SamConfig
from lambdabuild.config.settings import Settings
from lambdabuild.core import regular
from lambdabuild.core.errors import (
    BadSettings,
    BadTemplate,
    CannotReadTemplate,
    CannotWrite,
    LambdaBuildError,
    raise_all,
)
from lambdabuild.core.model import Read, Service
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span

if TYPE_CHECKING:
    from lambdabuild.plan.workspaces import Disk

SETTINGS_FILE = "lambdabuild.toml"
TEMPLATES = ("template.yaml", "template.yml", "template.json")
PROGRAMS = (".js", ".cjs", ".mjs", ".ts")
SECTION = re.compile(r"""(?m)^["']?(service|Resources|AWSTemplateFormatVersion)["']?[ \t]*:""")
SERVERLESS = tuple(f"serverless.{extension}" for extension in ("yml", "yaml", "json", "js", "cjs", "mjs", "ts"))


class ProjectFiles:
    """The project's disk as loading sees it: paths relative to the project's folder, or absolute."""

    runs_programs = True
    """A serverless.ts can be executed; what git has of the past is text only."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.seen: dict[str, None] = {}
        """Every path that was read or looked for."""
        self.listed: dict[str, None] = {}
        """Every folder whose names were asked for."""

    def read(self, path: str) -> str:
        """Return a file's text with its line ends, without a byte order mark at its beginning."""
        self.seen[path] = None
        if not can_be_path(path):
            raise OSError(errno.EINVAL, "cannot be the name of a file", ascii(path))
        with open(os.path.join(self.project, path), encoding="utf-8-sig", newline="", opener=regular.opener) as stream:
            return stream.read()

    def names(self, folder: str) -> frozenset[str]:
        """Return the names in a folder. Raises OSError."""
        self.listed[folder] = None
        return frozenset(os.listdir(os.path.join(self.project, folder or ".")))

    def text(self, path: str) -> str:
        """Return a file's text. Raises CannotReadTemplate (LB101)."""
        try:
            return self.read(path)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise CannotReadTemplate(
                f"cannot read {path}: {why}", where=Span(path), help="make it a readable text file"
            ) from error

    def kind(self, path: str) -> Literal["file", "folder", ""]:
        self.seen[path] = None
        real = os.path.join(self.project, path)
        return "folder" if os.path.isdir(real) else "file" if os.path.exists(real) else ""

    def real(self, path: str) -> str:
        """Return where a link leads to; return any other path, and a folder on the way, as it was given."""
        full = os.path.join(self.project, path)
        if not os.path.islink(full):
            return path
        return os.path.relpath(os.path.realpath(full), os.path.realpath(self.project)).replace(os.sep, "/")


def names_in(files: ProjectFiles, folders: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the names in each folder that can be read; the planner reports the others, and knows who needs them."""
    names = {}
    for folder in folders:
        try:
            names[folder] = files.names(folder)
        except OSError:
            continue
    return names


def disk_around(folder: str) -> Disk:
    """Return what planning looks at for one manifest in a folder, whose own path is ``.``."""
    from lambdabuild.engine.base.project import root_above
    from lambdabuild.plan.workspaces import Disk, above

    files, top = ProjectFiles(folder), root_above(folder, Settings())
    return Disk(names_in(files, (".", *above(".", top))), files.read, top)


def can_be_path(text: str) -> bool:
    """Return whether a file can have this name: it must contain no NUL and no half of a character."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


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


def read_settings(
    folder: str, environment: Mapping[str, str], variables: Mapping[str, str], files: ProjectFiles | None = None
) -> Settings:
    """Return a project's settings.

    They come from lambdabuild.toml, otherwise from [tool.lambdabuild] of pyproject.toml, then from the environment and
    the command line.
    """
    files = files or ProjectFiles(folder)
    text, pyproject = _text(files, SETTINGS_FILE), _text(files, "pyproject.toml")
    in_pyproject = pyproject is not None and re.search(r"(?m)^\s*\[tool\.lambdabuild\b", pyproject)
    if text is not None and in_pyproject:
        raise BadSettings(
            f"there are settings in both {SETTINGS_FILE} and pyproject.toml",
            where=(Span(SETTINGS_FILE), Span("pyproject.toml")),
            help="keep one of them",
        )
    file, content, table = (
        ("pyproject.toml", pyproject, ("tool", "lambdabuild")) if in_pyproject else (SETTINGS_FILE, text, ())
    )
    settings = load_settings(file, content or "", environment, variables, table=table)
    sam, looked_for = _sam_config(files, settings)
    if sam is not None:
        settings = load_settings(file, content or "", environment, variables, table=table, sam=sam)
    settings = replace(settings, read_files=looked_for)
    names_one = (
        "build_dir" in variables or "LAMBDABUILD_BUILD_DIR" in environment or "build_dir" in f"{text}{pyproject}"
    )
    return settings if names_one else replace(settings, build_dir=_build_dir(folder, settings, files))


def _sam_config(files: ProjectFiles, settings: Settings) -> tuple[SamConfig | None, tuple[str, ...]]:
    """Return what the samconfig.toml of a SAM template sets, None if there is none; and every file looked for."""
    if settings.config_file == samconfig.NONE:
        return None, ()
    folder = os.path.dirname(settings.template)
    usual = tuple(os.path.join(folder, name) for name in samconfig.NAMES)
    path = settings.config_file or next((name for name in usual if files.kind(name) == "file"), "")
    if not path:
        return None, usual
    looked_for = [path] if settings.config_file else list(usual)

    def read(name: str) -> str:
        looked_for.append(name)
        return files.read(name)

    try:
        sam = sam_config(path, settings.config_env, read)
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"cannot read {path}: {error}", where=Span(path), help="make it a readable file") from error
    templates = [str(value) for setting, value, _ in sam.settings if setting == ["template"]]
    usually = next((name for name in (*TEMPLATES, *SERVERLESS) if files.kind(name)), "")
    template = settings.template or (templates or [usually])[-1]
    is_of_sam = bool(template) and not is_serverless(files, template)
    return sam if is_of_sam else None, tuple(dict.fromkeys(looked_for))


def _build_dir(folder: str, settings: Settings, files: ProjectFiles) -> str:
    """Return the build folder of a project that names none.

    A serverless.yml packs its whole folder, so existing files of others in build/ are its code as well. Only if there
    are any is the template read to find out what it is.
    """
    from lambdabuild.engine.base import snapshot

    usual = os.path.join(folder, snapshot.BUILD_DIR)
    if not snapshot.is_built_apart(folder):
        if os.path.lexists(os.path.join(usual, snapshot.STATE)) or not _has_files(usual):
            return snapshot.BUILD_DIR
        templates = (settings.template,) if settings.template else (*TEMPLATES, *SERVERLESS)
        path = next((template for template in templates if files.kind(template)), "")
        if not path or not is_serverless(files, path):
            return snapshot.BUILD_DIR
    return snapshot.APART


def _has_files(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _text(files: ProjectFiles, name: str) -> str | None:
    try:
        return files.read(name)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(
            f"cannot read {name}: {error}", where=Span(name), help="make it a readable text file"
        ) from error


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
    looked_for, files = (*TEMPLATES, *SERVERLESS), files or ProjectFiles(folder)
    path = settings.template or next((t for t in looked_for if files.kind(t)), "")
    passed_over = () if settings.template else looked_for[: looked_for.index(path)] if path else ()
    if not path and not settings.needs_no_template:
        raise CannotReadTemplate(
            f"no template in {folder}: looked for {', '.join(looked_for)}",
            help="run in the project's folder, or set template in lambdabuild.toml;"
            " a table [functions.NAME] with path and runtime there needs none, nor do [layers.NAME] and [sources.NAME]",
        )
    if not path:
        service, passed_over = Service((), (), ()), looked_for
    elif is_serverless(files, path):
        service = _load_serverless(files, path, settings, os.environ if environment is None else environment)
    else:
        service = _load_sam(files, path, settings, region, keeps_broken)
    if settings.functions:
        from lambdabuild.frontends import settings_only

        service = replace(service, functions=(*service.functions, *settings_only.functions_of(settings, service)))
    check_paths(service)
    if settings.layers:
        from lambdabuild.plan.layers.tables import layers_of

        service = replace(service, layers=(*service.layers, *layers_of(settings, service)))
    read = replace(service.read, files=(*passed_over, *settings.read_files, *service.read.files))
    return replace(service, read=read, notes=(*settings.notes, *service.notes))


def is_serverless(files: ProjectFiles, path: str) -> bool:
    """Return whether a file is a serverless.yml: its sections decide, and its name where they do not."""
    base, extension = os.path.splitext(os.path.basename(path))
    by_name = base == "serverless" or base.startswith("serverless.")
    if extension in PROGRAMS:
        return True
    try:
        sections = _sections(path, files.read(path))
    except (OSError, UnicodeDecodeError):
        return by_name  # the reader will tell
    is_template, is_service = bool(sections & {"Resources", "AWSTemplateFormatVersion"}), "service" in sections
    return by_name if is_template == is_service else is_service


def _sections(path: str, text: str) -> set[str]:
    """Return the names of a file's sections: those at the beginning of a line; a file without any is parsed."""
    found = set(SECTION.findall(text))
    if found or not text.lstrip().startswith("{"):
        return found
    try:
        sections = regular.json(text)
        return set(sections) if isinstance(sections, dict) else set()
    except ValueError:  # YAML in braces
        pass
    from lambdabuild.frontends.yaml_text import parse

    try:
        root = parse(path, text, tell_duplicate=lambda error: None)[0]
    except LambdaBuildError:
        return set()
    return set(root.value) if isinstance(root.value, dict) else set()


def _load_sam(files: ProjectFiles, path: str, settings: Settings, region: str, keeps_broken: bool) -> Service:
    from lambdabuild.frontends.sam import reader

    service = reader.load(
        path, files, parameters=settings.parameters, stage=settings.stage, root=settings.code_root, region=region,
        keeps_broken=keeps_broken,
    )  # fmt: skip
    return replace(service, read=Read(tuple(files.seen)))


def _load_serverless(files: ProjectFiles, path: str, settings: Settings, environment: Mapping[str, str]) -> Service:
    from lambdabuild.frontends.serverless import reader
    from lambdabuild.frontends.serverless.environment import Outside

    def aws() -> Any:
        from lambdabuild.aws.lookups import Lookups

        return Lookups(profile=settings.profile, endpoint_url=settings.endpoint_url)

    named = {"stage": settings.stage, "region": settings.region}
    options = {**settings.serverless_options, **{name: value for name, value in named.items() if value}}
    outside = Outside(files, environment, options, aws, settings.offline)
    run_options = reader.RunOptions(
        settings.stage,
        settings.region,
        settings.serverless_options,
        settings.parameters,
        settings.build_dir,
        settings.plugins_ignored,
    )
    try:
        service = reader.load(path, files.text(path), files, outside, run_options)
    except LambdaBuildError as error:
        raise error.without(outside.secrets) from error
    notes = (*_told_of_build_dir(settings), *service.notes)
    return replace(service, notes=notes, read=outside.read(files.seen))


def _told_of_build_dir(settings: Settings) -> list[str]:
    from lambdabuild.engine.base import snapshot

    if settings.build_dir != snapshot.APART:
        return []
    return [
        f"{snapshot.BUILD_DIR}/ holds files that lambdabuild did not make, so its output goes to {snapshot.APART}/;"
        " set build_dir to use another folder"
    ]


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
    """Return the JSON Schema of a serverless.yml or, for the word ``settings``, of the settings; else None."""
    if [*words] == ["settings"]:
        from lambdabuild.config import schema

        return schema.schema_text()
    if words:
        return None
    from lambdabuild.frontends.serverless import reader

    return reader.schema_text()


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

"""The one root of every error a user can cause, the table of codes, and how an error prints.

Codes are stable and never reused: 1xx template and settings, 2xx variables, 3xx plan, 4xx rules, 5xx tools,
6xx stores and caches, 7xx compiler, 8xx containers. Anything that is not a ``LambdaBuildError`` is our own bug and
keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from lambdabuild.core.spans import Span

SHORTEST_SECRET = 8


class LambdaBuildError(Exception):
    """What is wrong, where it stands and how to put it right.

    ``where`` is one place or several (two definitions of one name); ``tail`` is a tool's last output, printed indented.
    ``known_as`` is the name that users of the Serverless Framework know the mistake by.
    """

    code: ClassVar[str] = "LB000"

    def __init__(
        self,
        message: str,
        *,
        where: Span | Sequence[Span] | None = None,
        help: str = "",
        tail: str = "",
        known_as: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where: tuple[Span, ...] = (where,) if isinstance(where, Span) else tuple(where or ())
        self.help = help
        self.tail = tail
        self.known_as = known_as

    def __str__(self) -> str:
        lines = [f"{self.code}{f' ({self.known_as})' if self.known_as else ''}: {self.message}"]
        lines += [f"  at {span}" for span in self.where]
        lines += [f"  | {line}" for line in self.tail.splitlines()]
        lines += [f"  help: {self.help}"] if self.help else []
        return "\n".join(lines)

    def without(self, secrets: Iterable[str]) -> LambdaBuildError:
        """The same with no secret in it; a value of a few letters is a word that a message may need."""
        found = sorted((secret for secret in secrets if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)

        def cleaned(text: str) -> str:
            for secret in found:
                text = text.replace(secret, "***").replace(repr(secret)[1:-1], "***")
            return text

        return _rebuild(
            type(self), cleaned(self.message), self.where, cleaned(self.help), cleaned(self.tail), self.known_as
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Keyword arguments must survive the way between processes."""
        return _rebuild, (type(self), self.message, self.where, self.help, self.tail, self.known_as)

    def as_dict(self) -> dict[str, Any]:
        """The same for machines: ``{code, message, where: [{file, line, column}], help, tail}``."""
        return {
            "code": self.code,
            "message": self.message,
            "where": [{"file": s.file, "line": s.line, "column": s.column} for s in self.where],
            "help": self.help,
            "tail": self.tail,
            "known_as": self.known_as,
        }


def _rebuild(
    kind: type[LambdaBuildError], message: str, where: tuple[Span, ...], help: str, tail: str, known_as: str
) -> LambdaBuildError:
    return kind(message, where=where, help=help, tail=tail, known_as=known_as)


class Several(LambdaBuildError):
    """All mistakes of one kind at once; prints them one below the other."""

    def __init__(self, errors: Iterable[LambdaBuildError]) -> None:
        self.errors = tuple(errors)
        super().__init__(f"{len(self.errors)} mistakes")

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)

    def __reduce__(self) -> tuple[Any, ...]:
        return Several, (self.errors,)

    def without(self, secrets: Iterable[str]) -> Several:
        secrets = tuple(secrets)
        return Several(error.without(secrets) for error in self.errors)


def raise_all(errors: Iterable[LambdaBuildError]) -> None:
    """Raise nothing, the only error, or all of them as one."""
    found = tuple(errors)
    if len(found) == 1:
        raise found[0]
    if found:
        raise Several(found)


# 1xx: template and settings


class CannotReadTemplate(LambdaBuildError):
    """The template is missing, is a folder, may not be read, or is not UTF-8."""

    code = "LB101"


class BrokenYaml(LambdaBuildError):
    """The text is not YAML or JSON."""

    code = "LB102"


class DuplicateKey(LambdaBuildError):
    """Two definitions of one key, such as a logical id.

    In a SAM or CloudFormation template it is a warning: the last one counts, as it does there.
    """

    code = "LB103"


class BadTemplate(LambdaBuildError):
    """Well-formed, but not what a template may say at this place."""

    code = "LB104"


class CircularReference(LambdaBuildError):
    """A Ref, GetAtt, Sub, DependsOn, condition or nested stack leads back to itself."""

    code = "LB105"


class Unresolvable(LambdaBuildError):
    """A value that a build needs cannot be known before deployment."""

    code = "LB106"


class BadSettings(LambdaBuildError):
    """An unknown or ill-typed setting in a file, the environment or on the command line."""

    code = "LB107"


class UnknownName(LambdaBuildError):
    """A name was asked for that the template does not have."""

    code = "LB108"


class BadConfiguration(LambdaBuildError):
    """A serverless.yml says what its schema does not know or does not allow at this place."""

    code = "LB109"


class BadPluginOption(LambdaBuildError):
    """An option of a plugin that lambdabuild stands in for is not what it may be."""

    code = "LB112"


class PluginOptionsClash(LambdaBuildError):
    """Options of a plugin that cannot go together."""

    code = "LB113"


class PluginNeeds(LambdaBuildError):
    """An option of a plugin needs a file or another option that is not there."""

    code = "LB114"


class PluginNotRun(LambdaBuildError):
    """A plugin is listed that changes the template or the code, and lambdabuild neither runs it nor does its work."""

    code = "LB115"


# 2xx: variables


class BadVariable(LambdaBuildError):
    """A ``${...}`` of a serverless.yml is not written as a variable may be."""

    code = "LB201"


class MissingVariable(LambdaBuildError):
    """A variable has no value, and no fallback that has one."""

    code = "LB202"


class CircularVariable(LambdaBuildError):
    """A variable needs its own value."""

    code = "LB203"


class UnknownSource(LambdaBuildError):
    """A variable asks a source that does not exist."""

    code = "LB204"


class SourceFailed(LambdaBuildError):
    """A variable's source could not answer: a broken file, a refused request, a wrong address."""

    code = "LB205"


# 3xx: plan


class NoRule(LambdaBuildError):
    """No rule claims the function: its runtime, build method or manifest is unknown."""

    code = "LB301"


class NoSource(LambdaBuildError):
    """The code folder does not exist, is not a folder, or may not be read."""

    code = "LB302"


class NoManifest(LambdaBuildError):
    """The manifest that the template, the settings or the rule names is not there."""

    code = "LB303"


class CannotShare(LambdaBuildError):
    """``auto_layers`` was asked for by a function's name, and its packages cannot lie in layers."""

    code = "LB304"


class NotBuilt(LambdaBuildError):
    """What was asked for by name is in the template, but nothing is built from it."""

    code = "LB305"


# 4xx: rules


class BadRule(LambdaBuildError):
    """A rule's claims or its code cannot be loaded, or it broke its contract."""

    code = "LB401"


class BadManifest(LambdaBuildError):
    """A manifest or lock file cannot be understood."""

    code = "LB402"


class NoWheel(LambdaBuildError):
    """A package has no wheel for the function's platform."""

    code = "LB403"


class HashMismatch(LambdaBuildError):
    """A download is not what its pinned hash promises."""

    code = "LB404"


class BadSource(LambdaBuildError):
    """A file of the source cannot enter an artifact: a link that leaves the project, a socket, an odd name."""

    code = "LB405"


class Collision(LambdaBuildError):
    """Two sources want one path of the artifact with different content."""

    code = "LB406"


class WrongMachine(LambdaBuildError):
    """A native file in the artifact is for another processor than the function's."""

    code = "LB407"


class CannotResolve(LambdaBuildError):
    """The resolver found no set of packages for the manifest."""

    code = "LB408"


class NoHandler(LambdaBuildError):
    """What a function's ``Handler`` names is neither in its artifact nor in its layers."""

    code = "LB409"


class NoInclude(LambdaBuildError):
    """What ``include``, ``requirements`` or a plugin's option names to go into an artifact is not there."""

    code = "LB415"


class RequirementsClash(LambdaBuildError):
    """Requirements files of one function ask for versions of a package that cannot go together."""

    code = "LB416"


# 5xx: tools


class ToolMissing(LambdaBuildError):
    """A program that a rule needs is not on PATH."""

    code = "LB501"


class ToolFailed(LambdaBuildError):
    """A program ended with an error. ``output`` is all that it said, for those who must understand it."""

    code = "LB502"
    output: str = ""


class ToolTimeout(LambdaBuildError):
    """A program took longer than it may."""

    code = "LB503"


class CannotWrite(LambdaBuildError):
    """The disk is full, a permission is missing, or a folder stands where a file should be."""

    code = "LB504"


class CannotRead(LambdaBuildError):
    """A file that a step needs may not be read."""

    code = "LB505"


class Locked(LambdaBuildError):
    """Another run works in this project and did not end in time."""

    code = "LB506"


class InTheWay(CannotWrite):
    """Something that lambdabuild did not make is where a file or folder of its own belongs."""

    code = "LB507"


# 6xx: stores and caches


class StoreFailed(LambdaBuildError):
    """The artifact store refused, or could not be reached."""

    code = "LB601"


class TooLarge(LambdaBuildError):
    """An artifact is over a limit of Lambda."""

    code = "LB602"


class Offline(LambdaBuildError):
    """Something is needed that only the network has, and the run is offline."""

    code = "LB603"


class DownloadFailed(LambdaBuildError):
    """A download ended with an error after its retries."""

    code = "LB604"


class VersionTaken(LambdaBuildError):
    """The version of a source is published already, with other content."""

    code = "LB606"


class BadVersion(LambdaBuildError):
    """A distribution has no version, or one that is neither semantic nor PEP 440."""

    code = "LB607"


class NoSuchVersion(LambdaBuildError):
    """A function has a version of a source that was never published."""

    code = "LB608"


class HandlerNotPackaged(LambdaBuildError):
    """A function's handler is not in the distribution that its code is."""

    code = "LB609"


class CacheFailed(LambdaBuildError):
    """A cache of built steps refused, or could not be reached; told once, and the build goes on without it."""

    code = "LB620"


class BrokenEntry(LambdaBuildError):
    """An entry of a cache is not what its digest says; it is passed over, and written anew."""

    code = "LB621"


class BadExport(LambdaBuildError):
    """A file given to ``cache import`` is not what ``cache export`` writes."""

    code = "LB622"


class BadLayer(LambdaBuildError):
    """A layer's table says what cannot go together, or what Lambda does not take."""

    code = "LB610"


class CannotPublish(LambdaBuildError):
    """Lambda refused a layer version or what goes with it, or could not be reached."""

    code = "LB611"


class NoToken(LambdaBuildError):
    """CodeArtifact gave no token for a package index."""

    code = "LB612"


class NotACheckout(LambdaBuildError):
    """What changed is asked of git, and the project is in no checkout that git reads."""

    code = "LB630"


class UnknownRevision(LambdaBuildError):
    """Git does not have the revision that changes are counted from."""

    code = "LB631"


class NoCommonAncestor(LambdaBuildError):
    """The revision and HEAD have no history in common, or the clone is too shallow to show it."""

    code = "LB632"


class BadCosts(LambdaBuildError):
    """A file of costs cannot be read."""

    code = "LB633"


class NoExecutor(LambdaBuildError):
    """There is no engine of the Remote Execution API at the address, or it refuses; told once, and all is run here."""

    code = "LB640"


class ExecutorFailed(LambdaBuildError):
    """An engine gave up on a step, however often it was asked; told, and the step is run here."""

    code = "LB641"


# 7xx: compiler


class CannotCompile(LambdaBuildError):
    """The output template cannot be written."""

    code = "LB701"


class BadFunction(LambdaBuildError):
    """Settings of a function or layer that cannot go together, or name what is not there."""

    code = "LB702"


class OverLimit(LambdaBuildError):
    """A compiled template is larger than CloudFormation takes."""

    code = "LB703"


class NameClash(LambdaBuildError):
    """Two things of a serverless.yml would be one resource."""

    code = "LB705"


class BadExtension(LambdaBuildError):
    """``resources.extensions`` is about a resource that is not there, or an attribute that cannot be extended."""

    code = "LB706"


class BadEvent(LambdaBuildError):
    """An event of a function says what cannot go together, or lacks what it needs."""

    code = "LB707"


# 8xx: containers


class NoEngine(LambdaBuildError):
    """A container is needed, and no Docker engine answers."""

    code = "LB801"


class NoImage(LambdaBuildError):
    """An image is not there and may not or cannot be pulled, or is for another processor."""

    code = "LB802"


class ImageFailed(LambdaBuildError):
    """A Dockerfile cannot be built."""

    code = "LB803"


class ContainerFailed(LambdaBuildError):
    """A container cannot be started, or it or its engine ended while a tool ran in it."""

    code = "LB804"


class WrongImage(LambdaBuildError):
    """An image has not what it takes to build for a runtime, such as another Python."""

    code = "LB805"


class BadImage(LambdaBuildError):
    """An image function is not described as it can be built: no Dockerfile, an unknown option, two of one name."""

    code = "LB810"


class PushFailed(LambdaBuildError):
    """A registry did not take an image: its credentials, its rights, the network."""

    code = "LB811"


class NoRepository(LambdaBuildError):
    """An image is to be deployed, and nothing says to which repository it goes."""

    code = "LB812"


class RegistryFailed(LambdaBuildError):
    """ECR refused, could not be asked, or has no image of that tag."""

    code = "LB813"

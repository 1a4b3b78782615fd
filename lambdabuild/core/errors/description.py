"""Errors LB1xx: a template, a serverless.yml, the settings."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class BadCommandLine(LambdaBuildError):
    """The command line names a command, an option or a value that does not exist."""

    code = "LB100"


class CannotReadTemplate(LambdaBuildError):
    """The template is missing, is a folder, may not be read, or is not UTF-8."""

    code = "LB101"


class BrokenYaml(LambdaBuildError):
    """The text is not YAML or JSON."""

    code = "LB102"


class DuplicateKey(LambdaBuildError):
    """Two definitions of one key, such as a logical id.

    In a SAM or CloudFormation template this is a warning, and the last definition counts, as in CloudFormation.
    """

    code = "LB103"


class BadTemplate(LambdaBuildError):
    """The text is well-formed, but a template may not say it at this place."""

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
    """You asked for a name that the template does not have."""

    code = "LB108"


class BadConfiguration(LambdaBuildError):
    """A serverless.yml has a key or value that its schema does not allow at this place."""

    code = "LB109"


class BadPluginOption(LambdaBuildError):
    """An option of a plugin that lambdabuild replaces has a wrong value."""

    code = "LB112"


class PluginOptionsClash(LambdaBuildError):
    """Options of a plugin contradict each other."""

    code = "LB113"


class PluginNeeds(LambdaBuildError):
    """An option of a plugin needs a file or another option that is missing."""

    code = "LB114"


class PluginNotRun(LambdaBuildError):
    """A plugin changes the template or the code, and lambdabuild neither runs it nor does its work."""

    code = "LB115"

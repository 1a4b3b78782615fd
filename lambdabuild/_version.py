"""The version, imported by anybody without a cycle."""

__version__ = "0.1.0"

"""lambdabuild: an incremental, reproducible build system for AWS Lambda, on doit."""

__version__ = "0.1.0"

"""What the tests beside the rules share with the others."""

from fixtures import project

__all__ = ["project"]

"""Fixtures that the rules' tests share with the others."""

from docker_engine import base_image, engine
from fixtures import project

__all__ = ["base_image", "engine", "project"]

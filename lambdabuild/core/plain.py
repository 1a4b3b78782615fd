"""Names for plain data: what JSON, YAML and TOML can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
"""An object that its owner may change."""
JsonObject: TypeAlias = Mapping[str, Any]
"""An object that is only read."""

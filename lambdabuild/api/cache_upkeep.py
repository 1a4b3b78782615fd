"""The machine's cache of built steps, as ``lambdabuild cache`` looks at it and cleans it up. No template is read."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from lambdabuild.artifacts.caller_folders import named_file
from lambdabuild.cache import upkeep
from lambdabuild.cache.folder import FolderCache
from lambdabuild.cache.remote import shown
from lambdabuild.config.settings import Settings
from lambdabuild.project import built_steps_dir, cache_dir
from lambdabuild.project_settings import read_settings

SECONDS_PER_DAY = 86_400


class CacheUpkeep:
    """One method per command of ``lambdabuild cache``; each answer is plain data."""

    def __init__(self, folder: str, settings: Settings, environment: Mapping[str, str]) -> None:
        self.settings, self.folder = settings, folder
        self.cache = FolderCache(built_steps_dir(folder, settings, environment))
        self.store = cache_dir(environment)
        self.artifacts = os.path.join(folder, settings.build_dir, ".store")

    @property
    def as_json(self) -> bool:
        return self.settings.format == "json"

    def stats(self) -> Mapping[str, object]:
        """Return how much is in the cache, how large it may grow, and the addresses of remote caches."""
        remotes = [shown(address) for address in self.settings.cache.remotes]
        return {**upkeep.stats(self.cache), "max_bytes": self.settings.cache.max_bytes, "remotes": remotes}

    def verify(self) -> Mapping[str, object]:
        """Check the cache of steps, the machine's store and the project's own artifacts; name what is broken."""
        report, broken = upkeep.verify(self.cache), upkeep.verify_store(self.store)
        broken += [os.path.relpath(path, self.folder) for path in upkeep.verify_artifacts(self.artifacts)]
        every = sorted([*report["broken"], *broken])
        return {**report, "store": self.store, "artifacts": self.artifacts, "broken": every}

    def gc(self, older_than_days: int) -> Mapping[str, object]:
        """Remove what was not used for so many days, then what exceeds the limit; 0 days: nothing is too old."""
        since = time.time() - older_than_days * SECONDS_PER_DAY if older_than_days else 0
        return upkeep.gc(self.cache, self.settings.cache.max_bytes, since)

    def export(self, file: str) -> Mapping[str, object]:
        """Write the whole cache to a file."""
        with named_file(file, self.store) as temporary:
            return {**upkeep.export(self.cache, temporary), "file": file}

    def import_(self, file: str) -> Mapping[str, object]:
        """Add what is in an exported file."""
        return upkeep.import_(self.cache, file)


def cache_upkeep(folder: str, variables: Mapping[str, str]) -> CacheUpkeep:
    """Return the machine's cache as a project's settings place it; outside of a project as the environment does."""
    return CacheUpkeep(folder, read_settings(folder, os.environ, variables), os.environ)

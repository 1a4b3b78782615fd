"""Files on disk: lists, stat, digests. Must not know what a step or an artifact is."""

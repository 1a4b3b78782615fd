"""Find rules on the search path and run them. Comes in: folders. Goes out: claims as data, results of steps."""

"""Service + rules + file names -> BuildPlan. Pure: no disk, clock, environment or network."""

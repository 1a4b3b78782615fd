"""Settings: what can be set, and how a file, the environment and the command line are read into it. Runs nothing."""

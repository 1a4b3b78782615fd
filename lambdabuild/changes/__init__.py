"""A git revision + the project as it is -> names of what differs. Starts no tool but git; builds and writes nothing."""

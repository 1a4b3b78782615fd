"""Make services to build: the same on every machine, told to lambdabuild and to its peers."""

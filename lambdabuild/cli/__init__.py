"""The lambdabuild command: init, build, plan, why, and doit without a dodo.py."""

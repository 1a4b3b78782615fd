"""Which steps may run on other machines, and what the workers there have. Runs no step."""

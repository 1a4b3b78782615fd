"""A serverless.yml -> Service. Comes in: a path, a way to read, an environment to ask. Goes out: a Service."""

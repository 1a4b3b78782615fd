"""A SAM or CloudFormation template -> Service. Comes in: a path and a way to read. Goes out: a Service."""

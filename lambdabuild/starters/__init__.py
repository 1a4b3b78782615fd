"""What ``lambdabuild init`` writes: a folder's files -> functions (``detect``) -> lambdabuild.toml (``settings_file``),
and the Terraform module, which is text.
"""

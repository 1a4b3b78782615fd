"""The only package that imports boto3, and only when first used."""

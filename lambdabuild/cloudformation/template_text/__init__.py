"""Text of a template: values written into it, and all of it written. Pure."""

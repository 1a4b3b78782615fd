"""What everything else speaks of: errors, places in files, the model, names, programs that are run. No imports."""

"""Fuzzing that is guided by coverage, for each reader of what strangers send."""

"""The tests. Run from the top of the repository."""

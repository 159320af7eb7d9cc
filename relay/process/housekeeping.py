"""Chores at intervals: expire, tidy, look at the disk and the threads, tell alerts."""

_EXPIRE_SECONDS = 60.0


_TIDY_SECONDS = 1.0

"""READING DOCSTRING."""

import re

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

"""What each sender's message looks like: one file per sender, in the shape it documents, about people who
do not exist. They are signed by code that shares nothing with the relay, so that they test its verifier too.
"""

import importlib
import pkgutil

from tests.config.presets.case import Case

CASES: list[Case] = []
for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    CASES += getattr(importlib.import_module(f"{__name__}.{module}"), "CASES", [])

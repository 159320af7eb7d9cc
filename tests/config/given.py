"""What tests of the configuration are given: pieces of relay.toml, secrets, and the wording of problems."""

import re
from collections.abc import Callable
from pathlib import Path

from relay.config.environment import Problem
from relay.config.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "canary-token-of-upstream"
SECRET = "canary-secret-of-the-crm"
SANDBOX = "http://127.0.0.1:9/v1/hood/profiles"
DESTINATION = """
[destinations.ocamba]
token = "env:OCAMBA_TOKEN"
"""
FORM = """
[sources.newsletter]
kind = "form"
[sources.newsletter.fields]
email = "email"
"""
HOOK = """
[sources.crm]
kind = "webhook"
secret = "env:CRM_SECRET"
[sources.crm.fields]
email = "email"
"""

Read = Callable[..., Settings]
KEY = "ab" * 32


def check_wording(problem: Problem) -> None:
    """Every problem is one line with its place and what would be right, and repeats no secret."""
    text = str(problem)
    assert "\n" not in text
    assert problem.where
    assert len(problem.what) > 8
    assert not re.search(r"Not a valid|Missing data|Invalid|Traceback|None\b|marshmallow", text)
    assert TOKEN not in text
    assert SECRET not in text

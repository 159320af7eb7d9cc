"""Whatever stands in the file is usable, or a list of problems."""

import json
import math
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from relay.config import settings
from relay.config.destinations import DestinationSchema
from relay.config.environment import Unusable
from relay.config.sources import SourceSchema
from tests.config.given import check_wording

# --- whatever stands in the file ------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 10**12)
    | st.just(10**400)
    | st.floats()
    | st.sampled_from(["", "x", "env:CRM_SECRET", "none", "a[", "10/second", "5s", "(", "email", "typeform"])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "from",
                    "first",
                    "labels",
                    "within",
                    "strip",
                    "value",
                    "name",
                    "scheme",
                    "list",
                    "x",
                    "url",
                    "site",
                    "de",
                    "field",
                    "yes",
                    "utm_x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
SOURCE_KEYS = sorted({field.data_key or name for name, field in SourceSchema().fields.items()})
DESTINATION_KEYS = sorted(DestinationSchema().fields)


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return "inf" if value == math.inf else "-inf" if value == -math.inf else repr(value)
    return json.dumps(value)


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(one) for key, one in value.items() if one is not None}
    return [without_none(one) for one in value if one is not None] if isinstance(value, list) else value


@hypothesis(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.dictionaries(st.sampled_from(SOURCE_KEYS), TREES, max_size=5),
    st.dictionaries(st.sampled_from(DESTINATION_KEYS), TREES, max_size=3),
    st.dictionaries(
        st.sampled_from(["email", "full_name", "mobile_phone_number", "city"]), TREES, max_size=3
    ),
    st.dictionaries(st.sampled_from(["token", "role", "name"]), TREES, max_size=3),
    st.sampled_from(["form", "webhook"]),
)
def test_whatever_stands_in_the_file_is_usable_or_a_list_of_problems(
    environ: dict[str, str], source: Any, destination: Any, fields: Any, operator: Any, kind: str
) -> None:
    """Never a traceback."""
    config = {
        "destinations": {"ocamba": {"token": "env:OCAMBA_TOKEN", **destination}},
        "operators": {"jane": operator},
        "sources": {"x": {"kind": kind, "fields": fields, **source}},
    }
    text = "\n".join(f"{name} = {toml(without_none(table))}" for name, table in config.items())
    Path(environ["RELAY_CONFIG"]).write_text(text)
    try:
        found = settings.load(environ)
    except Unusable as unusable:
        assert unusable.problems
        for problem in unusable.problems:
            check_wording(problem)
        return
    for one in found.sources.values():
        one.mapping.apply({"email": "jane@example.com"})
        one.is_excluded({}, {})

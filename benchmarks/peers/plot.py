"""The plot of the comparison, as SVG."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

PANELS = (
    "accepted a second, kept alive",
    "p99 in ms, kept alive",
    "lost",
    "doubled",
    "calls beyond the quota",
    "idle memory in MiB",
)


def draw(found: dict[str, dict[str, float]], path: Path) -> None:
    """Draw a panel of bars for each figure that says most."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "peers"  # the same figures make the same file
    figure, places = pyplot.subplots(2, 3, figsize=(11, 5), layout="constrained")
    for place, name in zip(places.flat, PANELS, strict=True):
        who = [one for one in reversed(found) if name in found[one]]
        bars = place.barh(who, [found[one][name] for one in who], color="#4b6fa5")
        place.bar_label(bars, fmt="{:,.4g}", padding=3)
        place.set_title(name, fontsize=10)
        place.margins(x=0.25)
        place.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)

"""What only a person can know is done, ticked off once for all who look after this relay."""

from relay.outbox.outbox import Outbox
from relay.outbox.statements import get_meta, put_meta

KEYS, ALERTED, PROXIES = "keys", "alerted", "proxies"
TICKS = (KEYS, ALERTED, PROXIES)


def ticked(outbox: Outbox) -> set[str]:
    """Return what is ticked off."""
    return outbox.read(lambda conn: {name for name in TICKS if get_meta(conn, f"ticked {name}")})


def tick(outbox: Outbox, name: str) -> None:
    """Tick something off."""
    outbox.write(put_meta, f"ticked {name}", b"1")

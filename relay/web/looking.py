"""Who looks takes nothing from those who sign up: operators read through few connections of their own."""

from flask import Blueprint

from relay.outbox.store import IS_LOOKING


def bound(blueprint: Blueprint) -> None:
    """Have everything of a blueprint read so."""

    @blueprint.before_request
    def begin() -> None:
        IS_LOOKING.set(True)

    @blueprint.teardown_request
    def end(_: BaseException | None) -> None:
        IS_LOOKING.set(False)

"""The dashboard: pages for the people who run the relay. Each asks a verb of ``operator``
and shows what it said.

A page goes here, with its template in ``templates/dashboard/``; what it may do is decided in ``operator``.
``guard`` lets people in, ``words`` says states and outcomes in plain English.
"""

from flask import Flask

from relay.web.dashboard import (
    audit,
    destinations,
    found,
    frame,
    guard,
    jobs,
    login,
    overview,
    returning,
    sources,
    submission,
    submissions,
)

PAGES = (overview, submissions, found, submission, sources, destinations, jobs, audit)
"""Importing a page adds its addresses to the one blueprint."""


def register(app: Flask) -> None:
    """Add the dashboard to an application."""
    guard.install(app)
    app.before_request(returning.from_act)
    app.register_blueprint(login.blueprint)
    app.register_blueprint(frame.blueprint)

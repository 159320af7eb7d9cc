"""The signup relay. The story of one submission, room by room:

1. ``web``       takes exactly the announced bytes of a request
2. ``sources``   the named door it came through: the proof of who sent it, its bytes as fields, the fields as
   a profile
3. ``config``    said what that door asks for; nothing else reads variables or ``relay.toml``
4. ``intake``    judges it, and has it committed before anybody is answered; then says what its
   sender may know
5. ``outbox``    keeps it, sealed by ``vault``, and hands it out when ``quota`` and the hold of its
   ``destination`` allow
6. ``dispatch``  makes the one call; ``outcome`` says what the answer meant, ``delivery`` what becomes of it
7. ``operator``  is what a person may see and do about it
8. ``events`` and ``metrics`` note each step, in log lines and figures that name nobody

``process`` puts the parts together and ``server`` runs them under gunicorn; ``web``, ``cli`` and ``sandbox``
are the faces. A room imports only rooms before it; ``tests/test_architecture.py`` has the order.
"""

__version__ = "0.2.0"
"""The one source of the version: the package, ``--version`` and the documentation take it from here."""

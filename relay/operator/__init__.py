"""Operator: what the person who runs the relay may see and do; pages, API and commands only call this.

``operator.py`` lists the verbs. A new act on stored submissions is one of them, and a line in ``actions.py``,
which says in which states it is possible; ``actor.py`` knows the roles. Flask and click are unknown here.
"""

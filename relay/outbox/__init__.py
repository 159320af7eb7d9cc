"""The outbox: the one durable store of deliveries, their attempts and their destinations' health.

A new state, column, query or migration goes here. SQL, SQLite and PostgreSQL are known nowhere else.
``Outbox`` has a verb only where a function of one connection does not do: where its threads or what it
remembers are needed, more than one transaction, or the time under a lock. All else is such a function, which
callers hand to ``read`` or ``write`` together with what else it is given.
"""

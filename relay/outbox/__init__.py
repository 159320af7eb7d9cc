"""The outbox: the one durable store of deliveries, their attempts and their destinations' health.

A new state, column, query or migration goes here. SQL, SQLite and PostgreSQL are known nowhere else.
"""

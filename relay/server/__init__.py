"""The server: gunicorn's hooks and its worker, which collects a request before it takes a thread.

How connections are treated goes here; what is answered is ``web``.
"""

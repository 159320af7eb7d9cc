"""The process: the parts are put together, started, watched, reloaded and stopped.

A chore that runs at intervals goes into ``housekeeping``; how gunicorn starts all this is ``server``.
"""

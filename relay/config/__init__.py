"""Configuration: the environment and ``relay.toml``, checked all at once, become destinations and sources.

A setting goes here; a new sender is one file in ``relay/presets/``. Nothing else reads variables or the file.
"""

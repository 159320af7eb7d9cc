"""The sandbox: a faithful pretend Create Profile, for trying things out and for demonstrations.

How upstream answers goes here; nothing of it is used with a real token.
"""

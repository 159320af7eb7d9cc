"""The command line: ``python -m relay``. What a person types, asked of the verbs, printed as plain lines.

A command goes here; what it does goes into the verb it calls (``operator``, ``config``, ``process``).
"""

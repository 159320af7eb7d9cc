"""The command line: ``relay …`` or ``python -m relay …``. What a person types, asked of the verbs, in words.

A command goes into the file of its group and into the list in ``main``; what it does goes into the verb it
calls (``operator``, ``config``, ``process``). Modules that take long to import are imported inside commands,
so that ``--help`` answers at once.
"""

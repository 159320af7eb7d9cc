"""Sources: named doors. Who may use one, how a sender proves itself, how its body becomes
fields and a profile.

A new field type, proof scheme or rule about a value goes here. All of it is pure: values in, values out.
"""

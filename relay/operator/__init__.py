"""Operator: what the person who runs the relay may see and do; pages, API and commands only call this.

A new act on stored submissions goes here, with its rule about the states in which it is possible.
"""

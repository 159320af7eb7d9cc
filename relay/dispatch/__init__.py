"""Dispatch: due deliveries are claimed, sent upstream at the pace it allows, and settled by what it said.

What an answer means is ``outcome``, what becomes of a delivery ``delivery``; here it happens.
``requests`` lives here only.
"""

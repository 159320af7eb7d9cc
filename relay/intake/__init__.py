"""Intake: a submission that arrived is proven, mapped, judged and committed, and its sender told what it may know.

A new check of a submission goes here. Nothing is sent from here; that is ``dispatch``.
"""

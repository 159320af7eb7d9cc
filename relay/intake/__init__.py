"""Intake: a submission that arrived is proven, mapped, judged committed,
and its sender told what it may know.

A new check of a submission goes here. Nothing is sent from here; that is ``dispatch``.
"""

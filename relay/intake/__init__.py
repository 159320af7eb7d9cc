"""Intake: a submission that arrived is proven, mapped, judged and committed, and its sender told of it.

A new check of a submission goes into ``suspicion``, what is stored of one into ``entry``, what a sender
is told into ``answering``. Nothing is sent from here; that is ``dispatch``.
"""

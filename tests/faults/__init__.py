"""Faults: the relay as a real process is killed, starved, stopped and lied to, and a judge counts.

python -m tests.faults.run [--quick] [--only NAME] [--seed N] [--markdown FILE]
"""

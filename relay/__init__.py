"""The signup relay. The story of one submission:

1. ``web/submit.py``   takes exactly the announced bytes of a request
2. ``source.py``       the named door it came through, and the proof of who sent it (``verification.py``)
3. ``submission.py``   bytes become fields, and a key that makes a repeat recognisable
4. ``mapping.py``      fields become a profile (``contact.py``: e-mail and phone), or errors
5. ``outbox.py``       the delivery is committed, encrypted by ``vault.py``, before anybody is answered
6. ``receipt.py``      what the sender is told
7. ``dispatcher.py``   claims it when ``quota.py`` and the hold of its ``destination.py`` allow
8. ``upstream.py``     makes the one call, and ``outcome.py`` says what the answer meant
9. ``delivery.py``     decides what becomes of it; the outbox records that and erases what is done
10. ``events.py``      notes it, in a log line and a metric that name nobody
"""

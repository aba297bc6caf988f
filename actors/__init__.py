"""The actors: what each of them decides, and the Trio shells that carry it out.

`messages/` is the vocabulary: read it first. `core/` holds the decisions, which know no loop,
clock or disk. `mailbox.py` and `actor.py` are what every shell stands on. Nothing here imports
the supervisor or an adapter; what an actor needs from outside is a port of `ports.py`.
"""

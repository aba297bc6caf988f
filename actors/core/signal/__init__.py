"""The risk signal: figures of how things stand, what is made of them, and what others say.

`snapshot` has the figures, `assessment` what is made of them, `watch` when that is a fact.
`signals` is what all those facts add up to, and what orders are judged by.
"""

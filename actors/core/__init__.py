"""The decision cores, one per actor. Pure: no trio, clock, disk, randomness or logging in here.

Time and whatever else comes from outside are arguments, so that a test is a plain call.
"""

"""What speaks to the world outside, one file or folder for each counterpart.

An adapter may import `actors.messages` (and `actors.ports`), never an actor, the supervisor or
another adapter. `client` speaks to riskd itself over its socket: blocking, and free of trio.
`simulated_disk` stands in for `disk`, and keeps the same laws. `lease_page` is what riskd writes
and workers read; what they read it with is in `worker`, which imports nothing of riskd at all.
"""

"""What runs in the workers' processes, not in riskd's: nothing but the standard library.

`lease` is the reader of the lease page; it needs nothing beside itself and may be copied as one
file. `lease.c` is the same for programs in C.
"""

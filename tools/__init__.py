"""Programs for people: what is run by hand, and the checks that keep the source in shape.

May import anything of riskd; nothing imports from here. `tidy` and `layers` are the checks that
`make check` runs, over the sources that `source` reads.
"""

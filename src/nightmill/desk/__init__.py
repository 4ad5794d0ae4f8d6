"""What people do with runs, whichever door they came in by. Takes: a store and a wish. Gives: what became of it.

Doors import its modules one by one: a command that lists runs need not load what a merge does.
"""

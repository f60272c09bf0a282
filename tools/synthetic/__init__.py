"""Synthetic sales: drops of any size with every kind of dirt, and the truth about them.

A room of its own: it imports the landing contract from ``schemas`` and nothing else of the project,
so that what it states as true owes nothing to the code it is used to test.
"""

"""Synthetic sales: drops of any size with every kind of bad line, and the truth about them.

The package imports the landing contract from ``schemas`` and nothing else of the project, so that its truth
does not depend on the code that it tests.
"""

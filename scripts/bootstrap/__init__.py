"""Prepares a fresh machine for its first job, with the standard library only."""

"""Drills: the batch under faults, injected from outside of it, and the evidence of what was done again."""

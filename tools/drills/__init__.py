"""Drills: run the batch under injected faults and collect evidence of what ran again."""

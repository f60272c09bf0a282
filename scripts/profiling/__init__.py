"""Proposes a delivery profile for a file of an unknown form. A person reviews it; no run ever guesses."""

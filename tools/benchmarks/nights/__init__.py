"""Measures a night after years of history, and a holiday's spike against a normal day."""

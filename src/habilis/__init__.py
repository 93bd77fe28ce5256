"""Habilis: an agent that gets better at its work."""

"""Choosing what helps with a task: augmentations of every kind, the catalogue, and the selection under a budget."""

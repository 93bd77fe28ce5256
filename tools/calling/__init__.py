"""Calling tools: the registry, where every call is checked, paid for and bounded in time; and the tape of answers."""

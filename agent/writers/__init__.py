"""The writers: how a program for a task comes about. Each satisfies `habilis.core.Writer`."""

from habilis.agent.writers.cascade import Cascade
from habilis.agent.writers.chosen import ChosenCascade
from habilis.agent.writers.search import SearchSettings, SearchWriter

__all__ = ["Cascade", "ChosenCascade", "SearchSettings", "SearchWriter"]

"""What is known about the actions of a world, and what is supposed from others."""

from habilis.memory.contracts.book import ContractBook
from habilis.memory.contracts.priors import Priors, priors_of

__all__ = ["ContractBook", "Priors", "priors_of"]

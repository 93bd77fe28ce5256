"""What is known about the actions of a world, what is supposed from others, and how lives in it end."""

from habilis.memory.contracts.book import ContractBook
from habilis.memory.contracts.endings import LOW, Endings
from habilis.memory.contracts.priors import Priors, priors_of

__all__ = ["LOW", "ContractBook", "Endings", "Priors", "priors_of"]

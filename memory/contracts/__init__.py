"""What is known about the actions of a world."""

from habilis.memory.contracts.book import ContractBook

__all__ = ["ContractBook"]

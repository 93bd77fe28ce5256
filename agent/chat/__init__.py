"""Chat models of any provider, with their prices. Imports nothing else of the agent."""

"""From a goal to a plan, and from a plan to a program: regression over contracts, blind and tree search, lifting."""

"""The adopted model at work: words, questions, hunches, and the order in which search tries actions."""

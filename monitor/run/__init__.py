"""The service: when rounds happen, what a round is, and how everything is told of it."""

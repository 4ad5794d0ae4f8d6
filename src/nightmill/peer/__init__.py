"""Assistants of people as a door: what they may see and do of runs. Takes: a person and their store. Gives: tools and resources."""

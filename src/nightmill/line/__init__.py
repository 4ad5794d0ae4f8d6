"""Run a spec durably, from its tasks to pull requests. Takes: Assignment. Gives: Change."""

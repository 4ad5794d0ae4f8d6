"""The loop: build the request, run the tools, guard. Takes: Task. Gives: Diff."""

"""One self-contained page of a run, from its ledger. Takes: events. Gives: HTML."""

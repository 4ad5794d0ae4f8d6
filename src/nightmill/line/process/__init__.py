"""A blueprint at work: the walk through its steps, and what each kind of step does."""

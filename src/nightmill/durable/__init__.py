"""Durable workflows, queues and recovery. Takes: function. Gives: a run that survives its worker."""

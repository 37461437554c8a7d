"""Plan: a task done as a graph of steps, independent ones in parallel, planned anew on faults."""

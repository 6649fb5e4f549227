"""The client that makes the load: a process of its own, which knows nothing of the product but its doors."""

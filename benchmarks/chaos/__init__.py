"""`make chaos`: faults on purpose, against the product as it runs; what comes of it is what comes of a quiet run."""

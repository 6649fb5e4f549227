"""What is posted all the time, past Django: rows and raw events of many requests in one transaction."""

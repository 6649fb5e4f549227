"""The detector: rows of many sessions in, incidents out. Pure: no Django, no clock, no network."""

"""The doors and the baton: what needs both apps, or speaks a protocol."""

"""Live platforms: those that call us, and those that we ask."""

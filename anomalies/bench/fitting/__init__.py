"""What the detector learns from many simulated sessions: its numbers, and by what a fall gets its last name."""

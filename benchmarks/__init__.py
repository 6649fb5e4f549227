"""`make bench`: what things cost, as ratios to a baseline measured in the same run."""

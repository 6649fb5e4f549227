"""`make bench`: what things cost, as ratios to a baseline measured in the same run."""

# Settings of whoever calls, which are not those of the products that are run here.
OWN_SETTINGS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEBUG", "PORT", "CONDUCTOR_DB_POOL", "STATIC_ROOT")

"""Backups: every table of every app as it was at one moment, in one file that any PostgreSQL from 15 on can take.

A ZIP of what COPY tells of each table, and a manifest. Restoring migrates an empty database to where the backup's was,
loads the tables, and migrates on: so neither the server's version nor TimescaleDB nor an older release matters.
"""

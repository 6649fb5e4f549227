"""Telling those who are not looking: an outbox that is written with what it tells of, and a program that sends it."""

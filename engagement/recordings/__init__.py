"""Recordings of live sessions and labelled corpora: readers and writers, one module for each format."""

"""Logs, transcripts, metrics."""

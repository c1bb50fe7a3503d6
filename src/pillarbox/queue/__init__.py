"""Relaying: spool, schedule, routing, attempts, bounces."""

"""Repeatable measurements against the pretend AWS. `make bench` runs them and writes JSON to var/bench/."""

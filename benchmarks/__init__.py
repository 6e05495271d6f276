"""Repeatable measurements. `make bench` runs them all, prints one JSON object and keeps it in var/bench/.

    python -m benchmarks [NAME ...] [--quick]

A measure is a module here with `measure(*, quick: bool) -> dict`, named in `__main__.MEASURES`. Counts are exact and
asserted by a test; seconds and bytes are measured and told, on whatever machine it is, and asserted nowhere.

- `replay` and `recorded`: a server that answers as AWS would, with almost no CPU of its own.
- `installation` and `services`: an installation in a folder of its own, what its commands cost, PostgreSQL and Redis.
- `spent`, `sampled`, `stock`, `statistics_door`: what runs in a process of its own, so that it can be measured.
"""

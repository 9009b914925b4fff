"""Measure what each implementation costs: time and memory of scratch beside Keras and other peers.

``python -m benchmarks`` measures everything and writes a table, pictures and raw numbers; ``pytest benchmarks`` runs
the same measurements one by one with pytest-benchmark. Every result is a ratio of two measurements that were taken in
turns on one machine.
"""

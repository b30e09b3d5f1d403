"""Benchmarks: one command each, each prints one JSON object. bench/README.md says what they measure."""

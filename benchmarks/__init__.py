"""How fast meshrt is, beside the clients of others, measured in the same run.

``python -m benchmarks`` measures and prints; ``docs/explanation/performance.md`` says what.
"""

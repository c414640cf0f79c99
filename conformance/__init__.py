"""The WebSocket's rules, as Autobahn's test suite knows them, tried on both of our sides.

``python -m conformance`` runs it and prints; ``docs/explanation/reliability.md`` says what.
"""

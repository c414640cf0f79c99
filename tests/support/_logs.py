"""What a logger was told."""

import logging

import pytest


def warnings_of(logger: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages of a logger at WARNING, and only there."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == logger and record.levelno == logging.WARNING
    ]

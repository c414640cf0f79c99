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


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what meshrt logged: asyncio says how slow a busy machine is, which is no bug."""
    return [record for record in caplog.records if record.name.startswith("meshrt")]

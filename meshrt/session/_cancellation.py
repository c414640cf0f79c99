"""Tell a cancellation, which has to go on, from a failure, which is raised bare."""

import anyio


def is_cancellation(error: BaseException) -> bool:
    """Return whether this is a cancellation, or a group that has one in it."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(anyio.get_cancelled_exc_class()) is not None
    return isinstance(error, anyio.get_cancelled_exc_class())

"""All that is measured, in the order of the report."""

from .client_axes import CLIENT_AXES
from .part_axes import PART_AXES
from .scaling_axes import SCALING_AXES

AXES = (*CLIENT_AXES, *PART_AXES, *SCALING_AXES)
AXIS_OF_NAME = {axis.name: axis for axis in AXES}

"""The version, in one place: the build reads it, and so does the header that names us."""

__version__ = "0.1.0"

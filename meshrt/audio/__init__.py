"""The arithmetic of speech: PCM16 little-endian, 24 kHz, mono, G.711, and WAV files.

Pure, without I/O except for :func:`read_wav` and :func:`write_wav`, and from the standard
library alone.
"""

from .._public import publish
from ._g711 import (
    alaw_of as alaw_of,
    pcm_of_alaw as pcm_of_alaw,
    pcm_of_ulaw as pcm_of_ulaw,
    ulaw_of as ulaw_of,
)
from ._pcm import (
    BITS_PER_SAMPLE as BITS_PER_SAMPLE,
    BYTES_PER_MS as BYTES_PER_MS,
    CHANNELS as CHANNELS,
    SAMPLE_RATE_HZ as SAMPLE_RATE_HZ,
    bytes_of_ms as bytes_of_ms,
    chunks as chunks,
    duration_ms as duration_ms,
    level_dbfs as level_dbfs,
    ms_of_bytes as ms_of_bytes,
)
from ._resample import resample as resample
from ._samples import (
    BYTES_PER_SAMPLE as BYTES_PER_SAMPLE,
    BytesLike as BytesLike,
    check_pcm16 as check_pcm16,
    pcm_of as pcm_of,
    samples_of as samples_of,
)
from ._wav import Wav as Wav, parse_wav as parse_wav, read_wav as read_wav, write_wav as write_wav

__all__ = (
    "BITS_PER_SAMPLE",
    "BYTES_PER_MS",
    "BYTES_PER_SAMPLE",
    "CHANNELS",
    "SAMPLE_RATE_HZ",
    "BytesLike",
    "Wav",
    "alaw_of",
    "bytes_of_ms",
    "check_pcm16",
    "chunks",
    "duration_ms",
    "level_dbfs",
    "ms_of_bytes",
    "parse_wav",
    "pcm_of",
    "pcm_of_alaw",
    "pcm_of_ulaw",
    "read_wav",
    "resample",
    "samples_of",
    "ulaw_of",
    "write_wav",
)

publish(globals(), __all__)

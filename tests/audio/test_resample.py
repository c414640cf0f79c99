"""From one sample rate to another."""

import math
from array import array

import pytest
from hypothesis import given, strategies as st

from meshrt.audio import level_dbfs, pcm_of, resample, samples_of
from meshrt.errors import ConfigurationError, LocalProtocolError

rates = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
samples = st.lists(st.integers(-32_768, 32_767), max_size=500).map(lambda n: array("h", n))


def tone(rate_hz: int, hz: float = 440) -> bytes:
    step = math.tau * hz / rate_hz
    return pcm_of(array("h", [round(10_000 * math.sin(k * step)) for k in range(rate_hz)]))


@given(samples, rates, rates)
def test_the_duration_stays_within_a_sample(numbers: "array[int]", low: int, high: int) -> None:
    resampled = len(resample(pcm_of(numbers), low, high)) // 2
    assert 0 <= len(numbers) * high / low - resampled < 1


@given(samples, rates, rates)
def test_no_sample_leaves_the_range_of_the_original(
    numbers: "array[int]", low: int, high: int
) -> None:
    resampled = samples_of(resample(pcm_of(numbers), low, high))
    assert all(min(numbers) <= number <= max(numbers) for number in resampled)


@given(samples, rates)
def test_the_same_rate_changes_nothing(numbers: "array[int]", rate: int) -> None:
    assert resample(pcm_of(numbers), rate, rate) == pcm_of(numbers)


@given(samples, st.integers(2, 5))
def test_every_nth_sample_comes_back_from_an_n_fold_rate(
    numbers: "array[int]", times: int
) -> None:
    up = samples_of(resample(pcm_of(numbers), 8_000, 8_000 * times))
    assert up[::times] == numbers


def test_doubling_the_rate_puts_the_mean_between_neighbours() -> None:
    up = samples_of(resample(pcm_of(array("h", [0, 100, -100])), 12_000, 24_000))
    assert up.tolist() == [0, 50, 100, 0, -100, -100]


def test_a_synthesiser_s_tone_is_the_same_tone_at_24_khz() -> None:
    expected = samples_of(tone(24_000))
    resampled = samples_of(resample(tone(22_050), 22_050, 24_000))
    error = array("h", [a - b for a, b in zip(resampled, expected, strict=True)])
    assert level_dbfs(pcm_of(error)) < level_dbfs(pcm_of(expected)) - 40


@pytest.mark.parametrize(("low", "high"), [(0, 24_000), (24_000, 0), (-1, 24_000)])
def test_a_rate_that_is_not_positive_is_refused(low: int, high: int) -> None:
    with pytest.raises(ConfigurationError, match="a sample rate is above 0"):
        resample(b"", low, high)


def test_an_odd_number_of_bytes_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="not PCM16"):
        resample(b"abc", 22_050, 24_000)

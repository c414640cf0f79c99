"""Over a bad network a session is whole, or ends with a typed error; both sides have counted."""

import pytest
from support import go_through, ordeal

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

SEEDS = range(36)  # on each of three loops


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_doubled_or_out_of_order(seed: int) -> None:
    outcome = await go_through(ordeal(seed, scale=0.02))

    assert not outcome.problem
    assert outcome.end in {"complete", "ConnectionLost", "ConnectError"}


def test_the_seeds_try_what_can_happen() -> None:
    found = [ordeal(seed) for seed in SEEDS]
    ways = [way for each in found for way in (each.to_server, each.to_client)]

    assert {way.end for way in ways if way.end_at} == {"rst", "fin", "half"}
    assert {way.piece_bytes for way in ways} == {1, 7, 100, 65536}
    assert any(way.stall_at for way in ways)
    assert max(way.latency_s for way in ways) <= 0.5
    assert sum(each.to_server.end_at == each.to_client.end_at for each in found) > 6
    assert [ordeal(seed) for seed in SEEDS] == found

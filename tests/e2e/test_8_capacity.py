"""Rows 8 and 9, our half: 10,000 in flight in bounded memory, and N sends to a 1 s provider in about a second. `make bench` has the
rivals beside it in the same run."""
import resource

import pytest

from conftest import SLOW, size
from proc import until


def test_many_in_flight_in_bounded_memory(world):
    inflight = size(2000, 10000)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < inflight + 1000:
        pytest.skip(f"the hard limit of open files is {resource.getrlimit(resource.RLIMIT_NOFILE)[1]}")
    world.open(partitions=8, delay_ms=1000)
    world.produce(2 * inflight)
    d = world.daemon({"daemon": {"inflight": inflight, "workers": 2}, "provider sim": {"max_inflight": inflight}})
    until(lambda: d.state()["inflight"] >= inflight * 0.95, 60 * SLOW, f"{inflight} in flight at once")
    world.wait_committed(90)
    rss = d.proc.rss_peak_mb()
    assert d.drain() == 0
    assert len(world.records.check()) == 2 * inflight == world.provider.ledger_lines()
    assert SLOW > 1 or rss <= 200, f"{rss} MB for {inflight} in flight"
    print(f"{inflight} in flight: {rss:.0f} MB")


@pytest.mark.proof
@pytest.mark.parametrize("n", [1, 10, 50, 100, 200, 300, 1000])
def test_classic_table(world, n):
    world.open(partitions=8, delay_ms=1000)
    world.produce(n)
    d = world.daemon({"daemon": {"inflight": 4 * n, "workers": 1}, "provider sim": {"max_inflight": 2 * n}})
    world.wait_committed(60)
    took = world.records.span_s()
    assert d.drain() == 0
    print(f"N = {n}: {took:.3f} s")
    assert took <= 1.15 + 0.05

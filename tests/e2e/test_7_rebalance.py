"""Row 7: a second instance joins and leaves under load. Nothing lost, nothing sent twice, no outcome forgotten."""
import signal
import time

import pytest

from conftest import SLOW, size
from proc import until
from records import OPEN

N = size(15000, 100000)
TIMES = size(2, 5)
# Both are dynamic members: one with group.instance.id keeps its partitions when it leaves, until its session is over.
DYNAMIC = {"kafka": {"group.instance.id": None, "session.timeout.ms": 6000}}


def holds(d):
    """How many partitions it has."""
    return d.state()["partitions"]


@pytest.mark.short
def test_an_instance_joins_and_leaves_under_load(world):
    world.open(partitions=8, delay_ms=30, jitter_ms=30)
    slow = {"provider sim": {"max_inflight": 60}, "daemon": {"inflight": 120, "workers": 2}}
    first = world.daemon(dict(DYNAMIC, **slow), name="a")
    second = world.daemon(dict(DYNAMIC, **slow), name="b", start=False)
    produced = 0
    for turn in range(TIMES):
        world.produce(N // TIMES, first=produced)
        produced += N // TIMES
        before = world.records.settled()
        until(lambda: world.records.settled() >= before + N // TIMES // 8, 60 * SLOW, "work goes on", every=0.05)
        second.start()
        until(lambda: holds(second) == 4 and holds(first) == 4, 40 * SLOW, "half of the partitions each")
        before = world.records.settled()
        until(lambda: world.records.settled() >= min(before + N // TIMES // 8, produced), 60 * SLOW, "both work", every=0.05)
        assert second.drain() == 0
        until(lambda: holds(first) == 8, 40 * SLOW, "all partitions back")
    world.wait_committed(size(90, 240))
    assert first.drain() == 0
    records = world.records.check()
    ids = {f"m{i:07d}" for i in range(produced)}
    assert set(records) == ids and {r.state for r in records.values()} == {"sent"}
    ledger = world.provider.ledger()
    assert len(ledger) == produced, f"{len(ledger) - produced} sent twice"
    assert {e.id for e in ledger} == ids and not any(r.uncertain for r in records.values())
    world.check_committed()
    assert world.records.rate("duplicates") == 0


def test_an_outcome_after_the_revoke_is_written(world):
    """The provider answers later than revoke_drain_ms: the partition has gone on, the outcome is in Redis all the same."""
    world.open(partitions=2, delay_ms=4000)
    world.produce(40)
    config = {"kafka": dict(DYNAMIC["kafka"], revoke_drain_ms=200)}
    first = world.daemon(config, name="a")
    until(lambda: world.provider.stats()["in_progress"] == 40, 20 * SLOW, "40 on the wire")
    second = world.daemon(config, name="b")
    until(lambda: holds(second) == 1 and holds(first) == 1, 40 * SLOW, "one partition each")
    until(lambda: world.records.settled() == 40, 30 * SLOW, "every outcome is in Redis")
    world.wait_committed(60)
    records = world.records.check()
    assert {r.state for r in records.values()} == {"sent"} and not any(r.state in OPEN or r.uncertain for r in records.values())
    assert world.provider.ledger_lines() == 40, "nobody sent what was on the wire again"
    assert first.drain() == 0 and second.drain() == 0


@pytest.mark.short
def test_term_amid_an_assignment_ends_cleanly(world):
    """One leaves, and its partitions reach the other at some moment of its own leaving; or it leaves while the other joins."""
    rounds = size(4, 40)
    world.open(partitions=8, delay_ms=20)
    first = world.daemon(DYNAMIC, name="a", start=False)
    second = world.daemon(DYNAMIC, name="b", start=False)
    for i in range(rounds):
        world.produce(200, first=200 * i)
        first.start(ready=False)
        first.wait_ready(40 * SLOW)
        second.start(ready=i % 2 == 0, timeout=40 * SLOW)
        if i % 2 == 0:
            until(lambda: holds(first) + holds(second) == 8, 40 * SLOW, "all partitions are somebody's")
        else:
            until(lambda: second.log_text().count(b'msg="admin API listens"') == second.starts, 20 * SLOW, "it starts", every=0.005)
        first.signal(signal.SIGTERM)
        time.sleep(0.004 * (i * 13 % 40))       # the moment to be hit is what varies
        second.signal(signal.SIGTERM)
        ends = {d.name: d.proc.wait(60 * SLOW) for d in (first, second)}
        assert ends == {"a": 0, "b": 0}, f"round {i}: {ends}\n{first.proc.tail()}\n{second.proc.tail()}"
    first.start(timeout=40 * SLOW)
    world.wait_committed()
    assert first.drain() == 0
    records = world.records.check()
    assert len(records) == 200 * rounds and {r.state for r in records.values()} == {"sent"}
    assert world.provider.ledger_lines() == 200 * rounds and not any(r.uncertain for r in records.values())

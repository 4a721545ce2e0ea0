"""Row 1: every job once, from Kafka to the provider to Redis to the committed offset, and every count agrees."""
import collections

import pytest

from conftest import size
from proc import until

N = size(10000, 100000)


def test_every_job_is_sent_once_and_counted_once(world):
    world.open(partitions=8, delay_ms=20, jitter_ms=20)
    world.produce(N)
    d = world.daemon()
    world.wait_committed(size(60, 180))
    metrics = d.metrics()
    assert d.drain() == 0
    ids = [f"m{i:07d}" for i in range(N)]

    ledger = world.provider.ledger()
    seen = collections.Counter(e.id for e in ledger)
    assert len(ledger) == N and all(seen[i] == 1 for i in ids)
    assert {e.status for e in ledger} == {"200"}

    records = world.records.check()
    assert set(records) == set(ids)
    assert {r.state for r in records.values()} == {"sent"}
    pid_of = {e.id: e.pid for e in ledger}
    at_of = {e.id: e.ms for e in ledger}
    for i, r in records.items():
        assert r.ids == pid_of[i] and r.uncertain == 0 and r.provider == "sim" and r.country == "49"
        assert abs(r.accepted_ms + r.sent_at - at_of[i]) < 60000
        assert r.accepted_ms + r.claimed <= at_of[i] + 1 <= r.accepted_ms + r.sent_at + 2, f"{i}: {r}, asked at {at_of[i]}"
    assert world.records.rate("accepted") == world.records.rate("sent") == N
    rates = world.records.rates()
    for campaign in ("otp", "promo", "alert", "bill"):
        assert sum(n for k, n in rates.items() if k == ("sim", campaign, "49", "sent")) == N // 4
    mapped = world.records.mappings()
    assert len(mapped) == N and all(mapped[e.pid] == e.id for e in ledger)

    world.check_committed()
    assert metrics["smstrack_sent_total"] == N
    assert sum(v for k, v in metrics.items() if k.startswith("smstrack_store_uncertain_total")) == 0
    assert not world.kafka.ends(world.dead)[0]


@pytest.mark.short
def test_jobs_that_come_later_are_sent_too(world):
    """An idle consumer stays in its group and wakes up."""
    world.open(partitions=3)
    d = world.daemon()
    assert d.get("/livez")[0] == 200
    for round_ in range(3):
        world.produce(50, prefix=f"r{round_}.")
        world.wait_committed()
    assert world.records.check().keys() == {f"r{r}.{i:07d}" for r in range(3) for i in range(50)}
    assert d.drain() == 0


@pytest.mark.short
def test_the_same_id_twice_is_sent_once(world):
    world.open(partitions=2)
    world.produce(200)
    world.produce(200)
    world.daemon()
    world.wait_committed()
    records = world.records.check()
    assert len(records) == 200 and world.provider.ledger_lines() == 200
    assert world.records.rate("sent") == 200
    until(lambda: world.records.rate("duplicates") == 200, 10, "200 duplicates counted")


@pytest.mark.short
def test_long_texts_travel_in_parts(world):
    """GSM 03.38 in 153s, UCS-2 in 67s; each part asked for once, in Redis with its own id."""
    world.open(partitions=1)
    world.produce(1, prefix="gsm.", text="a" * 400)
    world.produce(1, prefix="ext.", text="€" * 100)
    world.produce(1, prefix="ucs.", text="ж" * 150)
    world.produce(1, prefix="one.", text="x" * 160)
    world.daemon()
    world.wait_committed()
    parts = collections.defaultdict(set)
    for e in world.provider.ledger():
        parts[e.id].add(e.part)
    assert parts == {"gsm.0000000": {1, 2, 3}, "ext.0000000": {1, 2}, "ucs.0000000": {1, 2, 3}, "one.0000000": {1}}
    records = world.records.check()
    assert [records[f"{k}.0000000"].parts for k in ("gsm", "ext", "ucs", "one")] == [3, 2, 3, 1]
    assert len(set(records["gsm.0000000"].ids)) == 3


@pytest.mark.short
def test_a_failing_part_stops_the_unwritten_ones(world):
    """wait(FIRST_EXCEPTION): the message is refused at once; parts that were not written never are."""
    world.open(partitions=1, delay_ms=50)
    world.provider.rule("bad. 400")
    world.produce(1, prefix="bad.", text="a" * 1500)
    world.daemon({"provider sim": {"max_inflight": 2, "max_connecting": 1}, "daemon": {"workers": 1}})
    world.wait_committed()
    r = world.records.check()["bad.0000000"]
    assert r.state == "refused" and r.parts == 10
    assert world.provider.ledger_lines() <= 10

"""Row 4: Redis and Kafka go away under load and come back. Nothing is lost, nothing counted twice, nobody has to do anything."""
import json
import time

import pytest

from conftest import SLOW, size
from proc import until

N = size(8000, 100000)
AWAY_REDIS_S, AWAY_KAFKA_S = size(3, 10), size(5, 20)
RSS_MB = 300


def names(d, word):
    status, body = d.try_get("/readyz")
    return status == 503 and word in json.dumps(body).lower()


def finish(world, d, resent_allowed=True):
    ids = [f"m{i:07d}" for i in range(N)]
    world.wait_committed(size(90, 240))
    assert d.get("/readyz")[0] == 200
    rss = d.proc.rss_peak_mb()
    assert d.drain() == 0
    records = world.records.check()
    assert set(records) == set(ids) and {r.state for r in records.values()} == {"sent"}
    _, repeated = world.check_ledger(ids, records)
    world.check_committed()
    assert SLOW > 1 or rss < RSS_MB, f"{rss} MB at most"       # a sanitizer has its own books in there
    assert d.starts == 1
    return repeated


@pytest.mark.short
@pytest.mark.parametrize("how", ["kill", "pause"])
def test_redis_goes_away_and_comes_back(world, how):
    world.open(partitions=8, delay_ms=20, jitter_ms=20, aof="everysec")
    world.produce(N)
    d = world.daemon()
    until(lambda: world.records.settled() >= N // 8, 60 * SLOW, "an eighth is settled", every=0.05)
    if how == "kill":
        world.redis.kill()
    else:
        world.redis.pause()
    t0 = time.monotonic()
    until(lambda: names(d, "redis"), 10 * SLOW, "/readyz names redis")
    assert d.get("/livez")[0] == 200
    until(lambda: time.monotonic() - t0 >= AWAY_REDIS_S, AWAY_REDIS_S + 1, "the outage lasts")
    if how == "kill":
        world.redis.start()
    else:
        world.redis.resume()
    until(lambda: d.get("/readyz")[0] == 200, 30 * SLOW, "ready again")
    finish(world, d)


def test_kafka_goes_away_and_comes_back(world):
    world.open(partitions=8, delay_ms=20, jitter_ms=20)
    world.produce(N)
    d = world.daemon()
    until(lambda: world.records.settled() >= N // 8, 60 * SLOW, "an eighth is settled", every=0.05)
    world.kafka.stop()
    t0 = time.monotonic()
    try:
        until(lambda: names(d, "kafka"), 30 * SLOW, "/readyz names kafka")
        assert d.get("/livez")[0] == 200
        until(lambda: time.monotonic() - t0 >= AWAY_KAFKA_S, AWAY_KAFKA_S + 1, "the outage lasts")
    finally:
        world.kafka.start()
    until(lambda: d.get("/readyz")[0] == 200, 60 * SLOW, "ready again")
    assert finish(world, d) == 0, "a Kafka outage makes no send uncertain"


def test_a_drain_while_redis_is_away_says_so(world):
    """Work is left: exit 75, and the next start finishes it."""
    world.open(partitions=2, delay_ms=300, aof="everysec")
    world.produce(200)
    d = world.daemon({"daemon": {"drain_ms": 1500, "inflight": 200}})
    until(lambda: world.provider.stats()["in_progress"] > 50, 20 * SLOW, "sends on the wire")
    world.redis.pause()
    until(lambda: world.provider.stats()["in_progress"] == 0, 20 * SLOW, "the provider has answered")
    assert d.drain() == 75
    assert d.log_has("uncertain")
    world.redis.resume()
    d.start()
    world.wait_committed(60)
    assert d.drain() == 0
    records = world.records.check()
    world.check_ledger([f"m{i:07d}" for i in range(200)], records)

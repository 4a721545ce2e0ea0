"""Row 2: kill -9 again and again while jobs flow. Nothing is lost, and what was sent twice is in the books."""
import time

import pytest

from conftest import SLOW, size
from proc import until
from records import OPEN

N = size(12000, 100000)
KILLS = size(3, 5)
# Small: slow enough that the kills come while there is work.
CONFIG = size({"provider sim": {"max_inflight": 100}}, {})
BATCH = 64      # messages claimed and not yet written: one batch for all workers together


def wire_quiet(world):
    """Waits until the provider has answered all it was asked, and with it has read all that was written; the stats then."""
    return until(lambda: (lambda s: s["in_progress"] == 0 and s)(world.provider.stats()), 30, "the provider has answered everything")


def check_commits(world, id_at):
    """No commit past a record that is not settled."""
    committed = world.kafka.committed(world.group, world.topic)
    states = {i: r.state for i, r in world.records.all().items()}
    for (partition, offset), mid in id_at.items():
        if offset < (committed[partition] or 0):
            assert states.get(mid, "none") not in OPEN | {"none"}, f"{mid} at {partition}/{offset} is {states.get(mid)}, committed: {committed}"


def test_kill_9_loses_nothing_and_counts_everything(world):
    world.open(partitions=8, delay_ms=20, jitter_ms=20, aof="everysec")
    world.produce(N)
    id_at = world.ids_by_position()
    d = world.daemon(CONFIG, start=False)
    on_wire = asked = 0
    for _ in range(KILLS):
        d.start(ready=False)
        until(lambda: d.metric("smstrack_store_outcomes_total") >= 1000, 60 * SLOW, "1,000 new outcomes", every=0.01)
        d.stand_still()                 # so that what is on the wire can be counted before the kill
        wire_quiet(world)
        world.redis.take_in()
        ledger, states = world.provider.ledger(), world.records.all()
        d.kill()
        on_wire += sum(1 for e in ledger[asked:] if states[e.id].state in OPEN)
        asked = len(ledger)
        wire_quiet(world)
        check_commits(world, id_at)
    assert world.records.settled() < N, "the jobs were too few for the kills"
    t0 = time.monotonic()
    d.start(timeout=60 * SLOW)
    until(lambda: world.records.settled() == N, 30 * SLOW, "everything settled after the last restart", every=0.2)
    settled_s = time.monotonic() - t0
    world.wait_committed(30)
    assert d.drain() == 0

    ids = [f"m{i:07d}" for i in range(N)]
    records = world.records.check()         # the counters are exact
    assert set(records) == set(ids)
    requests, repeated = world.check_ledger(ids, records)
    uncertain = sum(r.uncertain for r in records.values())
    assert requests <= N + uncertain
    assert uncertain <= on_wire + KILLS * BATCH, f"{uncertain} uncertain, {on_wire} on the wire at the kills"
    world.check_committed()
    check_commits(world, id_at)
    print(f"{KILLS} kills: {requests} requests for {N} jobs, {uncertain} uncertain, {repeated} sent again, {on_wire} on the wire, "
          f"settled {settled_s:.1f} s after the last restart")


@pytest.mark.short
def test_uncertain_jobs_follow_their_policy_after_a_crash(world):
    """What was on the wire at the kill: `hold` holds, `fail` fails, neither is sent again; `resend` is."""
    world.open(partitions=1)
    world.provider.rule("* hang")
    policies = ("hold", "fail", "resend")
    for p in policies:
        world.produce(5, prefix=p + ".", on_uncertain=p)
    d = world.daemon()
    until(lambda: world.provider.stats()["in_progress"] == 15, 20 * SLOW, "15 on the wire")
    d.kill()
    world.provider.control("clear")
    d.start()
    world.wait_committed()
    assert d.drain() == 0
    records = world.records.check()
    asked = [e.id for e in world.provider.ledger()]
    for p, state, times in (("hold", "held", 1), ("fail", "failed", 1), ("resend", "sent", 2)):
        for i in range(5):
            mid = f"{p}.{i:07d}"
            assert records[mid].state == state and records[mid].uncertain == 1 and asked.count(mid) == times, f"{records[mid]}"

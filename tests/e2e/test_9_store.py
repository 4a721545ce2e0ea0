"""A Redis that somebody emptied, and one that no waiting cures: the daemon sends nothing and says why."""
import json

from conftest import SLOW
from proc import until
from smstrackd import EXIT_CONFIG, EXIT_OK

EMPTY = "redis: store is empty though the group has commits"


def says(d, reason):
    status, body = d.try_get("/readyz")
    return status == 503 and reason in json.dumps(body)


def test_an_emptied_store_is_not_sent_from_until_it_is_said(world):
    world.open(partitions=2)
    world.produce(20)
    d = world.daemon()
    world.wait_committed()
    assert d.ctl("store", "init", check=False).returncode == 1
    assert d.drain() == EXIT_OK
    world.redis.client().flushall()
    world.produce(20, first=20)
    d.start(ready=False)
    until(lambda: says(d, EMPTY), 20 * SLOW, "/readyz names it")
    assert world.provider.ledger_lines() == 20
    assert d.ctl("store", "everything", check=False).returncode == 64
    r = d.ctl("store", "init")
    assert "used from now on" in r.stdout
    assert world.redis.client().exists("sms:meta")
    d.wait_ready()
    world.wait_committed()
    assert world.provider.ledger_lines() == 40
    r = d.ctl("store", "init", check=False)
    assert r.returncode == 1 and "isn't empty" in r.stderr
    assert d.drain() == EXIT_OK


def test_commits_of_nothing_sent_are_no_emptied_store(world):
    """A group that began at the log's end, or took nothing but rejects, has commits and no record: its next start is ready all the same."""
    world.open(partitions=2)
    world.produce(6)
    d = world.daemon({"kafka": {"start": "latest"}})
    assert d.drain() == EXIT_OK
    d.start()
    world.produce_jobs([b"no json"] * 4)
    world.wait_committed()
    assert d.drain() == EXIT_OK
    d.start()
    assert world.provider.ledger_lines() == 0
    assert d.drain() == EXIT_OK


def test_a_start_on_a_redis_that_no_waiting_cures_ends(world):
    world.open(partitions=1)
    world.redis.client().config_set("maxmemory-policy", "allkeys-lru")
    d = world.daemon(start=False)
    d.start(ready=False)
    assert d.proc.wait(20 * SLOW) == EXIT_CONFIG
    assert d.log_has("maxmemory-policy is not noeviction")
    world.redis.client().config_set("maxmemory-policy", "noeviction")
    d.start()
    # once it has been ready it waits for the cure
    world.redis.client().config_set("maxmemory-policy", "allkeys-lru")
    world.redis.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    until(lambda: says(d, "maxmemory-policy"), 20 * SLOW, "/readyz names it")
    world.redis.client().config_set("maxmemory-policy", "noeviction")
    d.wait_ready()
    assert d.drain() == EXIT_OK

"""Row 3: every way in which a provider can fail, and what becomes of the message. Each fault has a provider section of its own on the
same simulator, so that one's pause or open breaker is not another's."""
import json

import pytest

from conftest import SLOW
from proc import free_port, until
from provider import certificate

# How the simulator answers the first request of an id with this prefix, under which an outcome can't be known.
UNCERTAIN = ["500", "hang", "reset", "reset_mid", "close", "cut", "garbage", "big", "slow"]
POLICIES = {"resend": ("sent", 2), "hold": ("held", 1), "fail": ("failed", 1)}
QUICK = {"type": "http", "preset": "generic", "timeout_ms": 1500, "max_inflight": 50, "breaker_failures": 0}


def section(world, url=None, **more):
    return dict(QUICK, url=url or world.provider.url, **more)


def jobs_for(provider, count, policy=None, **more):
    for i in range(count):
        d = {"id": f"{provider}.{policy or 'x'}.{i}", "to": f"+49170{i:07d}", "text": "SECRET-TEXT", "provider": provider, "ttl_s": 600, **more}
        if policy:
            d["on_uncertain"] = policy
        yield json.dumps(d).encode()


def requests(world, mid):
    return [e for e in world.provider.ledger() if e.id == mid]


def loop_was_free(d, most_s=0.05):
    """No callback took more than 50 ms of its thread's CPU."""
    worst = {k: v for k, v in d.metrics().items() if k.startswith("smstrack_callback_cpu_seconds_max")}
    assert len(worst) == 3 and max(worst.values()) <= most_s * SLOW, f"callbacks took {worst} s of CPU"


@pytest.mark.short
def test_outcomes_that_cannot_be_known(world):
    """Uncertain, counted once each, then the policy of the job."""
    world.open(partitions=4)
    config, jobs = {}, []
    for fault in UNCERTAIN:
        name = "f-" + fault.replace("_", "")
        config["provider " + name] = section(world)
        for policy in POLICIES:
            world.provider.rule(*(f"{name}.{policy}.{i} {fault} times=1" for i in range(2)))
            jobs += jobs_for(name, 2, policy)
    world.produce_jobs(jobs)
    d = world.daemon(config)
    world.wait_committed(90)
    records = world.records.check()
    for fault in UNCERTAIN:
        name = "f-" + fault.replace("_", "")
        for policy, (state, times) in POLICIES.items():
            for i in range(2):
                mid = f"{name}.{policy}.{i}"
                r = records[mid]
                assert (r.state, r.uncertain, len(requests(world, mid))) == (state, 1, times), f"{fault}, {policy}: {r}"
    loop_was_free(d)
    assert world.records.rate("uncertain") == len(UNCERTAIN) * len(POLICIES) * 2
    assert d.drain() == 0


@pytest.mark.short
def test_outcomes_that_are_known(world):
    """Refused for good, throttled in all its forms, and replies that are unusual but right."""
    world.open(partitions=4)
    names = ("refused", "after", "date", "busy", "chunked", "empty")
    config = {"provider " + n: section(world) for n in names}
    world.provider.rule("refused. 400", "after. 429 retry_after=2 times=1", "date. 429 retry_after_date=3 times=1", "busy. 503 times=1",
                        "chunked. chunked", "empty. empty")
    for n in names:
        world.produce_jobs(jobs_for(n, 1))
    d = world.daemon(config)
    world.wait_committed(60)
    r = {n: world.records.get(f"{n}.x.0") for n in names}
    asked = {n: requests(world, f"{n}.x.0") for n in names}
    assert r["refused"].state == "refused" and len(asked["refused"]) == 1
    for n in ("after", "date", "busy"):
        assert r[n].state == "sent" and len(asked[n]) == 2 and r[n].uncertain == 0, f"{n}: {r[n]} {asked[n]}"
    assert asked["after"][1].ms - asked["after"][0].ms >= 2000
    assert asked["date"][1].ms - asked["date"][0].ms >= 1900      # the date has whole seconds
    for n in ("chunked", "empty"):
        assert r[n].state == "sent" and len(asked[n]) == 1
    assert r["chunked"].ids == asked["chunked"][0].pid
    loop_was_free(d)
    assert d.drain() == 0


def test_throttling_pauses_the_provider_not_one_message(world):
    """After a 429 nobody asks that provider until it is over."""
    world.open(partitions=1)
    world.provider.rule("t.0000000 429 retry_after=2 times=1")
    d = world.daemon({"daemon": {"workers": 1}, "provider sim": {"max_inflight": 1}})
    world.produce(20, prefix="t.")
    world.wait_committed(60)
    ledger = world.provider.ledger()
    at = [i for i, e in enumerate(ledger) if e.status == "429"]
    assert len(at) == 1 and len(ledger) == 21
    if at[0] + 1 < len(ledger):
        assert ledger[at[0] + 1].ms - ledger[at[0]].ms >= 2000
    assert d.drain() == 0


@pytest.mark.short
def test_no_connection_is_no_send(world):
    """A refused connect and a bad certificate are retried while the message lives, then given up; the other provider takes the rest."""
    world.open(partitions=2)
    good = certificate(world.dir, "good")
    other = certificate(world.dir, "other", san="DNS:elsewhere.example")
    tls, wrong = world.add_provider("tls", tls=good), world.add_provider("wrong", tls=other)
    lost = dict(QUICK, connect_timeout_ms=1000)
    config = {
        "send": {"max_attempts": 3, "backoff_ms": 20, "backoff_max_ms": 100},
        "provider refused": dict(lost, url=f"http://127.0.0.1:{free_port()}/send"),
        "provider selfsigned": dict(lost, url=tls.url),
        "provider wronghost": dict(lost, url=wrong.url, ca_file=other[0]),
        "provider trusted": dict(lost, url=tls.url, ca_file=good[0]),
    }
    for n in ("refused", "selfsigned", "wronghost", "trusted"):
        world.produce_jobs(jobs_for(n, 5))
    d = world.daemon(config)
    world.wait_committed(60)
    records = world.records.check()
    for n in ("refused", "selfsigned", "wronghost"):
        for i in range(5):
            r = records[f"{n}.x.{i}"]
            assert r.state in ("failed", "lapsed") and r.uncertain == 0 and r.attempts >= 1, f"{n}: {r}"
    assert [records[f"trusted.x.{i}"].state for i in range(5)] == ["sent"] * 5
    assert tls.ledger_lines() == 5 and wrong.ledger_lines() == 0
    loop_was_free(d)
    assert d.drain() == 0


def test_a_provider_that_comes_back_gets_its_messages(world):
    """Refused connects while it is away, and nobody needs to do anything when it is back."""
    world.open(partitions=2)
    world.provider.control("listen off", "drop")
    world.produce(300)
    d = world.daemon({"send": {"max_attempts": 100, "backoff_ms": 50, "backoff_max_ms": 300},
                      "provider sim": {"breaker_open_ms": 300}})
    until(lambda: d.metric("smstrack_sent_total") == 0 and d.get("/v1/providers")[0] == 200, 10, "the daemon looks at its provider")
    until(lambda: "connect" in json.dumps(d.get("/v1/providers")[1]) or world.records.states(), 20, "attempts were made")
    world.provider.control("listen on")
    world.wait_committed(60)
    records = world.records.check()
    assert len(records) == 300 and {r.state for r in records.values()} == {"sent"}
    assert sum(r.uncertain for r in records.values()) == 0 and world.provider.ledger_lines() == 300
    assert d.drain() == 0


def test_fail_over_to_the_other_provider(world):
    """Unpinned jobs go on through the provider that works."""
    world.open(partitions=2)
    world.produce(200)
    d = world.daemon({"provider dead": {"type": "http", "preset": "generic", "url": f"http://127.0.0.1:{free_port()}/send", "weight": 100},
                      "provider sim": {"weight": 100}})
    world.wait_committed(60)
    records = world.records.check()
    assert {r.state for r in records.values()} == {"sent"} and {r.provider for r in records.values()} == {"sim"}
    assert world.provider.ledger_lines() == 200
    assert d.drain() == 0


@pytest.mark.parametrize("preset,path", [("twilio", ""), ("kannel", "/cgi-bin/sendsms")])
def test_presets(world, preset, path):
    world.open(partitions=1)
    secret = world.dir + "/password"
    with open(secret, "w") as f:
        f.write("hunter22-secret\n")
    import os
    os.chmod(secret, 0o600)
    base = f"http://127.0.0.1:{world.provider.port}"
    world.provider.rule("no.1 400")
    world.produce_jobs([json.dumps({"id": f"j{i}", "to": "+491700000001", "from": "ACME", "text": f"{w} SECRET-TEXT"}).encode()
                        for i, w in enumerate(("ok.1", "no.1"))])
    d = world.daemon({"provider sim": {"preset": preset, "url": base + path, "user": "AC0123", "password_file": secret}})
    world.wait_committed(60)
    records = world.records.check()
    assert records["j0"].state == "sent" and records["j1"].state == "refused", records
    assert [e.id for e in sorted(world.provider.ledger(), key=lambda e: e.id)] == ["no.1", "ok.1"]
    if preset == "twilio":
        assert records["j0"].ids.startswith("SM")
    assert b"hunter22" not in d.log_text() and "hunter22" not in json.dumps(d.get("/v1/config")[1])
    assert d.drain() == 0

"""Row 6: every signal means what the table says, in every state."""
import json
import os
import random
import signal
from signal import SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2

import pytest

from conftest import SLOW, size
from proc import free_port, until
from smstrackd import EXIT_OK, EXIT_TEMPFAIL

HARMLESS = [SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU]


def state_is(d, want):
    return until(lambda: d.state()["state"] == want, 20 * SLOW, f"state {want}")


def takes_and_sends(world, d, prefix):
    before = world.provider.ledger_lines()
    world.produce(20, prefix=prefix)
    until(lambda: world.provider.ledger_lines() == before + 20, 20 * SLOW, "20 jobs are sent")


def send_each(d):
    """Every signal that doesn't end it; it must be there after each."""
    for s in HARMLESS:
        d.signal(s)
        assert d.get("/livez")[0] == 200, s


@pytest.mark.short
def test_running(world):
    world.open()
    d = world.daemon()
    state_is(d, "running")
    send_each(d)
    state_is(d, "running")
    takes_and_sends(world, d, "a")
    d.signal(SIGTERM)
    assert d.proc.wait(30 * SLOW) == EXIT_OK


@pytest.mark.short
def test_starting(world):
    """Kafka is not there yet: it waits, says why, and minds its signals."""
    world.open()
    d = world.daemon({"kafka": {"brokers": f"127.0.0.1:{free_port()}"}}, start=False)
    d.start(ready=False)
    until(lambda: d.get("/livez")[0] == 200, 20 * SLOW, "alive")
    state_is(d, "starting")
    assert d.get("/readyz")[0] == 503
    send_each(d)
    state_is(d, "starting")
    d.signal(SIGINT)
    assert d.proc.wait(30 * SLOW) == EXIT_OK


def test_paused(world):
    world.open()
    d = world.daemon()
    d.signal(SIGTSTP)
    state_is(d, "paused")
    world.produce(50)
    send_each(d)                    # TSTP, CONT are among them
    d.signal(SIGTSTP)
    state_is(d, "paused")
    world.produce(50, prefix="p")
    for s in (SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU):
        d.signal(s)
        assert d.get("/livez")[0] == 200
    until(lambda: d.state()["inflight"] == 0, 10 * SLOW, "nothing in flight")
    assert not any(e.id.startswith("p") for e in world.provider.ledger()), "paused, it takes nothing"
    d.signal(SIGCONT)
    state_is(d, "running")
    world.wait_committed()
    d.signal(SIGTSTP)
    d.signal(SIGTERM)
    assert d.proc.wait(30 * SLOW) == EXIT_OK


def test_in_flight_work_goes_on_while_paused(world):
    world.open(delay_ms=1000)
    d = world.daemon()
    world.produce(100)
    until(lambda: world.provider.stats()["in_progress"] == 100, 20 * SLOW, "100 on the wire")
    d.signal(SIGTSTP)
    state_is(d, "paused")
    world.wait_committed()          # while paused
    assert len(world.records.check()) == 100
    assert d.state()["state"] == "paused"
    assert d.drain() == EXIT_OK


@pytest.mark.short
def test_draining(world):
    """Every signal during a drain; it still ends well."""
    world.open(delay_ms=2500)
    d = world.daemon()
    world.produce(100)
    until(lambda: world.provider.stats()["in_progress"] == 100, 20 * SLOW, "100 on the wire")
    d.signal(SIGTERM)
    state_is(d, "draining")
    assert d.get("/readyz")[0] == 503
    send_each(d)
    assert d.state()["state"] == "draining"
    assert d.proc.wait(30 * SLOW) == EXIT_OK
    records = world.records.check()
    assert len(records) == 100 and {r.state for r in records.values()} == {"sent"}
    world.check_committed()


def test_term_with_2000_in_flight(world):
    """What was answered is acknowledged, in Redis and in Kafka; what was not taken is left in Kafka."""
    world.open(delay_ms=1000)
    world.produce(6000)
    d = world.daemon({"daemon": {"inflight": 2000}, "provider sim": {"max_inflight": 2000}})
    until(lambda: world.provider.stats()["in_progress"] >= 1990, 30 * SLOW, "2,000 on the wire", every=0.005)
    d.signal(SIGTERM)
    assert d.proc.wait(40 * SLOW) == EXIT_OK
    ledger = world.provider.ledger()
    records = world.records.check()
    assert len(ledger) >= 1990 and {e.id for e in ledger} == {i for i, r in records.items() if r.state == "sent"}
    assert {r.state for r in records.values()} == {"sent"} and not any(r.uncertain for r in records.values())
    d.start()
    world.wait_committed(60)
    records = world.records.check()
    assert len(records) == 6000 and world.provider.ledger_lines() == 6000
    assert d.drain() == EXIT_OK


@pytest.mark.short
def test_a_second_term_ends_it_at_once(world):
    world.open(delay_ms=8000)
    world.produce(100)
    d = world.daemon()
    until(lambda: world.provider.stats()["in_progress"] == 100, 20 * SLOW, "100 on the wire")
    d.signal(SIGTERM)
    state_is(d, "draining")
    d.signal(SIGTERM)
    assert d.proc.wait(5 * SLOW) == EXIT_TEMPFAIL
    assert world.records.states()["sending"] == 100
    world.provider.control("delay 0 0")
    d.start()
    world.wait_committed(60)
    records = world.records.check()
    world.check_ledger([f"m{i:07d}" for i in range(100)], records)
    assert {r.state for r in records.values()} == {"sent"} and {r.uncertain for r in records.values()} == {1}
    assert d.drain() == EXIT_OK


def test_a_drain_that_runs_out_of_time(world):
    world.open(delay_ms=6000)
    world.produce(50)
    d = world.daemon({"daemon": {"drain_ms": 500}})
    until(lambda: world.provider.stats()["in_progress"] == 50, 20 * SLOW, "50 on the wire")
    d.signal(SIGTERM)
    assert d.proc.wait(10 * SLOW) == EXIT_TEMPFAIL


@pytest.mark.short
def test_a_storm_of_signals(world):
    """1,000 signals under load: coalesced, survived, and the work is done."""
    world.open(delay_ms=5, jitter_ms=10)
    n = size(5000, 20000)
    world.produce(n)
    d = world.daemon()
    rng = random.Random(7)
    storm = [s for s in HARMLESS if s != SIGQUIT]
    for _ in range(1000):
        d.signal(rng.choice(storm))
    for _ in range(20):
        d.signal(SIGQUIT)
    d.signal(SIGCONT)
    d.ctl("set", "inflight", "2000")
    world.wait_committed(90)
    assert d.state()["state"] == "running"
    records = world.records.check()
    assert len(records) == n and world.provider.ledger_lines() == n
    assert d.drain() == EXIT_OK


@pytest.mark.short
def test_hup_takes_a_good_configuration_and_refuses_a_broken_one(world):
    world.open()
    d = world.daemon()
    d.set("daemon", "inflight", 1234)
    d.write_config()
    d.signal(SIGHUP)
    until(lambda: "1234" in json.dumps(d.get("/v1/config")[1]), 10 * SLOW, "the new value holds")
    with open(d.conf, "a") as f:
        f.write("[daemon]\ninflihgt = 99\n")
    d.signal(SIGHUP)
    until(lambda: d.log_has("inflihgt"), 10 * SLOW, "the log names the key")
    assert "1234" in json.dumps(d.get("/v1/config")[1])
    takes_and_sends(world, d, "b")
    assert d.drain() == EXIT_OK


def test_usr1_opens_the_log_anew(world):
    world.open()
    path = os.path.join(world.dir, "own.log")
    d = world.daemon({"daemon": {"log_file": path}})
    os.rename(path, path + ".1")
    d.signal(SIGUSR1)
    until(lambda: os.path.exists(path), 10 * SLOW, "a new log file")
    d.signal(SIGUSR2)
    until(lambda: os.path.getsize(path) > 0, 10 * SLOW, "lines in the new log")
    assert d.drain() == EXIT_OK
    for p in (path, path + ".1"):
        with open(p, "rb") as f:
            assert b"+49170" not in f.read()


def test_quit_and_usr2_write_to_the_log(world):
    world.open(delay_ms=3000)
    d = world.daemon()
    world.produce(3)
    until(lambda: world.provider.stats()["in_progress"] == 3, 20 * SLOW, "3 on the wire")
    d.signal(SIGQUIT)
    until(lambda: d.log_has("m0000001"), 10 * SLOW, "the dump names the send tasks")
    d.signal(SIGUSR2)
    until(lambda: d.log_has("partition"), 10 * SLOW, "the state is in the log")
    assert d.alive() and d.drain() == EXIT_OK


def test_ttin_and_ttou_step_the_concurrency(world):
    world.open()
    d = world.daemon({"daemon": {"inflight": 1000}})

    def limit():
        return d.state()["inflight_max"]
    assert limit() == 1000
    d.signal(SIGTTIN)
    up = until(lambda: limit() > 1000 and limit(), 10 * SLOW, "a step up")
    d.signal(SIGTTOU)
    until(lambda: limit() < up, 10 * SLOW, "a step down")
    assert d.drain() == EXIT_OK


@pytest.mark.parametrize("command,state", [(("pause",), "paused"), (("drain",), None)])
def test_smstrack_does_what_signals_do(world, command, state):
    world.open()
    d = world.daemon()
    d.ctl(*command)
    if state:
        state_is(d, state)
        d.ctl("resume")
        state_is(d, "running")
        d.ctl("reload", "--wait")
        d.ctl("reopen-logs")
        assert json.loads(d.ctl("--json", "status").stdout)
        assert d.drain() == EXIT_OK
    else:
        assert d.proc.wait(30 * SLOW) == EXIT_OK


def test_a_signal_handler_is_left_for_none(world):
    """PIPE and CHLD neither end it nor show."""
    world.open()
    d = world.daemon()
    for s in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH):
        d.signal(s)
    takes_and_sends(world, d, "c")
    assert d.drain() == EXIT_OK

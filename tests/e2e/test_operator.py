"""What an operator meets beside signals: a group without offsets, a job by HTTP, one provider held back, a reload's report."""
import signal
import subprocess

from conftest import SLOW
from proc import until
from smstrackd import BINARY, EXIT_CONFIG, EXIT_OK


def test_check_config_takes_its_file_either_way(tmp_path):
    good, bad = tmp_path / "good.conf", tmp_path / "bad.conf"
    good.write_text("[kafka]\nbrokers = k:9092\n[provider acme]\nurl = http://127.0.0.1:1/\n")
    bad.write_text(good.read_text() + "rat = 1\n")
    for arguments in (["--check-config", bad], ["--check-config", "-f", bad], ["-f", bad, "--check-config"]):
        r = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60)
        assert (r.returncode, r.stdout) == (EXIT_CONFIG, "")
        assert r.stderr == f'{bad}:5: [provider acme] rat: unknown key; did you mean "rate"?\n'
    r = subprocess.run([BINARY, "--check-config", good], capture_output=True, text=True, timeout=60)
    assert (r.returncode, r.stdout, r.stderr) == (EXIT_OK, f"{good}: good\n", "")


def test_a_new_group_with_start_error_says_so_and_ends(world):
    world.open(partitions=2)
    world.produce(5)
    d = world.daemon({"kafka": {"start": "error"}}, start=False)
    d.start(ready=False)
    assert d.proc.wait(30 * SLOW) == EXIT_CONFIG
    assert d.log_has("start = earliest")
    assert world.provider.ledger_lines() == 0
    d.set("kafka", "start", "earliest")
    d.start()
    world.wait_committed()
    assert world.provider.ledger_lines() == 5
    assert d.drain() == EXIT_OK


def test_a_job_by_http_is_sent_and_shown(world):
    world.open(partitions=2)
    d = world.daemon()
    status, taken = d.request("POST", "/v1/messages", {"to": "+491700000001", "from": "ACME", "text": "SECRET-TEXT by hand"})
    assert status == 202 and taken["id"]

    def shown():
        status, record = d.get("/v1/messages/" + taken["id"])
        return status == 200 and record["state"] == "sent" and record
    record = until(shown, 20 * SLOW, "the message is sent")
    assert record["provider"] == "sim" and record["offset"] == taken["offset"]
    status, problem = d.request("POST", "/v1/messages", {"to": "0170", "text": "SECRET-TEXT"})
    assert status == 422 and "bad_to" in problem["detail"]
    assert d.get("/v1/messages/nobody")[0] == 404
    assert d.drain() == EXIT_OK


def test_a_paused_provider_gets_nothing(world):
    world.open(partitions=2)
    d = world.daemon()
    assert d.request("PUT", "/v1/providers/sim", {"state": "paused"})[0] == 200
    world.produce(20)
    until(lambda: d.state()["waiting_provider"] == 20, 20 * SLOW, "20 wait for the provider")
    assert world.provider.ledger_lines() == 0
    assert d.get("/v1/providers")[1]["providers"][0]["state"] == "paused"
    assert d.request("PUT", "/v1/providers/sim", {"state": "running"})[0] == 200
    world.wait_committed()
    assert world.provider.ledger_lines() == 20
    assert d.drain() == EXIT_OK


def test_a_reload_reports_what_holds_now_and_what_later(world):
    world.open(partitions=1)
    d = world.daemon()
    d.set("daemon", "inflight", 77)
    d.set("kafka", "topics", "other")
    d.write_config()
    status, reply = d.request("POST", "/v1/reload")
    assert status == 200
    assert any("2000 -> 77" in line for line in reply["report"])
    assert any("topics" in line and "restart" in line for line in reply["report"])
    assert d.state()["inflight_max"] == 77
    with open(d.conf, "a") as f:
        f.write("[provider sim]\nnonsense = 1\n")
    status, problem = d.request("POST", "/v1/reload")
    assert status == 422 and d.conf in problem["errors"][0]
    assert d.state()["inflight_max"] == 77
    assert d.drain() == EXIT_OK


def test_a_reload_moves_a_providers_limits_as_it_runs(world):
    world.open(partitions=2)
    d = world.daemon()

    def provider():
        return d.get("/v1/providers")[1]["providers"][0]
    assert provider()["inflight_max"] == 1000 and provider()["rate"] == 0
    assert d.request("PUT", "/v1/providers/sim", {"state": "paused"})[0] == 200
    world.produce(20)
    until(lambda: d.state()["waiting_provider"] == 20, 20 * SLOW, "20 wait for the provider")
    for key, value in {"max_inflight": 6, "rate": 20, "weight": 7, "timeout_ms": 9000}.items():
        d.set("provider sim", key, value)
    d.set("provider sim", "from", "Other")
    d.set("provider new", "url", "http://127.0.0.1:9/send")
    d.write_config()
    d.signal(signal.SIGHUP)
    until(lambda: provider()["inflight_max"] == 6, 20 * SLOW, "the limit holds")
    assert provider()["rate"] == 20 and provider()["weight"] == 7
    assert d.log_has("[provider sim] rate: 0 -> 20") and d.log_has("[provider sim] from: changed in the file, holds after a restart")
    assert d.log_has("[provider new]: new in the file, runs after a restart")
    assert d.request("PUT", "/v1/providers/sim", {"state": "running"})[0] == 200
    until(lambda: provider()["throttled_ms"] > 0, 20 * SLOW, "its rate holds it back")
    world.wait_committed()
    assert world.provider.ledger_lines() == 20
    # gone from the file: it runs as it was started
    d.config["provider new"] = d.config.pop("provider sim")
    d.write_config()
    status, reply = d.request("POST", "/v1/reload")
    assert status == 200
    assert any("[provider sim]: gone from the file" in line for line in reply["report"]), reply
    until(lambda: provider()["inflight_max"] == 1000 and provider()["rate"] == 0, 20 * SLOW, "it runs as it was started")
    assert d.drain() == EXIT_OK


def test_pause_before_it_is_ready(world):
    """Paused while starting, resumed: it is starting again, becomes ready, and works."""
    world.open(partitions=2)
    world.produce(10)
    d = world.daemon(start=False)
    d.start(ready=False)
    until(lambda: d.get("/livez")[0] == 200, 20 * SLOW, "alive")
    d.signal(signal.SIGTSTP)
    until(lambda: d.state()["state"] == "paused", 20 * SLOW, "paused")
    d.signal(signal.SIGCONT)
    d.wait_ready(30 * SLOW)
    world.wait_committed()
    assert world.provider.ledger_lines() == 10
    assert d.drain() == EXIT_OK

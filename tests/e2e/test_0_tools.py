"""The tools prove themselves before they prove anything else: each fault of the simulated provider, as a client sees it."""
import email.utils
import json
import socket
import time

import pytest

from proc import until
from provider import Provider


def ask(port, mid, part=1, timeout=5):
    """One request on a connection of its own; (bytes that came, how it ended)."""
    body = json.dumps({"id": mid, "to": "+491700000000", "text": "x", "part": part, "parts": 1})
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.sendall(f"POST /send HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        got, end = b"", time.monotonic() + timeout
        try:
            while True:
                s.settimeout(max(end - time.monotonic(), 0.001))
                data = s.recv(65536)
                if not data:
                    return got, "eof"
                got += data
                if complete(got):
                    return got, "reply"
        except ConnectionResetError:
            return got, "reset"
        except socket.timeout:
            return got, "timeout"


def complete(got):
    head, sep, body = got.partition(b"\r\n\r\n")
    if not sep:
        return False
    if b"chunked" in head:
        return body.endswith(b"0\r\nX-Trailer: 1\r\n\r\n")
    if b" 204 " in head:
        return True
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    p = Provider(tmp_path_factory.mktemp("sim")).start()
    p.rule("bad. 400", "thr. 429 retry_after=7", "date. 429 retry_after_date=7", "err. 500", "una. 503", "hang. hang", "rst. reset",
           "mid. reset_mid", "fin. close", "cut. cut", "gar. garbage", "big. big", "slow. slow", "chunk. chunked", "empty. empty",
           "once. 503 times=1", "late. ok delay=300")
    yield p
    p.stop()


def test_provider_answers_as_ruled(sim):
    assert ask(sim.port, "m1")[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert ask(sim.port, "bad.1")[0].startswith(b"HTTP/1.1 400 ")
    assert b"\r\nRetry-After: 7\r\n" in ask(sim.port, "thr.1")[0]
    date = [x for x in ask(sim.port, "date.1")[0].decode().split("\r\n") if x.startswith("Retry-After: ")][0]
    assert 5 <= email.utils.parsedate_to_datetime(date[13:]).timestamp() - time.time() <= 8
    assert ask(sim.port, "err.1")[0].startswith(b"HTTP/1.1 500 ")
    assert ask(sim.port, "una.1")[0].startswith(b"HTTP/1.1 503 ")
    assert ask(sim.port, "chunk.1")[1] == "reply"
    assert ask(sim.port, "empty.1") == (b"HTTP/1.1 204 No Content\r\n\r\n", "reply")
    assert [ask(sim.port, "once.1")[0][9:12] for _ in range(2)] == [b"503", b"200"]


def test_provider_breaks_as_ruled(sim):
    assert ask(sim.port, "rst.1") == (b"", "reset")
    assert ask(sim.port, "fin.1") == (b"", "eof")
    got, end = ask(sim.port, "mid.1")
    assert got.startswith(b"HTTP/1.1 200") and end == "reset"
    got, end = ask(sim.port, "cut.1")
    assert got.startswith(b"HTTP/1.1 200") and end == "eof"
    assert b"no HTTP" in ask(sim.port, "gar.1")[0]
    got, end = ask(sim.port, "big.1")
    assert end == "reply" and len(got) > 1 << 20 and json.loads(got.partition(b"\r\n\r\n")[2])["id"] == "big"
    assert ask(sim.port, "hang.1", timeout=0.3) == (b"", "timeout")
    got, end = ask(sim.port, "slow.1", timeout=1.5)
    assert 1 <= len(got) <= 3 and end == "timeout"


def test_provider_keeps_its_ledger(sim):
    ask(sim.port, "led.1", part=3)
    entry = [e for e in sim.ledger() if e.id == "led.1"]
    assert len(entry) == 1 and entry[0].part == 3 and entry[0].status == "200" and abs(entry[0].ms / 1000 - time.time()) < 5
    assert [e.status for e in sim.ledger() if e.id == "hang.1"] == ["hang"]
    s = until(lambda: (lambda s: s["in_progress"] == 0 and s)(sim.stats()), 10, "nothing in progress")
    assert s["requests"] == sim.ledger_lines()


def test_provider_refuses_connects_and_takes_them_again(sim):
    sim.control("listen off")
    with pytest.raises(ConnectionRefusedError):
        ask(sim.port, "m2")
    sim.control("listen on")
    assert ask(sim.port, "m3")[1] == "reply"

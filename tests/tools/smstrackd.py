"""The daemon under test: configuration, start, readiness, signals, and what is checked of every log at the end."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess

from proc import ROOT, Process, until

BUILD = os.path.join(ROOT, os.environ.get("B") or "build")
BINARY = os.environ.get("SMSTRACKD") or os.path.join(BUILD, "smstrackd")
CTL = os.environ.get("SMSTRACK") or os.path.join(BUILD, "smstrack")
GROUP = "smstrackd"

# A whole E.164 number of more than its last three digits is not to be in any log; the tests' own numbers all begin so.
NUMBER = re.compile(rb"\+?49170\d{4,}")
TEXT = b"SECRET-TEXT"
SANITIZER = re.compile(rb"(AddressSanitizer|ThreadSanitizer|LeakSanitizer|UndefinedBehavior|runtime error:|CHECK failed|Assertion)")

EXIT_OK, EXIT_TEMPFAIL, EXIT_CONFIG = 0, 75, 78


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Smstrackd:
    """`config`: {section: {key: value}} laid over the defaults below; a value of None takes a key out."""

    def __init__(self, folder, kafka, redis, providers, config=None, name="sms-1", env=None, topic="sms.outbound"):
        self.dir, self.name = str(folder), name
        os.makedirs(self.dir, exist_ok=True)
        self.run_dir = os.path.join(self.dir, "run-" + name)
        self.admin = os.path.join(self.run_dir, "admin.sock")
        self.log = os.path.join(self.dir, name + ".log")
        self.conf = os.path.join(self.dir, name + ".conf")
        self.env = dict(os.environ, **(env or {}))
        self.config = {
            "daemon": {"instance": name, "run_dir": self.run_dir, "workers": 2, "inflight": 2000, "log_level": "info"},
            "kafka": {"brokers": kafka.brokers, "topics": topic, "group.id": GROUP, "group.instance.id": name, "start": "earliest",
                      "partition.assignment.strategy": "range"},
            "redis": {"url": redis.url},
            "send": {},
            "admin": {"listen": "unix:" + self.admin},
        }
        for p in providers:
            self.config["provider " + p.name] = {"type": "http", "preset": "generic", "url": p.url, "max_inflight": 1000}
        for section, keys in (config or {}).items():
            for key, value in keys.items():
                self.set(section, key, value)
        self.proc = None
        self.starts = 0

    def set(self, section, key, value):
        keys = self.config.setdefault(section, {})
        if value is None:
            keys.pop(key, None)
        else:
            keys[key] = value

    def write_config(self):
        os.makedirs(self.run_dir, exist_ok=True)
        with open(self.conf, "w") as f:
            for section, keys in self.config.items():
                f.write(f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) + "\n")

    def start(self, ready=True, timeout=30):
        self.write_config()
        self.starts += 1
        self.proc = Process([BINARY, "-f", self.conf], self.log, env=self.env)
        if ready:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30):
        def is_ready():
            if not self.proc.alive():
                raise AssertionError(f"smstrackd ended with {self.proc.p.returncode}:\n{self.proc.tail()}")
            return self.get("/readyz")[0] == 200
        try:
            until(is_ready, timeout, "ready")
        except AssertionError as e:
            raise AssertionError(f"{e}\n/readyz: {self.try_get('/readyz')}\n{self.proc.tail()}") from None

    # ---- the admin API ----
    def request(self, method, path, body=None, timeout=10):
        c = UnixConnection(self.admin, timeout)
        try:
            c.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"} if body else {})
            r = c.getresponse()
            text = r.read()
            try:
                return r.status, json.loads(text)
            except ValueError:
                return r.status, text.decode()
        finally:
            c.close()

    def get(self, path, timeout=10):
        return self.request("GET", path, timeout=timeout)

    def try_get(self, path):
        try:
            return self.get(path)
        except OSError as e:
            return None, str(e)

    def state(self):
        return self.get("/v1/state")[1]

    def metrics(self):
        """{name or name{labels}: value}"""
        found = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def metric(self, name):
        """The sum of a metric over its labels."""
        m = self.metrics()
        return sum(v for k, v in m.items() if k == name or k.startswith(name + "{"))

    # ---- its life ----
    @property
    def pid(self):
        return self.proc.pid

    def signal(self, sig):
        self.proc.signal(sig)

    def stand_still(self):
        """STOP, and all its threads have stopped; kill() ends it."""
        self.signal(signal.SIGSTOP)
        tasks = f"/proc/{self.pid}/task"

        def stopped():
            states = []
            for t in os.listdir(tasks):
                with open(f"{tasks}/{t}/stat") as f:
                    states.append(f.read().rsplit(")", 1)[1].split()[0])
            return set(states) == {"T"}
        until(stopped, 10, "every thread stands still", every=0.002)

    def alive(self):
        return self.proc is not None and self.proc.alive()

    def drain(self, timeout=60):
        """TERM; its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.proc.wait(timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.proc.tail()}") from None

    def kill(self):
        return self.proc.kill()

    def cleanup(self):
        """Ends it if it runs still: by a drain, then by KILL."""
        if self.alive():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.proc.wait(15)
            except AssertionError:
                self.proc.kill()

    def ctl(self, *args, check=True, timeout=30):
        r = subprocess.run([CTL, "-s", self.admin, *args], capture_output=True, text=True, timeout=timeout, env=self.env)
        if check and r.returncode:
            raise AssertionError(f"smstrack {args}: {r.returncode}: {r.stdout}{r.stderr}")
        return r

    def log_text(self):
        with open(self.log, "rb") as f:
            return f.read()

    def log_has(self, words):
        return words.encode() in self.log_text()

    def check_log(self):
        """What no log may hold: numbers, texts, a sanitizer's report, a failed check."""
        text = self.log_text()
        for what, pattern in (("a phone number", NUMBER), ("a message text", re.compile(TEXT)), ("a bug's report", SANITIZER)):
            m = pattern.search(text)
            if m:
                line = text[text.rfind(b"\n", 0, m.start()) + 1:m.end() + (6000 if what.startswith("a bug") else 500)].decode("utf-8", "replace")
                raise AssertionError(f"{what} in {self.log}: {line}")


def job(i, prefix="m", **more):
    """A job as JSON bytes. Every text and number is recognisable in a log."""
    d = {"id": f"{prefix}{i:07d}", "to": f"+49170{i % 10000000:07d}", "from": "ACME", "text": f"SECRET-TEXT {i % 1000000:06d}",
         "campaign": ("otp", "promo", "alert", "bill")[i % 4]}
    d.update(more)
    return json.dumps({k: v for k, v in d.items() if v is not None}).encode()


def jobs(n, prefix="m", first=0, **more):
    return (job(i, prefix, **more) for i in range(first, first + n))

"""The simulated provider (provider_sim) as a process, and its ledger."""
import collections
import glob
import http.client
import json
import os
import subprocess

from proc import ROOT, Process

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = [os.path.join(HERE, f"provider_{n}.c") for n in ("sim", "conn", "rules", "wire", "sim_main")]

Entry = collections.namedtuple("Entry", "ms id part status pid")


def binary():
    """$PROVIDER_SIM, or build/tests/tools/provider_sim, built here when it is older than its sources."""
    if os.environ.get("PROVIDER_SIM"):
        return os.environ["PROVIDER_SIM"]
    out = os.path.join(ROOT, os.environ.get("B") or "build", "tests", "tools", "provider_sim")
    newest = max(os.path.getmtime(f) for f in SOURCES + glob.glob(os.path.join(HERE, "provider_*.h")))
    if not os.path.exists(out) or os.path.getmtime(out) < newest:
        os.makedirs(os.path.dirname(out), exist_ok=True)
        new = f"{out}.{os.getpid()}"
        subprocess.run(["cc", "-O2", "-g", "-std=gnu11", "-D_GNU_SOURCE", "-I" + ROOT, "-o", new, *SOURCES, "-levent_core", "-lssl", "-lcrypto",
                        "-pthread"], check=True)
        os.rename(new, out)
    return out


def certificate(folder, name="localhost", days=2, san="DNS:localhost,IP:127.0.0.1"):
    """A self-signed certificate: (cert file, key file)."""
    cert, key = (os.path.join(str(folder), f"{name}.{x}") for x in ("crt", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj",
                    f"/CN={name}", "-addext", f"subjectAltName={san}", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


class Provider:
    def __init__(self, folder, delay_ms=0, jitter_ms=0, rules=(), tls=None, ledger=True, name="provider"):
        self.dir, self.name = str(folder), name
        os.makedirs(self.dir, exist_ok=True)
        self.ledger_path = os.path.join(self.dir, name + ".ledger")
        self.options = ["-d", delay_ms, "-j", jitter_ms]
        if ledger:
            self.options += ["-l", self.ledger_path]
        for r in rules:
            self.options += ["-r", r]
        if tls:
            self.options += ["-C", tls[0], "-K", tls[1]]
        self.scheme = "https" if tls else "http"
        self.port = self.control_port = 0
        self.proc = self.connection = None

    def start(self):
        argv = [binary(), *self.options, "-p", self.port, "-c", self.control_port]
        self.proc = Process(argv, os.path.join(self.dir, self.name + ".log"), stdout=subprocess.PIPE)
        line = self.proc.p.stdout.readline().decode()
        if not line.startswith("port="):
            raise RuntimeError("provider_sim: " + line + self.proc.tail())
        self.port, self.control_port = (int(w.split("=")[1]) for w in line.split())
        return self

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/send"

    def _control(self, method, path, body=None):
        if not self.connection:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=10)
        try:
            self.connection.request(method, path, body)
            r = self.connection.getresponse()
            text = r.read()
        except Exception:
            self.connection = None
            raise
        if r.status != 200:
            raise RuntimeError(f"provider_sim {path}: {r.status} {text!r}")
        return json.loads(text)

    def stats(self):
        return self._control("GET", "/control/stats")

    def control(self, *lines):
        self._control("POST", "/control", "\n".join(lines) + "\n")

    def rule(self, *rules):
        self.control(*("rule " + r for r in rules))

    def stop(self):
        if self.proc:
            self.proc.stop()
            self.proc.p.stdout.close()
            self.proc = self.connection = None

    def kill(self):
        if self.proc:
            self.proc.kill()
            self.proc.p.stdout.close()
            self.proc = self.connection = None

    def ledger(self):
        """Every request that was read in full, in order."""
        entries = []
        try:
            with open(self.ledger_path) as f:
                for line in f:
                    if line.endswith("\n"):
                        ms, mid, part, status, pid = line.split(" ")
                        entries.append(Entry(int(ms), mid, int(part), status, pid.strip()))
        except FileNotFoundError:
            pass
        return entries

    def ledger_lines(self):
        try:
            with open(self.ledger_path, "rb") as f:
                return sum(b.count(b"\n") for b in iter(lambda: f.read(1 << 20), b""))
        except FileNotFoundError:
            return 0

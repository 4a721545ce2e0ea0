"""What is measured: our daemon, the floor, the rivals. Each knows how to be built, and how to be started on a given bench."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tools"))

from proc import ROOT, Process  # noqa: E402
from smstrackd import BINARY, Smstrackd  # noqa: E402

WORK = os.path.join(ROOT, "build", "bench")
RIVALS = os.path.join(HERE, "rivals")


def run(*argv, **kw):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)


class Subject:
    name = None
    slow = False                    # gets the short topic

    def build(self):
        """None when it is ready to run, else why not."""

    def start(self, bench, folder, inflight, n):
        """Starts it on the bench's topic and a group of its own; (process, group)."""
        raise NotImplementedError

    def finish(self, process):
        """After the measurement; raises when the subject says that something went wrong."""


class Daemon(Subject):
    name = "smstrackd"
    workers = 1

    def build(self):
        return None if os.access(BINARY, os.X_OK) else f"{BINARY} is not built"

    def config(self, bench, inflight, group):
        return {"daemon": {"workers": self.workers, "inflight": inflight, "log_level": "info"},
                "kafka": {"topics": bench.topic, "group.id": group, "dead_topic": bench.dead},
                "provider sim": {"type": "http", "preset": "generic", "url": bench.provider.url, "max_inflight": inflight}}

    def make(self, bench, folder, inflight, group):
        return Smstrackd(folder, bench.kafka, bench.redis, [], self.config(bench, inflight, group), topic=bench.topic)

    def start(self, bench, folder, inflight, n):
        group = bench.new_group()
        self.daemon = self.make(bench, folder, inflight, group)
        self.daemon.start(ready=False)
        return self.daemon.proc, group

    def finish(self, process):
        if self.daemon.drain() != 0:
            raise RuntimeError("smstrackd did not drain:\n" + process.tail())


class Peer(Subject):
    """A rival: told everything by its environment, it ends by itself after N messages."""
    env = {}

    def argv(self):
        raise NotImplementedError

    def start(self, bench, folder, inflight, n):
        os.makedirs(folder, exist_ok=True)
        group = bench.new_group()
        env = dict(os.environ, N=str(n), INFLIGHT=str(inflight), PORT=str(bench.provider.port), REDIS_PORT=str(bench.redis.port),
                   KAFKA=bench.kafka.brokers, TOPIC=bench.topic, GROUP=group, LUA_DIR=os.path.join(RIVALS, "lua"),
                   LUA2_DIR=os.path.join(RIVALS, "floor", "lua"), **self.env)
        return Process(self.argv(), os.path.join(folder, self.name + ".log"), env=env), group

    def finish(self, process):
        if process.wait(60) != 0:
            raise RuntimeError(f"{self.name} failed:\n" + process.tail())


class Floor(Peer):
    name = "floor"

    def build(self):
        r = run("sh", os.path.join(RIVALS, "floor", "build.sh"), env=dict(os.environ, WORK=WORK))
        return None if r.returncode == 0 else "floor doesn't build: " + r.stdout[-500:]

    def argv(self):
        return [os.path.join(WORK, "floor_http")]


class GoBest(Peer):
    name = "go_best"
    env = {"GOMAXPROCS": "1", "VARIANT": "fast", "WORKERS": "1", "FLUSH_US": "100"}

    def build(self):
        go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
        if not go:
            return "no Go here"
        r = run(go, "build", "-o", os.path.join(WORK, "go_peer"), ".", cwd=os.path.join(RIVALS, "go_peer"))
        return None if r.returncode == 0 else "go build: " + r.stdout[-500:]

    def argv(self):
        return [os.path.join(WORK, "go_peer")]


class GoTwo(GoBest):
    """As capacity wants it: the same program on both cores."""
    name = "go"
    env = dict(GoBest.env, GOMAXPROCS="2")


class Asyncio(Peer):
    name = "asyncio"
    slow = True
    env = {"UVLOOP": "1"}
    python = os.path.join(WORK, "venv", "bin", "python")

    def build(self):
        wanted = os.path.join(RIVALS, "requirements.txt")
        if self._imports():
            return None
        for python in ("python3", "/usr/bin/python3"):
            shutil.rmtree(os.path.join(WORK, "venv"), ignore_errors=True)
            if run(python, "-m", "venv", os.path.join(WORK, "venv")).returncode == 0:
                break
        else:
            return "no Python venv here (Debian: python3-venv)"
        r = run(self.python, "-m", "pip", "install", "-q", "-r", wanted)
        return None if self._imports() else "pip install: " + r.stdout[-500:]

    def _imports(self):
        return os.path.exists(self.python) and run(self.python, "-c", "import aiokafka, aiohttp, redis, uvloop, orjson").returncode == 0

    def argv(self):
        return [self.python, os.path.join(RIVALS, "asyncio_peer.py")]


class AsyncioBatched(Asyncio):
    name = "asyncio_batched"
    env = {"UVLOOP": "1", "REDIS_BATCH": "1"}

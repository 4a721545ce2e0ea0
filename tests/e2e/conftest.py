"""What every end-to-end test stands on: one real Kafka for the run; a Redis, a provider and topics of its own for each test.

SMSTRACK_PROOF=1 runs the proofs in full. SMSTRACKD names another binary. SMSTRACK_SLOW=N stretches every time limit (sanitizers).
SMSTRACK_KEEP=1 keeps the folders.
"""
import os
import re
import shutil
import sys
import tempfile
import uuid

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))

import kafka as kafka_server  # noqa: E402
import smstrackd  # noqa: E402
from provider import Provider  # noqa: E402
from records import Records  # noqa: E402
from redisd import RedisServer  # noqa: E402

FULL = os.environ.get("SMSTRACK_PROOF") == "1"
SLOW = float(os.environ.get("SMSTRACK_SLOW") or 1)


def size(small, full):
    return full if FULL else small


def pytest_configure(config):
    config.addinivalue_line("markers", "short: runs under sanitizers too")
    config.addinivalue_line("markers", "proof: runs only with SMSTRACK_PROOF=1")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("proof") and not FULL:
            item.add_marker(pytest.mark.skip(reason="only in `make proof`"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture(scope="session")
def scratch():
    folder = tempfile.mkdtemp(prefix="smstrack-e2e-")
    yield folder
    if not os.environ.get("SMSTRACK_KEEP"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(scratch):
    why = kafka_server.missing()
    if why:
        pytest.skip(why)
    k = kafka_server.Kafka(os.path.join(scratch, "kafka")).start()
    yield k
    k.stop()


class World:
    """A topic, a dead-letter topic and a group of its own on the run's Kafka; a Redis and a provider of its own; daemons."""

    def __init__(self, folder, kafka):
        self.dir, self.kafka = folder, kafka
        tag = uuid.uuid4().hex[:8]
        self.topic, self.dead, self.group = f"sms.outbound.{tag}", f"sms.dead.{tag}", f"group.{tag}"
        self.redis = self.provider = self.records = None
        self.providers, self.daemons = [], []

    def open(self, partitions=8, delay_ms=0, jitter_ms=0, rules=(), aof=None):
        self.kafka.create(self.topic, partitions=partitions)
        self.kafka.create(self.dead, partitions=1)
        self.redis = RedisServer(os.path.join(self.dir, "redis"), aof=aof).start()
        self.records = Records(self.redis)
        self.provider = self.add_provider("sim", delay_ms=delay_ms, jitter_ms=jitter_ms, rules=rules)
        return self

    def add_provider(self, name, **options):
        p = Provider(self.dir, name=name, **options).start()
        self.providers.append(p)
        return p

    def daemon(self, config=None, name="sms-1", start=True, **options):
        """A daemon on this world's topic, with the provider `sim`."""
        base = {"kafka": {"topics": self.topic, "dead_topic": self.dead, "group.id": self.group, "max_commit_skew": 20000}}
        for section, keys in (config or {}).items():
            base.setdefault(section, {}).update(keys)
        d = smstrackd.Smstrackd(self.dir, self.kafka, self.redis, self.providers[:1], base, name=name, topic=self.topic, **options)
        self.daemons.append(d)
        return d.start(timeout=40 * SLOW) if start else d

    def produce(self, n, prefix="m", first=0, **more):
        self.kafka.produce(self.topic, smstrackd.jobs(n, prefix, first, **more), key=lambda i: b"%d" % i)

    def produce_jobs(self, jobs, partition=None):
        self.kafka.produce(self.topic, jobs, partition=partition)

    def wait_committed(self, timeout=60):
        return self.kafka.wait_committed(self.group, self.topic, timeout * SLOW)

    def ids_by_position(self):
        """{(partition, offset): id} of everything on the topic, for records that are JSON with an id."""
        import json
        found = {}
        for m in self.kafka.read_all(self.topic):
            found[m.partition(), m.offset()] = json.loads(m.value())["id"]
        return found

    def check_committed(self):
        """The committed offsets equal the log's ends, as Kafka's own tool reports them."""
        rows = self.kafka.describe(self.group)
        ends = self.kafka.ends(self.topic)
        for p, end in ends.items():
            if end:
                committed, log_end, lag = rows[self.topic, p]
                assert (committed, log_end, lag) == (end, end, 0), f"partition {p}: {rows[self.topic, p]}, the log ends at {end}"

    def check_ledger(self, ids, records, again=lambda r: r.uncertain):
        """Every id was sent, none oftener than 1 + what its record allows; (requests, ids sent again)."""
        times = {}
        for e in self.provider.ledger():
            times[e.id, e.part] = times.get((e.id, e.part), 0) + 1
        unsent = [i for i in ids if (i, 1) not in times]
        assert not unsent, f"{len(unsent)} ids never reached the provider, such as {unsent[:3]}"
        repeated = 0
        for (mid, part), n in times.items():
            allowed = 1 + again(records[mid])
            assert n <= allowed, f"{mid} part {part} was sent {n} times, its record allows {allowed}: {records[mid]}"
            repeated += n > 1
        return sum(times.values()), repeated

    def describe(self):
        """For the report of a failure."""
        out = []
        for d in self.daemons:
            if d.proc:
                out.append(f"---- {d.name}: {'runs' if d.alive() else 'ended with ' + str(d.proc.p.returncode)}; the end of its log:\n{d.proc.tail(60)}")
                if d.alive():
                    out.append(f"/readyz: {d.try_get('/readyz')}\n/v1/state: {d.try_get('/v1/state')}")
        for p in self.providers:
            if p.proc and not p.proc.alive():
                out.append(f"---- provider {p.name} ended with {p.proc.p.returncode}; the end of its log:\n{p.proc.tail(60)}")
        try:
            out.append(f"---- provider: {self.provider.stats()}")
            out.append(f"---- records: {dict(self.records.states())}")
            out.append(f"---- committed: {self.kafka.committed(self.group, self.topic)} ends: {self.kafka.ends(self.topic)}")
        except Exception as e:
            out.append(f"---- ({e!r})")
        return "\n".join(out)

    def close(self):
        for d in self.daemons:
            d.cleanup()
        for p in self.providers:
            p.stop()
        if self.redis:
            if self.redis.proc:
                self.redis.resume()
            self.redis.stop()

    def check_logs(self):
        for d in self.daemons:
            if d.starts:
                d.check_log()


@pytest.fixture
def world(request, scratch, kafka):
    """`world.open(...)`, then `world.daemon(...)`; all is ended after the test and every log is searched for what it may not hold."""
    w = World(tempfile.mkdtemp(prefix=re.sub(r"\W", "_", request.node.name)[:40] + "-", dir=scratch), kafka)
    yield w
    report = getattr(request.node, "report_call", None)
    failed = report is not None and report.failed
    if failed:
        print(w.describe())
    w.close()
    if not failed:
        w.check_logs()
        if not os.environ.get("SMSTRACK_KEEP"):
            shutil.rmtree(w.dir, ignore_errors=True)

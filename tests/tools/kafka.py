"""A real Apache Kafka, broker and controller in one process, from the jars that etc/deps.sh fetched."""
import base64
import glob
import os
import signal
import subprocess
import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from proc import ROOT, Process, free_ports, until

VERSION = "4.1.1"
HOME = os.environ.get("SMSTRACK_KAFKA_DIR") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "smstrackd", "kafka-" + VERSION)

LOG4J = """status = error
appenders = out
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRefs = out
rootLogger.appenderRef.out.ref = OUT
"""


def missing():
    """Why Kafka can't be run here; None: it can."""
    if not glob.glob(os.path.join(HOME, "libs", "kafka_2.13-*.jar")):
        return f"no Kafka jars in {HOME}: etc/deps.sh test fetches them"
    if subprocess.run(["java", "-version"], capture_output=True).returncode:
        return "no java"
    return None


class Kafka:
    """`quick`: the JVM starts and idles cheaply; benchmarks switch it off."""

    def __init__(self, folder, quick=True, heap="512m"):
        self.dir = str(folder)
        os.makedirs(self.dir, exist_ok=True)
        self.jvm = ["java", "-Xmx" + heap, "-Xms256m", "-Dlog4j2.configurationFile=" + os.path.join(self.dir, "log4j2.properties"),
                    "-cp", os.path.join(HOME, "libs", "*")]
        if quick:
            self.jvm[1:1] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        self.proc = None
        self.port, self.control_port = free_ports(2)
        self.brokers = f"127.0.0.1:{self.port}"
        self._configure()

    def _configure(self):
        with open(os.path.join(self.dir, "log4j2.properties"), "w") as f:
            f.write(LOG4J)
        self.properties = os.path.join(self.dir, "server.properties")
        with open(self.properties, "w") as f:
            f.write("\n".join([
                "process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@127.0.0.1:{self.control_port}",
                f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.control_port}",
                f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}", "controller.listener.names=CONTROLLER",
                "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT", f"log.dirs={self.dir}/data",
                "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=4", "transaction.state.log.replication.factor=1",
                "transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=2", "share.coordinator.state.topic.replication.factor=1",
                "share.coordinator.state.topic.min.isr=1", "group.initial.rebalance.delay.ms=0", "auto.create.topics.enable=false",
                "message.max.bytes=2097152", "num.network.threads=2", "num.io.threads=2", "log.retention.check.interval.ms=3600000",
                "group.min.session.timeout.ms=1000", ""]))
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", self.properties)

    def _java(self, *args, timeout=120):
        r = subprocess.run(self.jvm + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        if r.returncode:
            raise RuntimeError(f"{args[0]}: {r.stdout}\n{r.stderr}")
        return r.stdout

    def start(self, wait=True):
        self.proc = Process(self.jvm + ["kafka.Kafka", self.properties], os.path.join(self.dir, "kafka.log"))
        if wait:
            self.wait_up()
        return self

    def wait_up(self, timeout=60):
        def up():
            if not self.proc.alive():
                raise RuntimeError("Kafka ended:\n" + self.proc.tail())
            return self.admin().list_topics(timeout=2).brokers
        until(up, timeout, "Kafka answers", every=0.1)

    def stop(self):
        """TERM and wait: an orderly shutdown."""
        if self.proc:
            self.proc.stop()
            self.proc = None

    def kill(self):
        if self.proc:
            self.proc.kill()
            self.proc = None

    def pause(self):
        self.proc.signal(signal.SIGSTOP)

    def resume(self):
        self.proc.signal(signal.SIGCONT)

    def admin(self):
        return AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})

    def create(self, *topics, partitions=1, config=None):
        """Makes topics and waits until each has its leaders."""
        admin = self.admin()
        for f in admin.create_topics([NewTopic(t, partitions, 1, config=config or {}) for t in topics]).values():
            f.result(30)

        def led():
            known = admin.list_topics(timeout=5).topics
            return all(t in known and len(known[t].partitions) == partitions and
                       all(p.leader == 1 for p in known[t].partitions.values()) for t in topics)
        until(led, 30, f"topics {topics} have leaders")

    def delete(self, *topics):
        admin = self.admin()
        for f in admin.delete_topics(list(topics)).values():
            f.result(30)

    def produce(self, topic, values, key=None, partition=None, headers=None):
        """Produces each value (bytes, or None for a tombstone), in order, and waits until all are acknowledged."""
        failed = []
        p = Producer({"bootstrap.servers": self.brokers, "linger.ms": 5, "queue.buffering.max.messages": 500000, "log_level": 0,
                      "message.max.bytes": 2097152, "acks": "all"})

        def on_delivery(err, _):
            if err:
                failed.append(err)
        more = {}
        if partition is not None:
            more["partition"] = partition
        if headers:
            more["headers"] = headers
        for i, value in enumerate(values):
            k = key(i) if key else None
            while True:
                try:
                    p.produce(topic, value, k, on_delivery=on_delivery, **more)
                    break
                except BufferError:
                    p.poll(0.1)
            if i % 1000 == 0:
                p.poll(0)
        left = p.flush(120)
        if left or failed:
            raise RuntimeError(f"produce: {left} unacknowledged, {len(failed)} failed: {failed[:1]}")

    def _reader(self, group="reader-" + uuid.uuid4().hex):
        return Consumer({"bootstrap.servers": self.brokers, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
                         "log_level": 0, "fetch.message.max.bytes": 4194304})

    def partitions(self, topic):
        return sorted(self.admin().list_topics(topic, timeout=10).topics[topic].partitions)

    def ends(self, topic):
        """{partition: log end}"""
        c = self._reader()
        try:
            return {p: c.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in self.partitions(topic)}
        finally:
            c.close()

    def committed(self, group, topic, timeout=20):
        """{partition: committed offset or None}, asked without joining the group. Quick; describe() is the oracle."""
        with self.watch(group, topic) as w:
            return until(w.now, timeout, f"committed offsets of {group}", every=0.1)

    def watch(self, group, topic):
        return CommitWatch(self, group, topic)

    def wait_committed(self, group, topic, timeout, every=0.2):
        """Waits until the committed offsets equal the log's ends."""
        ends = {p: e for p, e in self.ends(topic).items() if e > 0}
        with self.watch(group, topic) as w:
            until(lambda: all((w.now().get(p) or 0) >= e for p, e in ends.items()), timeout,
                  f"group {group} committed up to the end of {topic}", every)
        return ends

    def describe(self, group):
        """What Kafka's own ConsumerGroupCommand says: {(topic, partition): (committed, end, lag)}."""
        out = self._java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", self.brokers, "--describe",
                         "--group", group, "--offsets")
        rows = {}
        for line in out.splitlines():
            f = line.split()
            if len(f) >= 6 and f[0] == group and f[2].isdigit():
                number = [int(x) if x.isdigit() else None for x in f[3:6]]
                rows[f[1], int(f[2])] = tuple(number)
        return rows

    def members(self, group):
        """The number of members of a group that hold partitions."""
        out = self._java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", self.brokers, "--describe",
                         "--group", group, "--members")
        return sum(1 for line in out.splitlines() if line.startswith(group + " "))

    def read_all(self, topic, timeout=30):
        """Every message of the topic up to its end as it is now."""
        ends = self.ends(topic)
        want = sum(ends.values())
        c, got = self._reader(), []
        try:
            c.assign([TopicPartition(topic, p, 0) for p in ends])
            left = {p for p, e in ends.items() if e > 0}

            def more():
                for m in c.consume(1000, 0.5):
                    if m.error():
                        continue
                    got.append(m)
                    if m.offset() + 1 >= ends[m.partition()]:
                        left.discard(m.partition())
                return not left
            until(more, timeout, f"read {want} messages of {topic}", every=0)
            return got
        finally:
            c.close()


class CommitWatch:
    """Asks for committed offsets again and again over one connection."""

    def __init__(self, kafka, group, topic):
        self.topics = [TopicPartition(topic, p) for p in kafka.partitions(topic)]
        self.c = kafka._reader(group)

    def now(self):
        got = self.c.committed(self.topics, timeout=10)
        for t in got:
            if t.error:
                raise KafkaException(t.error)
        return {t.partition: t.offset if t.offset >= 0 else None for t in got}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.c.close()

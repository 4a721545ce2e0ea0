"""bench.py [http_path | capacity | classic | all]: our daemon beside the floor and its rivals, on the same Kafka, Redis and provider.

Every subject is measured from outside and in the same way: its CPU by /proc/PID/stat, from its first request to the provider until
the broker shows its last commit. Prints a table, and writes build/bench.json: rows of bench, subject, metric, unit, median, min, max, n.
Environment: ROUNDS (3), N (100000), N_SLOW (20000, for asyncio), DELAYS ("0 50"), INFLIGHT (1000), SUBJECTS (names).
"""
import json
import os
import shutil
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "tools"))

import bench_runtime  # noqa: E402
import subjects  # noqa: E402
from kafka import Kafka, missing  # noqa: E402
from proc import ROOT, TICK, until  # noqa: E402
from provider import Provider  # noqa: E402
from records import Records  # noqa: E402
from redisd import RedisServer  # noqa: E402

E = os.environ.get
ROUNDS, N, N_SLOW, INFLIGHT = (int(E(k, d)) for k, d in (("ROUNDS", "3"), ("N", "100000"), ("N_SLOW", "20000"), ("INFLIGHT", "1000")))
DELAYS = [int(d) for d in E("DELAYS", "0 50").split()]
CAPACITY_INFLIGHT, CAPACITY_N = 10000, int(E("CAPACITY_N", "30000"))
CLASSIC_N = [int(n) for n in E("CLASSIC_N", "1 10 50 100 200 300 1000 10000").split()]
OUT = os.path.join(ROOT, "build", "bench.json")


def stat(pid):
    """(state, CPU seconds): also of a process that has ended, until it is waited for."""
    with open(f"/proc/{pid}/stat") as f:
        field = f.read().rsplit(")", 1)[1].split()
    return field[0], (int(field[11]) + int(field[12])) / TICK


def peak_rss_mb(pid):
    try:
        with open(f"/proc/{pid}/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0


def bench_jobs(n):
    """The job of the figures in README.md: 100 bytes of JSON, four campaigns."""
    camps = ["otp", "promo", "alert", "bill"]
    for i in range(1, n + 1):
        yield b'{"id":"m%07d","to":"+49170%07d","from":"ACME","text":"Your code is %06d","campaign":"%s"}' % (
            i, i, i * 7919 % 1000000, camps[i % 4].encode())


class Bench:
    def __init__(self, folder):
        self.dir = folder
        self.kafka = Kafka(os.path.join(folder, "kafka"), quick=False, heap="1g").start()
        self.redis = RedisServer(os.path.join(folder, "redis")).start()
        self.dead, self.groups, self.topics, self.provider, self.topic = "sms.dead", 0, {}, None, None
        self.kafka.create(self.dead, partitions=1)

    def close(self):
        if self.provider:
            self.provider.stop()
        self.redis.stop()
        self.kafka.stop()

    def new_group(self):
        self.groups += 1
        return f"bench-{self.groups}"

    def use_topic(self, n):
        if n not in self.topics:
            name = f"jobs.{n}"
            self.kafka.create(name, partitions=8)
            self.kafka.produce(name, bench_jobs(n), key=lambda i: b"m%07d" % (i + 1))
            self.topics[n] = name, self.kafka.ends(name)
        self.topic, self.ends = self.topics[n]

    def use_provider(self, delay_ms):
        """A fresh one for every run: nobody profits from another's connections."""
        if self.provider:
            self.provider.stop()
        self.provider = Provider(self.dir, delay_ms=delay_ms, ledger=False).start()

    def measure(self, subject, n, inflight, delay_ms, timeout=300):
        """One run; {metric: value}."""
        self.use_topic(n)
        self.use_provider(delay_ms)
        self.redis.client().flushall()
        folder = tempfile.mkdtemp(prefix=subject.name + "-", dir=self.dir)
        process, group = subject.start(self, folder, inflight, n)
        try:
            got = self._watch(process, group, n, timeout)
            subject.finish(process)
        except Exception:
            print(process.tail(), file=sys.stderr)
            raise
        finally:
            process.kill()
        stats = self.provider.stats()
        if stats["requests"] != n:
            raise RuntimeError(f"{subject.name}: {stats['requests']} requests for {n} messages")
        got["connections"] = stats["connections"]
        shutil.rmtree(folder, ignore_errors=True)
        return got

    def _watch(self, process, group, n, timeout):
        pid, redis_pid, provider_pid = process.pid, self.redis.proc.pid, self.provider.proc.pid

        def ended():
            return stat(pid)[0] == "Z"

        until(lambda: self.provider.stats()["requests"] > 0 or ended(), 60, "the first request", every=0.003)
        t0, (_, cpu0), redis0, provider0 = time.monotonic(), stat(pid), stat(redis_pid)[1], stat(provider_pid)[1]
        rss, replied = 0, None
        with self.kafka.watch(group, self.topic) as watch:
            def all_committed():
                nonlocal rss, replied
                rss = max(rss, peak_rss_mb(pid))
                if replied is None and self.provider.stats()["replies"] >= n:
                    replied = time.monotonic() - t0
                if ended() and replied is None and self.provider.stats()["requests"] < n:
                    raise RuntimeError("it ended early:\n" + process.tail())
                now = watch.now()
                return all((now.get(p) or 0) >= e for p, e in self.ends.items())
            end = time.monotonic() + timeout
            while True:
                try:
                    if all_committed():
                        break
                except RuntimeError:
                    raise
                except Exception:
                    if time.monotonic() > end:
                        raise
                if time.monotonic() > end:
                    raise RuntimeError(f"not committed within {timeout} s")
                time.sleep(0.02)
            wall, (_, cpu1) = time.monotonic() - t0, stat(pid)
        return {"cpu_us_per_message": (cpu1 - cpu0) / n * 1e6, "messages_per_s": n / (replied or wall), "rss_mb": rss, "wall_s": wall,
                "replied_s": replied or wall, "redis_cpu_us_per_message": (stat(redis_pid)[1] - redis0) / n * 1e6,
                "provider_cpu_us_per_message": (stat(provider_pid)[1] - provider0) / n * 1e6}


UNITS = {"cpu_us_per_message": "us", "messages_per_s": "1/s", "rss_mb": "MB", "wall_s": "s", "replied_s": "s", "redis_cpu_us_per_message": "us",
         "connections": "1", "provider_cpu_us_per_message": "us"}


class Results:
    def __init__(self, bench):
        self.bench, self.samples = bench, {}

    def add(self, subject, metrics, suffix=""):
        for metric, value in metrics.items():
            self.samples.setdefault((subject, metric + suffix, UNITS[metric]), []).append(value)

    def rows(self):
        return [{"bench": self.bench, "subject": s, "metric": m, "unit": u, "median": round(statistics.median(v), 4), "min": round(min(v), 4),
                 "max": round(max(v), 4), "n": len(v)} for (s, m, u), v in self.samples.items()]

    def write(self):
        """Replaces this bench's rows and keeps those of the others."""
        try:
            with open(OUT) as f:
                kept = [r for r in json.load(f) if r["bench"] != self.bench]
        except (OSError, ValueError):
            kept = []
        os.makedirs(os.path.dirname(OUT), exist_ok=True)
        with open(OUT, "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(r) for r in kept + self.rows()) + "\n]\n")

    def cell(self, subject, metric, unit):
        v = self.samples.get((subject, metric, unit))
        return f"{statistics.median(v):.4g} ({min(v):.4g}-{max(v):.4g})" if v and len(v) > 1 else f"{v[0]:.4g}" if v else "-"

    def table(self):
        found = list(dict.fromkeys(s for s, _, _ in self.samples))
        metrics = list(dict.fromkeys((m, u) for _, m, u in self.samples))
        print(f"\n{self.bench}: median (min-max)")
        rows = [("", found)] + [(f"{m} [{u}]", [self.cell(s, m, u) for s in found]) for m, u in metrics]
        width = max(len(name) for name, _ in rows) + 1
        columns = [max(len(cells[i]) for _, cells in rows) + 2 for i in range(len(found))]
        for name, cells in rows:
            print(f"{name:{width}}" + "".join(f"{c:>{w}}" for c, w in zip(cells, columns)))
        sys.stdout.flush()


def ready(classes):
    """Builds the subjects; the ones that can't be are left out aloud."""
    os.makedirs(subjects.WORK, exist_ok=True)
    wanted, there = E("SUBJECTS", "").split(), []
    for c in classes:
        s = c()
        if wanted and s.name not in wanted:
            continue
        why = s.build()
        if why:
            print(f"{s.name}: left out: {why}")
        else:
            there.append(s)
    return there


def interleave(bench, there, runs, results):
    """`runs`: (subject -> n, inflight, delay, suffix); every round runs them all once."""
    for r in range(ROUNDS):
        for run in runs:
            for s in there:
                n, inflight, delay, suffix = run(s)
                got = bench.measure(s, n, inflight, delay)
                results.add(s.name, got, suffix)
                print(f"round {r + 1}  {s.name:16} delay {delay:4} ms  {n} messages  {got['cpu_us_per_message']:7.1f} us CPU  "
                      f"{got['messages_per_s']:7.0f}/s  {got['rss_mb']:6.1f} MB  redis {got['redis_cpu_us_per_message']:5.1f} us", flush=True)


def print_config(bench, inflight):
    """All that is set; strict validation of records is not an option, it is always on."""
    s = subjects.Daemon()
    print("smstrackd's configuration, one worker, every record validated:")
    for section, keys in s.make(bench, os.path.join(bench.dir, "shown"), inflight, "bench-N").config.items():
        print(f"  [{section}]  " + "  ".join(f"{k} = {v}" for k, v in keys.items()))


def http_path(bench):
    there = ready([subjects.Daemon, subjects.Floor, subjects.GoBest, subjects.Asyncio, subjects.AsyncioBatched])
    results = Results("http_path")
    bench.use_topic(N)
    bench.use_provider(0)
    print_config(bench, INFLIGHT)
    interleave(bench, there, [lambda s, d=d: (N_SLOW if s.slow else N, INFLIGHT, d, f"_{d}ms" if d else "") for d in DELAYS], results)
    verdict_http(results)
    return results


def median(results, subject, metric):
    v = results.samples.get((subject, metric, UNITS[metric]))
    return statistics.median(v) if v else None


def bar(text, mine, limit):
    if mine is None or limit is None:
        print(f"  ?   {text}: not measured")
    else:
        print(f"  {'ok ' if mine <= limit else 'NO '} {text}: {mine:.4g}, bar {limit:.4g}")


def times(a, b):
    return None if a is None else a * b


def verdict_http(r):
    def cpu(s):
        return median(r, s, "cpu_us_per_message")
    print("\nbars (CPU per message, delay 0):")
    bar("<= 1.5 x floor", cpu("smstrackd"), times(cpu("floor"), 1.5))
    bar(">= 1.5 x less than the best Go", cpu("smstrackd"), times(cpu("go_best"), 1 / 1.5))
    bar(">= 20 x less than asyncio", cpu("smstrackd"), times(cpu("asyncio"), 1 / 20))
    bar("redis-server no more than with Go", median(r, "smstrackd", "redis_cpu_us_per_message"), median(r, "go_best", "redis_cpu_us_per_message"))


def capacity(bench):
    """10,000 in flight against a provider that takes 1 s; connecting is inside the measured time."""
    there = ready([subjects.Daemon, subjects.GoBest, subjects.GoTwo])
    results = Results("capacity")
    interleave(bench, there, [lambda s: (CAPACITY_N, CAPACITY_INFLIGHT, 1000, "")], results)
    print("\nbars:")
    bar("RSS in MB", max(results.samples.get(("smstrackd", "rss_mb", "MB"), [1e9])), 200)
    rivals = [x for x in (median(results, s, "replied_s") for s in ("go_best", "go")) if x]
    bar("no slower than Go (s to the last reply)", median(results, "smstrackd", "replied_s"), min(rivals) if rivals else None)
    return results


def classic(bench):
    """N sends to a provider that takes 1 s: the time from the first claim to the last outcome, as the stamps in Redis have it."""
    there = ready([subjects.Daemon, subjects.GoBest])
    results = Results("classic")
    for r in range(ROUNDS):
        for n in CLASSIC_N:
            for s in there:
                bench.measure(s, n, max(n, 10), 1000)
                wall = Records(bench.redis).span_s() if s.name == "smstrackd" else peer_span_s(bench.redis)
                results.samples.setdefault((s.name, f"wall_s_{n}", "s"), []).append(wall)
                print(f"round {r + 1}  {s.name:10} N = {n:6}  {wall:.3f} s", flush=True)
    print("\nbars:")
    for n in CLASSIC_N:
        mine, go = (statistics.median(results.samples.get((s, f"wall_s_{n}", "s"), [0])) or None for s in ("smstrackd", "go_best"))
        bar(f"N = {n}", mine, go if n > 1000 else 1.0 * 1.15 + 0.05)
    return results


def peer_span_s(redis):
    """The same out of the rivals' hashes."""
    c = redis.client(decode_responses=True)
    keys = list(c.scan_iter("sms:*:m:*", 10000))
    first, last = 1 << 62, 0
    for at in range(0, len(keys), 1000):
        p = c.pipeline(transaction=False)
        for k in keys[at:at + 1000]:
            p.hmget(k, "sending_at", "sent_at")
        for sending, sent in p.execute():
            first, last = min(first, int(sending)), max(last, int(sent))
    return (last - first) / 1000


BENCHES = {"http_path": http_path, "capacity": capacity, "classic": classic}


def main():
    which = (sys.argv[1] if len(sys.argv) > 1 else E("BENCH")) or "all"
    if which not in ("all", "runtime", *BENCHES):
        sys.exit(f"bench.py: no bench {which}; there are: {' '.join(BENCHES)} runtime")
    if which in ("all", "runtime"):
        results = bench_runtime.bench(Results("runtime"), UNITS, ROUNDS)
        results.write()
        results.table()
        bench_runtime.verdict(results)
        if which == "runtime":
            return
    why = missing()
    if why:
        sys.exit("bench.py: " + why)
    folder = tempfile.mkdtemp(prefix="smstrack-bench-")
    bench = Bench(folder)
    try:
        for name in BENCHES if which == "all" else [which]:
            results = BENCHES[name](bench)
            results.write()
            results.table()
    finally:
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nwritten: {os.path.relpath(OUT)}")


if __name__ == "__main__":
    main()

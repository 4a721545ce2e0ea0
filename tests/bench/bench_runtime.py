"""The runtime beside boost's fcontext, ucontext, threads, Go, asyncio and uvloop: `make bench BENCH=runtime`, then pass or miss.

Everything prints `[subject] metric value`: coro_bench, mechanisms and runtime_bench (ours, and C's own rivals), and the programs in
rivals/runtime. Instructions are callgrind's. ROUNDS (3) rounds, subjects in turn; PARKED (1000000) tasks at most; SUBJECTS
(names) narrows it down. What can't run here is left out aloud. About six minutes.
"""
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

E = os.environ.get
PARKED = int(E("PARKED", "1000000"))
HERE = os.path.dirname(os.path.abspath(__file__))
RIVALS = os.path.join(HERE, "rivals", "runtime")
UNITS = {"ns": "ns", "us": "us", "s": "s", "ms": "ms", "bytes": "bytes", "mb": "MB", **dict.fromkeys(("1k", "10k", "100k", "1m"), "instructions")}


def run(*command, timeout=300):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise OSError(f"not done within {timeout} s")
    if done.returncode != 0:
        raise OSError((done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1])
    return done.stdout


def lines(text, subject):
    """(subject, metric, value) of each line."""
    for line in text.splitlines():
        words = line.split()
        yield (*([subject] if len(words) == 2 else []), *words[:-1], float(words[-1]))


@contextlib.contextmanager
def held(program, mb):
    """Meanwhile so much free memory stays with this machine, should its host want it back (runtime_bench.c, hold)."""
    with subprocess.Popen([program, "hold", str(mb)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        if holder.stdout.readline().strip() != b"ready":
            raise OSError(f"{mb} MB can't be had")
        yield
        holder.stdin.close()


def instructions(program, what, n):
    """Per member or task: what n cost over what n / 2 cost, so that the start falls out."""
    def total(some):
        out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, what, str(some)],
                             capture_output=True, text=True, timeout=300)
        return int(re.search(r"Collected : (\d+)", out.stderr).group(1))
    return (total(n) - total(n // 2)) / (n - n // 2)


class Subject:
    def __init__(self, name, folder):
        self.name, self.folder = name, folder

    def build(self):
        """Raises OSError with why it can't be."""

    def round(self, first):
        """(subject, metric, value), by turns."""


class Coro(Subject):
    """Ours; and what runtime_bench measures itself: ucontext, threads, and stacks without tasks."""

    def program(self, name):
        return os.path.join(E("B", "build"), "tests", "bench", name)

    def build(self):
        run("make", "-s", "B=" + E("B", "build"), *(self.program(p) for p in ("coro_bench", "mechanisms", "runtime_bench")))

    def round(self, first):
        bench = self.program("runtime_bench")
        for program in (self.program("coro_bench"), self.program("mechanisms"), bench):
            yield from lines(run(program), "coro")
        with held(bench, max(PARKED, 100000) * 6000 >> 20):
            for n in sorted({1000, 100000} - {PARKED}):
                yield from lines(run(bench, "parked", str(n)), "coro")
            for _ in range(3):
                yield from lines(run(bench, "storms"), "coro")
                yield from lines(run(bench, "bare", str(PARKED)), "bare")
                yield from lines(run(bench, "parked", str(PARKED)), "coro")
        if first and shutil.which("valgrind"):
            for what, name, n in (("waitset", "1k", 1000), ("waitset", "1m", 1000000), ("cancel", "10k", 10000), ("cancel", "100k", 100000)):
                yield "coro", f"{what}_instr_{name}", instructions(bench, what, n)
        elif first:
            print("waitset_instr, cancel_instr: left out: no valgrind")


class Rival(Subject):
    park = (1000, 100000, PARKED)

    def command(self):
        return [os.path.join(self.folder, self.name)]

    def round(self, first):
        yield from lines(run(*self.command()), self.name)
        for n in sorted(set(self.park)) if first else ():
            yield from lines(run(*self.command(), "parked", str(n)), self.name)


class Fcontext(Rival):
    park = ()

    def build(self):
        # Static, so that no table of the linker's stands between.
        run(E("CC", "cc"), "-O2", "-o", *self.command(), os.path.join(RIVALS, "fcontext.c"), "-Wl,-Bstatic", "-lboost_context", "-Wl,-Bdynamic")


class Threads(Rival):
    park = ()       # a thousand by itself

    def build(self):
        run(E("CC", "cc"), "-O2", "-o", *self.command(), os.path.join(RIVALS, "threads.c"), "-pthread")


class Go(Rival):
    def build(self):
        go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
        if not go:
            raise OSError("no Go here")
        run(go, "build", "-o", *self.command(), os.path.join(RIVALS, "main.go"))


class Asyncio(Rival):
    def command(self):
        return [sys.executable, os.path.join(RIVALS, "aio.py"), self.name]


class Uvloop(Asyncio):
    """Debian's, or that of the other benches."""

    def command(self):
        return [self.python, *super().command()[1:]]

    def build(self):
        for self.python in (sys.executable, os.path.join(HERE, "..", "..", "build", "bench", "venv", "bin", "python")):
            try:
                run(self.python, "-c", "import uvloop")
                return
            except OSError as e:
                why = e
        raise OSError(f"{why} (Debian: python3-uvloop)")


SUBJECTS = {"coro": Coro, "fcontext": Fcontext, "threads": Threads, "go": Go, "asyncio": Asyncio, "uvloop": Uvloop}


def ready(folder):
    there = []
    for name in E("SUBJECTS", "").split() or SUBJECTS:
        subject = SUBJECTS[name](name, folder)
        try:
            subject.build()
            there.append(subject)
        except OSError as e:
            print(f"{name}: left out: {e}")
    return there


def unit(metric):
    return UNITS[metric.rsplit("_", 1)[1]]


def bench(results, units, rounds):
    def add(subject, metric, value):
        units[metric] = unit(metric)
        results.add(subject, {metric: value})
    with tempfile.TemporaryDirectory(prefix="smstrack-bench-") as folder:
        there = ready(folder)
        for i in range(rounds):
            for subject in there:
                print(f"round {i + 1}  {subject.name}", flush=True)
                try:
                    for name, metric, value in subject.round(i == 0):
                        add(name, metric, value)
                        if metric in (f"parked_{PARKED}_bytes",) or (name == "threads" and metric == "parked_1000_bytes"):
                            add(name, "parked_bytes", value)
                except OSError as e:
                    print(f"{subject.name}: {e}")
    return results


# ---- pass or miss ----

def verdict(results):
    def m(subject, metric):
        value = results.samples.get((subject, metric, unit(metric)))
        return statistics.median(value) if value else None

    def bar(row, text, got, limit, least=False):
        if got is None or limit is None:
            print(f"  ?     {row}  {text}: not measured")
        else:
            fine = got >= limit if least else got <= limit
            print(f"  {'pass' if fine else 'MISS'}  {row}  {text}: {got:.4g}, bar {'>=' if least else '<='} {limit:.4g}")

    def over(a, b):
        return a / b if a and b else None
    switch, rivals = m("coro", "switch_ns"), [v for s in ("fcontext", "ucontext", "threads") if (v := m(s, "switch_ns"))]
    print("\nbars (medians):")
    bar(2, "bare switch in ns, beside the fastest rival in C", switch, min(rivals) if rivals else None)
    bar(2, "times faster than asyncio's switch", over(m("asyncio", "switch_ns"), switch), 300, least=True)
    bar(3, "create + run + finish + await, times faster than asyncio", over(m("asyncio", "spawn_finish_ns"), m("coro", "spawn_finish_ns")), 50, least=True)
    bar(3, "the same in ns, beside a goroutine with a channel's reply", m("coro", "spawn_finish_ns"), m("go", "spawn_finish_ns"))
    bar(4, "waitset: instructions a completion, of 1M members over 1k", over(m("coro", "waitset_instr_1m"), m("coro", "waitset_instr_1k")), 1.1)
    first = m("asyncio", "wait_first_8000_s")
    bar(4, "wait for the first of 8,000 in a loop, times faster than asyncio", over(first, m("coro", "wait_first_8000_s")), 100, least=True)
    bar(4, "the same by waitset", over(first, m("coro", "waitset_s")), 1000, least=True)
    bar(5, f"bytes of each of {PARKED} parked tasks", m("coro", f"parked_{PARKED}_bytes"), 4600)
    bar(5, "CPU time to park them over that of bare stacks", over(m("coro", f"park_{PARKED}_cpu_s"), m("bare", f"park_{PARKED}_cpu_s")), 1.3)
    for when, metric in (("right after parking, in what caches they get", "%s_%s_ms"), ("after other work, both in memory", "%s_waited_%s_ms")):
        for what, text in (("cancel", "on one future"), ("unwait", "each by wait(), so that the future lives on and loses them one by one"),
                           ("leave", "on one event")):
            bar(6, f"cancel of 100,000 over that of 10,000, {text}; {when}",
                over(m("coro", metric % (what, "100k")), m("coro", metric % (what, "10k"))), 12)
        floor = over(m("floor", metric % ("cancel", "100k")), m("floor", metric % ("cancel", "10k")))
        if floor:
            print(f"  seen  6  the same of the floor, which only touches that memory: {floor:.4g}, in "
                  f"{over(m('floor', metric % ('cancel', '100k')), m('coro', metric % ('cancel', '100k'))):.2g} of our time")
    bar(6, "cancel in instructions a task, of 100,000 over 10,000", over(m("coro", "cancel_instr_100k"), m("coro", "cancel_instr_10k")), 1.2)

"""The runtime beside asyncio, uvloop, Go, ucontext and threads: `make bench BENCH=runtime`. Subjects that can't run here are said.

Everything in C comes from coro_bench and runtime_bench, which print `[subject] metric value`; asyncio and Go run the same in their own
words; the waitset's instructions are counted by callgrind. ROUNDS rounds, subjects in turn; WAIT_FIRST (8000) tasks, PARKED (100000).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

E = os.environ.get
WAIT_FIRST, PARKED = int(E("WAIT_FIRST", "8000")), int(E("PARKED", "100000"))
UNITS = {"ns": "ns", "s": "s", "ms": "ms", "bytes": "bytes", "mb": "MB", "1k": "instructions", "1m": "instructions"}

ASYNCIO = """
import asyncio, sys, time
async def nothing(): pass
async def life(n):
    t = time.perf_counter()
    for _ in range(n): await asyncio.create_task(nothing())
    return (time.perf_counter() - t) / n * 1e9
async def zero(n):
    for _ in range(n): await asyncio.sleep(0)
async def switch(n):
    t = time.perf_counter()
    await asyncio.gather(zero(n), zero(n))
    return (time.perf_counter() - t) / (4 * n) * 1e9
async def first(n):
    loop = asyncio.get_running_loop()
    fs = [loop.create_future() for _ in range(n)]
    pending, t = set(fs), time.perf_counter()
    while pending:
        fs.pop().set_result(0)
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    return time.perf_counter() - t
if sys.argv[1] == "uvloop":
    import uvloop
    run = uvloop.run
else:
    run = asyncio.run
print("switch_ns", run(switch(20000)))
print("spawn_finish_ns", run(life(20000)))
print("wait_first_%d_s" % int(sys.argv[2]), run(first(int(sys.argv[2]))))
"""

GO = """package main
import ("fmt"; "runtime"; "time")
func main() {
	runtime.GOMAXPROCS(1)
	const n = 500000
	c := make(chan int)
	t := time.Now()
	for i := 0; i < n; i++ { go func() { c <- 1 }(); <-c }
	fmt.Println("spawn_finish_ns", float64(time.Since(t).Nanoseconds()) / n)
	done := make(chan bool)
	go func() { for i := 0; i < n; i++ { runtime.Gosched() }; done <- true }()
	t = time.Now()
	for i := 0; i < n; i++ { runtime.Gosched() }
	fmt.Println("switch_ns", float64(time.Since(t).Nanoseconds()) / (2 * n))
	<-done
}
"""


def run(command, timeout=110):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise OSError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}")
    return done.stdout


def lines(text, subject):
    """(subject, metric, value) of each line."""
    for line in text.splitlines():
        words = line.split()
        yield (*([subject] if len(words) == 2 else []), *words[:-1], float(words[-1]))


def waitset_instructions(program, n):
    """Per completion: what n members cost over what n / 2 cost, so that the start falls out."""
    def total(members):
        out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "waitset", str(members)],
                             capture_output=True, text=True, timeout=110)
        return int(re.search(r"Collected : (\d+)", out.stderr).group(1))
    return (total(n) - total(n // 2)) / (n - n // 2)


def samples(build, folder, first):
    """One round; what needs no repeating only in the first."""
    program = os.path.join(build, "tests", "bench", "runtime_bench")
    yield from lines(run([os.path.join(build, "tests", "bench", "coro_bench")]), "coro")
    yield from lines(run([program]), "coro")
    yield from lines(run([program, "parked", str(PARKED)]), "coro")
    yield from lines(run([program, "bare", str(PARKED)]), "bare")
    for name in ("asyncio", "uvloop"):
        try:
            yield from lines(run([sys.executable, "-c", ASYNCIO, name, str(WAIT_FIRST)]), name)
        except OSError as e:
            if first:
                print(f"skipped: {name}: {e}")
    if shutil.which("go"):
        go = os.path.join(folder, "runtime_go")
        if not os.path.exists(go):
            with open(go + ".go", "w") as f:
                f.write(GO)
            run(["go", "build", "-o", go, go + ".go"])
        yield from lines(run([go]), "go")
    elif first:
        print("skipped: go: not installed")
    if first and shutil.which("valgrind"):
        for name, n in (("1k", 1000), ("1m", 1000000)):
            yield "coro", "waitset_instr_" + name, waitset_instructions(program, n)


def unit(metric):
    return UNITS[metric.rsplit("_", 1)[1]]


def bench(results, units, rounds):
    build = E("B", "build")
    subprocess.run(["make", "-s", *(f"{build}/tests/bench/{p}" for p in ("coro_bench", "runtime_bench"))], check=True)
    with tempfile.TemporaryDirectory(prefix="smstrack-bench-") as folder:
        for i in range(rounds):
            for subject, metric, value in samples(build, folder, i == 0):
                units[metric] = unit(metric)
                results.add(subject, {metric: value})
    return results

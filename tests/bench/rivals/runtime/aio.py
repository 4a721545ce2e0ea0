"""aio.py asyncio|uvloop [parked N]: asyncio's own way to do what ours is measured at. Prints `metric value` lines."""
import asyncio
import sys
import threading
import time

clock = time.perf_counter
WAIT_FIRST = 8000


async def nothing():
    pass


async def zero(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def switch(n=20000):
    t = clock()
    await asyncio.gather(zero(n), zero(n))
    print("switch_ns", (clock() - t) / (2 * n) * 1e9)         # from one task to the next


async def life(n=20000):
    t = clock()
    for _ in range(n):
        await asyncio.create_task(nothing())
    print("spawn_finish_ns", (clock() - t) / n * 1e9)


async def rounds(n=40):
    t = clock()
    await asyncio.gather(*(zero(n) for _ in range(1000)))
    print("yield_1000_tasks_ns", (clock() - t) / (1000 * n) * 1e9)


async def queues(n=10000):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def pong():
        for _ in range(n):
            await back.put(await there.get())
    task, t = asyncio.create_task(pong()), clock()
    for i in range(n):
        await there.put(i)
        await back.get()
    print("queue_pingpong_ns", (clock() - t) / n * 1e9)
    await task


async def gather(times=10):
    t = clock()
    for _ in range(times):
        await asyncio.gather(*(zero(1) for _ in range(1000)))
    print("gather_1000_us", (clock() - t) / times * 1e6)


async def first(n=WAIT_FIRST):
    loop = asyncio.get_running_loop()
    fs = [loop.create_future() for _ in range(n)]
    pending, t = set(fs), time.process_time()       # as runtime_bench: CPU, for twenty seconds of it meet many neighbours
    while pending:
        fs.pop().set_result(0)
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    print(f"wait_first_{n}_s", time.process_time() - t)


async def storm(n=10000):
    f = asyncio.get_running_loop().create_future()

    async def waits():
        await f
    tasks = [asyncio.create_task(waits()) for _ in range(n)]
    await asyncio.sleep(0)
    t = clock()
    for task in reversed(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print("cancel_10k_ms", (clock() - t) * 1e3)


async def leave(n=10000):
    event = asyncio.Event()
    tasks = [asyncio.create_task(event.wait()) for _ in range(n)]
    await asyncio.sleep(0)
    t = clock()
    for task in reversed(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print("leave_10k_ms", (clock() - t) * 1e3)


async def timers(armed=1000000, firing=10000):
    loop = asyncio.get_running_loop()
    fired, t = 0, clock()

    def fire():
        nonlocal fired
        fired += 1
    far = loop.time() + 3600
    handles = [loop.call_at(far + i * 2654435761 % 1000000 / 1e6, fire) for i in range(armed)]
    print("timers_arm_1m_ns", (clock() - t) / armed * 1e9)
    t, now = clock(), loop.time()
    for i in range(firing):
        loop.call_at(now - 1 + i * 2654435761 % firing / 1e6, fire)
    while fired < firing:
        await asyncio.sleep(0)
    print("timers_fire_10k_ns", (clock() - t) / firing * 1e9)
    t = clock()
    for h in handles:
        h.cancel()
    await asyncio.sleep(0)
    print("timers_stop_1m_ns", (clock() - t) / armed * 1e9)


async def wake(n=2000):
    loop, done, answered = asyncio.get_running_loop(), asyncio.Event(), threading.Semaphore(0)

    def wakes():
        for _ in range(n):
            loop.call_soon_threadsafe(answered.release)
            answered.acquire()
        loop.call_soon_threadsafe(done.set)
    thread, t = threading.Thread(target=wakes), clock()
    thread.start()
    await done.wait()
    print("wake_us", (clock() - t) / n * 1e6)
    thread.join()


def memory():
    with open("/proc/self/status") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith(("VmRSS:", "VmPTE:")))


async def parked(n):
    f, before = asyncio.get_running_loop().create_future(), memory()

    async def waits():
        await f
    tasks = [asyncio.create_task(waits()) for _ in range(n)]
    await asyncio.sleep(0)
    print(f"parked_{n}_bytes", (memory() - before) / n)
    f.set_result(None)
    await asyncio.gather(*tasks)


if sys.argv[1] == "uvloop":
    import uvloop
    run = uvloop.run if hasattr(uvloop, "run") else lambda main: (uvloop.install(), asyncio.run(main))[1]
else:
    run = asyncio.run
if sys.argv[2:3] == ["parked"]:
    run(parked(int(sys.argv[3])))
else:
    for part in (switch, life, rounds, queues, gather, first, storm, leave, timers, wake):
        run(part())
        sys.stdout.flush()

"""trace_py.py: runs programs (README.md has their language) on CPython's asyncio with a simulated clock and prints their event traces;
trace_c.c does the same on dispatch/coro.

usage: trace_py.py <PROGRAMS    prints each trace, led by its `program` line

What asyncio leaves open is fixed here, so that one trace is right: timers of equal time fire in the order of their making (asyncio: as
the heap has them), sets of tasks iterate in the order of adding. One unit of loop time is a millisecond; time moves when nothing is ready."""
import asyncio
import errno
import gc
import heapq
import sys
from asyncio import base_events, events

HORIZON_MS, ROUND_MS, ROUNDS = 200, 50, 60
N_SLOTS, N_GROUPS = 6, 2
QUEUES = {"f": asyncio.Queue, "l": asyncio.LifoQueue, "p": asyncio.PriorityQueue}
MODES = (None, asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION)


class Err(Exception):
    pass


class Timer(events.TimerHandle):
    __slots__ = ("seq",)

    def __lt__(self, other):
        return (self._when, self.seq) < (other._when, other.seq)


class Loop(base_events.BaseEventLoop):
    """asyncio's own loop on simulated time; it is its own selector."""

    def __init__(self):
        super().__init__()
        self.now, self.turn, self.timers = 0, 0, 0
        self._clock_resolution = 0.5
        self._selector = self

    def time(self):
        return self.now

    def select(self, timeout):
        if timeout is None:
            raise RuntimeError("nothing will ever happen again")
        self.now += timeout
        return ()

    def _process_events(self, event_list):
        pass

    def _run_once(self):
        self.turn += 1
        super()._run_once()

    def call_at(self, when, callback, *args, context=None):
        timer = Timer(when, callback, args, self, context)
        timer.seq = self.timers = self.timers + 1
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer


class Ordered(dict):
    """A set that iterates in the order of adding: for TaskGroup's members, and in wait(), where it decides who is looked at."""

    def __init__(self, items=()):
        super().__init__((x, True) for x in items)

    def add(self, x):
        self[x] = True

    def discard(self, x):
        self.pop(x, None)


asyncio.tasks.set = Ordered


class Items(list):
    """What gather gave; the members of a member are nobody's business."""

    def __str__(self):
        return "[" + " ".join(describe(x) for x in self) + "]"


def describe(x):
    if isinstance(x, asyncio.CancelledError):
        return "cancelled"
    if isinstance(x, TimeoutError):
        return "timeout"
    if isinstance(x, BaseExceptionGroup):       # dispatch/coro: the first error
        return describe(x.exceptions[0])
    if isinstance(x, asyncio.QueueShutDown):
        return f"error {errno.ESHUTDOWN}"
    if isinstance(x, asyncio.BrokenBarrierError):
        return f"error {errno.EPIPE}"
    if isinstance(x, Err):
        return f"error {x.args[0]}"
    if isinstance(x, BaseException):
        raise x
    return "0" if isinstance(x, list) else str(x)


def outcome(x):
    return str(Items(x)) if isinstance(x, list) else describe(x)


def state_of(f):
    if not f.done():
        return "pending"
    if f.cancelled():
        return "cancelled"
    return "failed" if f._exception is not None else "done"     # exception() would count as retrieving it


class Body:
    """A task that runs: where it is, and its timeout scopes."""

    def __init__(self, run, me):
        self.run, self.me, self.ops = run, me, run.bodies[me]
        self.scopes, self.returned, self.value = [], False, 0

    def log(self, i, text):
        self.run.log(f"t{self.me}.{i} {text}")

    async def main(self):
        self.run.log(f"t{self.me} start")
        try:
            await self.block(0, len(self.ops))
        except GeneratorExit:               # the program is over and this one stuck
            raise
        except BaseException as e:
            self.run.log(f"t{self.me} end {outcome(e)}")
            raise
        self.run.log(f"t{self.me} end {self.value}")
        return self.value

    async def block(self, i, end):
        while i < end and not self.returned:
            name, args, match = self.ops[i]
            if match:
                await getattr(self, "block_" + name)(i, match, *args)
                i = match + 1
                continue
            if name in SUSPENDING:
                await self.suspending(i, name, args)
            else:
                self.log(i, f"{name} {getattr(self, 'op_' + name)(*args)}")
                if name == "raise":
                    raise Err(args[0])
            i += 1

    async def suspending(self, i, name, args):
        try:
            got = await getattr(self, "wait_" + name)(*args)
        except BaseException as e:
            self.log(i, f"{name} {outcome(e)}")
            raise
        self.log(i, f"{name} {got}")

    # ---- blocks ----

    async def block_timeout(self, i, end, delay):
        try:
            async with asyncio.timeout(None if delay < 0 else delay) as scope:
                self.scopes.append(scope)
                try:
                    await self.block(i + 1, end)
                finally:
                    self.scopes.pop()
        except BaseException as e:
            self.log(i, f"timeout {outcome(e)}")
            raise
        self.log(i, "timeout left")

    async def block_group(self, i, end, g):
        groups, old = self.run.groups, self.run.groups[g]
        try:
            group = asyncio.TaskGroup()
            group._tasks = Ordered()
            async with group:
                groups[g] = group
                await self.block(i + 1, end)
        except BaseExceptionGroup as e:
            self.log(i, "group errors " + " ".join(map(describe, e.exceptions)))
            raise
        except BaseException as e:
            self.log(i, f"group {outcome(e)}")
            raise
        finally:
            if groups[g] is group:
                groups[g] = old
        self.log(i, "group 0")

    async def block_try(self, i, end, mode):
        """0 catches all, 1 cancels only, 2 all but cancels"""
        try:
            await self.block(i + 1, end)
        except BaseException as e:
            if mode != 0 and (mode == 1) != isinstance(e, asyncio.CancelledError):
                raise
            self.log(i, f"caught {outcome(e)}")

    async def block_cleanup(self, i, end, delay):
        try:
            await self.block(i + 1, end)
        finally:
            await self.suspending(i, "sleep", (delay,))

    # ---- what suspends ----

    async def wait_sleep(self, delay):
        await asyncio.sleep(delay)
        return 0

    async def wait_yield(self):
        await asyncio.sleep(0)
        return 0

    async def wait_await(self, h):
        f = self.run.handles[h]
        return "none" if f is None else outcome(await f)

    async def wait_waitfor(self, h, delay):
        f = self.run.handles[h]
        return "none" if f is None else outcome(await asyncio.wait_for(f, None if delay < 0 else delay))

    async def wait_wait(self, mode, delay, *hs):
        fs = [self.run.handles[h] for h in hs if self.run.handles[h] is not None]
        if not fs:
            return "none"
        done, pending = await asyncio.wait(fs, timeout=None if delay < 0 else delay, return_when=MODES[mode])
        assert len(done) + len(pending) == len(set(fs))
        return "".join("01"[f in done] for f in fs)

    async def wait_qput(self, q, value):
        await self.run.queues[q].put(value)
        self.run.queue_open[q] += 1
        return 0

    async def wait_qjoin(self, q):
        await self.run.queues[q].join()
        return 0

    async def wait_qget(self, q):
        return await self.run.queues[q].get()

    async def wait_acq(self, s):
        await self.run.sems[s].acquire()
        return 0

    async def wait_evwait(self, e):
        await self.run.events[e].wait()
        return 0

    async def wait_lock(self, k):
        await self.run.locks[k].acquire()
        return 0

    async def wait_cwait(self, c):
        async with self.run.conds[c] as _:
            await self.run.conds[c].wait()
        return 0

    async def wait_cnotify(self, c, n):
        async with self.run.conds[c] as _:
            self.run.conds[c].notify(n)
        return 0

    async def wait_bwait(self, b):
        return await self.run.barriers[b].wait()

    async def wait_breset(self, b):
        await self.run.barriers[b].reset()
        return 0

    async def wait_babort(self, b):
        await self.run.barriers[b].abort()
        return 0

    # ---- what doesn't ----

    def op_gspawn(self, g, h):
        group = self.run.groups[g]
        if group is None or self.run.handles[h] is not None:
            return "none" if group is None else "busy"
        if group._aborting or (group._exiting and not group._tasks):
            return "shut"
        return self.run.spawn(h, group.create_task)

    def op_qdone(self, q):
        if self.run.queue_open[q] == 0:
            return "none"
        self.run.queue_open[q] -= 1
        self.run.queues[q].task_done()
        return 0

    def op_qshut(self, q, immediate):
        if immediate:
            self.run.queue_open[q] = max(0, self.run.queue_open[q] - self.run.queues[q].qsize())
        self.run.queues[q].shutdown(bool(immediate))
        return 0

    def op_unlock(self, k):
        if not self.run.locks[k].locked():
            return "none"
        self.run.locks[k].release()
        return 0

    def op_spawn(self, h):
        return self.run.spawn(h)

    def op_gather(self, h, return_exceptions, *hs):
        handles = self.run.handles
        if handles[h] is not None:
            return "busy"
        fs = [handles[x] for x in hs if handles[x] is not None]
        handles[h] = asyncio.gather(*fs, return_exceptions=bool(return_exceptions))
        return len(fs)

    def op_shield(self, h, inner):
        handles = self.run.handles
        if handles[h] is not None or handles[inner] is None:
            return "busy" if handles[h] is not None else "none"
        handles[h] = asyncio.shield(handles[inner])
        return state_of(handles[h])

    def op_cancel(self, h):
        f = self.run.handles[h]
        return "none" if f is None else int(f.cancel())

    def op_uncancel(self, h):
        f = self.run.handles[h]
        return "none" if f is None else f.uncancel()

    def op_cancelling(self, h):
        f = self.run.handles[h]
        return "none" if f is None else f.cancelling()

    def op_state(self, h):
        f = self.run.handles[h]
        return "none" if f is None else state_of(f)

    def op_setres(self, h, value):
        return self.run.complete(h, value, None)

    def op_seterr(self, h, err):
        return self.run.complete(h, None, Err(err))

    def op_resched(self, delay):
        if not self.scopes:
            return "none"
        if self.scopes[-1].expired():
            return "expired"
        self.scopes[-1].reschedule(None if delay < 0 else self.run.loop.time() + delay)
        return 0

    def op_qtryput(self, q, value):
        try:
            self.run.queues[q].put_nowait(value)
        except asyncio.QueueFull:
            return "full"
        except asyncio.QueueShutDown as e:
            return describe(e)
        self.run.queue_open[q] += 1
        return 0

    def op_qtryget(self, q):
        try:
            return self.run.queues[q].get_nowait()
        except asyncio.QueueEmpty:
            return "empty"
        except asyncio.QueueShutDown as e:
            return describe(e)

    def op_rel(self, s):
        self.run.sems[s].release()
        return 0

    def op_evset(self, e):
        self.run.events[e].set()
        return 0

    def op_evclear(self, e):
        self.run.events[e].clear()
        return 0

    def op_cbadd(self, slot, h, action, target):
        return self.run.callback_add(slot, h, action, target)

    def op_cbdel(self, slot):
        return self.run.callback_remove(slot)

    def op_later(self, slot, delay, action, target):
        return self.run.later_add(slot, delay, action, target)

    def op_laterdel(self, slot):
        return self.run.later_remove(slot)

    def op_raise(self, err):
        return err

    def op_ret(self, value):
        self.returned, self.value = True, value
        return value


SUSPENDING = {name[5:] for name in dir(Body) if name.startswith("wait_")}


class Run:
    """One program: its handles, slots and trace."""

    def __init__(self, lines):
        self.loop, self.turns, self.last_turn = Loop(), 0, None
        self.events, self.trace, self.unretrieved = [], [], []
        self.loop.set_exception_handler(self.on_exception)
        self.bodies, self.slots, self.laters = {}, [None] * N_SLOTS, [None] * N_SLOTS
        self.groups = [None] * N_GROUPS
        self.parse(lines)

    def parse(self, lines):
        ops, opened = None, []
        for line in lines:
            name, *words = line.split()
            if name == "kinds":
                self.kinds = words[0]
                self.handles = [self.loop.create_future() if k == "F" else None for k in self.kinds]
            elif name == "queues":
                self.queues = [QUEUES[word[0]](int(word[1:])) for word in words]
                self.queue_open = [0] * len(words)
            elif name == "sems":
                self.sems = [asyncio.Semaphore(int(n)) for n in words]
            elif name == "events":
                self.events = [asyncio.Event() for _ in range(int(words[0]))]
            elif name == "locks":
                self.locks = [asyncio.Lock() for _ in range(int(words[0]))]
            elif name == "conds":
                self.conds = [asyncio.Condition() for _ in range(int(words[0]))]
            elif name == "barriers":
                self.barriers = [asyncio.Barrier(int(n)) for n in words]
            elif name == "body":
                ops = self.bodies[int(words[0])] = []
            elif name == "end":
                start = opened.pop()
                ops[start] = (*ops[start][:2], len(ops))
                ops.append(("end", (), 0))
            else:
                if hasattr(Body, "block_" + name):
                    opened.append(len(ops))
                ops.append((name, tuple(map(int, words)), 0))

    def log(self, text):
        if self.loop.turn != self.last_turn:
            self.last_turn = self.loop.turn
            self.turns += 1
        self.trace.append(f"{self.loop.now} {self.turns} {text}")

    def on_exception(self, _loop, context):
        if context["message"] == "Task was destroyed but it is pending!":
            return
        if not context["message"].endswith("exception was never retrieved"):
            raise RuntimeError(context)
        f = context["future"]
        name = f.get_name() if isinstance(f, asyncio.Task) else "gather" if isinstance(f, asyncio.tasks._GatheringFuture) else "future"
        self.unretrieved.append(f"{name} {outcome(context['exception'])}")

    def spawn(self, h, create=None):
        if self.handles[h] is not None:
            return "busy"
        task = self.handles[h] = (create or self.loop.create_task)(Body(self, h).main(), name=f"t{h}")
        task.add_done_callback(lambda f: self.log(f"t{h} done {state_of(f)}"))
        return 0

    def complete(self, h, value, err):
        f = self.handles[h]
        if f is None or f.done():
            return "none" if f is None else "late"
        if err is None:
            f.set_result(value)
        else:
            f.set_exception(err)
        return 0

    def act(self, action, target):
        if action == 1 and self.handles[target] is not None:
            return int(self.handles[target].cancel())
        if action == 2:
            return self.complete(target, 7, None)
        if action == 3:
            return self.complete(target, None, Err(7))
        if action == 4:
            self.events[target].set()
        if action == 5:
            self.sems[target].release()
        return 0

    def callback_add(self, slot, h, action, target):
        f = self.handles[h]
        if f is None or self.slots[slot] is not None:
            return "none" if f is None else "busy"

        def call(done):
            self.slots[slot] = None
            self.log(f"cb{slot} {state_of(done)}")
            self.log(f"cb{slot} {self.act(action, target)}")

        self.slots[slot] = (f, call)
        f.add_done_callback(call)
        return 0

    def callback_remove(self, slot):
        if self.slots[slot] is None:
            return "none"
        f, call = self.slots[slot]
        if f.done():
            return "late"
        self.slots[slot] = None
        return f.remove_done_callback(call)

    def later_add(self, slot, delay, action, target):
        if self.laters[slot] is not None:
            return "busy"

        def call():
            self.laters[slot] = None
            self.log(f"later{slot} {self.act(action, target)}")

        self.laters[slot] = self.loop.call_soon(call) if delay < 0 else self.loop.call_later(delay, call)
        return 0

    def later_remove(self, slot):
        if self.laters[slot] is None:
            return "none"
        self.laters[slot].cancel()
        self.laters[slot] = None
        return 0

    async def root(self):
        """Starts the first task, gives all some time, then cancels what is left for as long as it takes."""
        self.spawn(0)
        await asyncio.sleep(HORIZON_MS)
        for _ in range(ROUNDS):
            left = [h for h, f in enumerate(self.handles) if self.kinds[h] == "T" and f is not None and not f.done()]
            if not left:
                break
            self.log("cancel " + " ".join(map(str, left)))
            for h in left:
                self.handles[h].cancel()
            await asyncio.sleep(ROUND_MS)
        for f in self.handles:
            if f is not None and not f.done():
                f.cancel()
        await asyncio.sleep(ROUND_MS)
        self.log("end " + " ".join("none" if f is None else state_of(f) for f in self.handles))

    def main(self):
        self.loop.run_until_complete(self.root())
        loop, trace = self.loop, list(self.trace)
        stuck = any(f is not None and not f.done() for f in self.handles)
        self.handles = self.slots = self.laters = self.groups = None
        gc.collect()
        if not stuck:           # of what waits for itself nothing is ever collected in C
            trace += ["unretrieved " + x for x in sorted(self.unretrieved)]
        loop.close()
        return trace


def run(text):
    """The lines of a program's trace."""
    return Run(text.splitlines()[1:-1]).main()


def main():
    lines = []
    gc.freeze()
    for line in sys.stdin:
        lines.append(line)
        if line == "done\n":
            print(lines[0].rstrip(), *run("".join(lines)), sep="\n")
            lines = []


if __name__ == "__main__":
    main()

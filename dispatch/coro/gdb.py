# gdb.py: the tasks of a program on dispatch/coro, in gdb: `source dispatch/coro/gdb.py`, then
#   co-tasks           lists the tasks of every thread's loop: number, name, state, what each awaits, where it was spawned
#   co-bt NUMBER       a task's stack, by frame pointers; in a core as well
#   co-switch NUMBER   makes gdb stand on that task's stack (bt, up, info locals work); live processes only
#   co-switch          back to where the thread really is; needed before it goes on
import gdb

RET = {"saved": None}         # where co-switch left from: thread, registers


def list_nodes(head):
    node = head["next"]
    while node != head.address:
        yield node
        node = node.dereference()["next"]


def entry(node, type_name, member):
    t = gdb.lookup_type("struct " + type_name)
    offset = next(f.bitpos // 8 for f in t.fields() if f.name == member)
    return (node.cast(gdb.lookup_type("char").pointer()) - offset).cast(t.pointer()).dereference()


def loops():
    """The loop of each thread that has one; the thread stays selected as long as its loop is looked at."""
    here = gdb.selected_thread()
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
        thread.switch()
        try:
            loop = gdb.parse_and_eval("'loop.c'::current_loop")
        except gdb.error:
            continue
        if int(loop) != 0:
            yield thread, loop.dereference()
    if here is not None:
        here.switch()


def tasks():
    return [(thread, loop, entry(node, "co_task", "all")) for thread, loop in loops() for node in list_nodes(loop["tasks"])]


def state(loop, task):
    if loop["current"] == task.address:
        return "running"
    awaiting = task["awaiting"]
    if int(awaiting) != 0:
        return "waiting" if int(awaiting.dereference()["state"]) == 1 else "ready"
    node = task["wake"]["node"]
    return "ready" if node["next"] != node.address else "waiting"


def word(at):
    return int(gdb.Value(at).cast(gdb.lookup_type("unsigned long").pointer()).dereference())


def registers(task):
    """What they are at the start of the switch that it waits in (context_*.S), so that gdb takes its caller for one: name -> value."""
    sp, switch = int(task["context"]["sp"]), int(gdb.parse_and_eval("(unsigned long)&co_context_switch"))
    arch = gdb.selected_frame().architecture().name()
    if arch.startswith("aarch64"):
        return {"sp": sp + 160, "x29": word(sp), "x30": word(sp + 8), "pc": switch}
    regs = {name: word(sp + 8 * i) for i, name in enumerate(["r15", "r14", "r13", "r12", "rbx", "rbp"])}
    regs.update(rsp=sp + 48, rip=switch)
    return regs


def pick(arg):
    every = tasks()
    number = int(arg)
    if not 0 <= number < len(every):
        raise gdb.GdbError("there are tasks 0 to %d" % (len(every) - 1))
    thread, loop, task = every[number]
    if int(task["stack"]) == 0:
        raise gdb.GdbError("it has not begun: no stack")
    if loop["current"] == task.address:
        raise gdb.GdbError("it is running: thread %d" % thread.num)
    return thread, task


class Tasks(gdb.Command):
    """Lists the tasks of every thread's loop."""

    def __init__(self):
        super().__init__("co-tasks", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        for i, (thread, loop, task) in enumerate(tasks()):
            site = task["site"].dereference()
            print("%3d  thread %d  %-8s %s: awaits %s, spawned at %s:%d" % (
                i, thread.num, state(loop, task), task["name"].string(), task["why"].string(),
                site["file"].string(), int(site["line"])))


class Backtrace(gdb.Command):
    """A task's stack, by frame pointers."""

    def __init__(self):
        super().__init__("co-bt", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        _, task = pick(arg)
        regs, stack = registers(task), task["stack"].dereference()
        frame, pc = regs.get("rbp", regs.get("x29")), regs.get("x30") or word(regs["rsp"])
        for i in range(64):
            where, block = gdb.find_pc_line(pc - 1), gdb.block_for_pc(pc - 1)       # where it returns to: behind the call
            while block is not None and block.function is None:
                block = block.superblock
            print("#%-2d 0x%x %s%s" % (i, pc, block.function if block else "?",
                                      " at %s:%d" % (where.symtab.filename, where.line) if where.symtab else ""))
            if not int(stack["bottom"]) <= frame <= int(stack["top"]) - 16:
                break
            frame, pc = word(frame), word(frame + 8)
            if pc == 0:
                break


class Switch(gdb.Command):
    """Stands on a task's stack; without a number, back again."""

    def __init__(self):
        super().__init__("co-switch", gdb.COMMAND_STACK)

    def put(self, regs):
        for name, value in regs.items():
            gdb.execute("set $%s = %d" % (name, value), to_string=True)

    def back(self):
        if RET["saved"] is not None:
            thread, regs = RET["saved"]
            thread.switch()
            gdb.execute("frame 0", to_string=True)
            self.put(regs)
            RET["saved"] = None

    def invoke(self, arg, from_tty):
        self.back()
        if arg.strip() == "":
            return
        thread, task = pick(arg)
        thread.switch()
        gdb.execute("frame 0", to_string=True)
        regs = registers(task)
        RET["saved"] = (thread, {name: int(gdb.parse_and_eval("(unsigned long)$" + name)) for name in regs})
        self.put(regs)
        gdb.execute("frame 0")


Tasks()
Backtrace()
Switch()

"""trace_gen.py: random programs for trace equivalence, one seed one program. trace_c.c and trace_py.py run them; README.md has the language.

usage: trace_gen.py SEED [N]    prints the programs of seeds SEED .. SEED+N-1

The dice are its own (splitmix64), so that a seed means the same program under every Python. It decides what may refer to what: a task or
gather awaits only handles with higher numbers, so that no chain of awaits is a circle (asyncio: RecursionError on cancel)."""
import sys

MASK = (1 << 64) - 1
DELAYS = (0, 1, 1, 2, 2, 3, 5, 8)
N_SLOTS = 6


class Dice:
    def __init__(self, seed):
        self.state = (seed * 0x9E3779B97F4A7C15 + 0x1234567) & MASK

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) * n) >> 64

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def pick(self, seq):
        return seq[self.below(len(seq))]

    def chance(self, percent):
        return self.below(100) < percent

    def shuffle(self, seq):
        for i in range(len(seq) - 1, 0, -1):
            j = self.below(i + 1)
            seq[i], seq[j] = seq[j], seq[i]


# How often each op is drawn in a body; what needs something that the program lacks is drawn again.
WEIGHTS = (("sleep", 10), ("yield", 6), ("await", 12), ("cancel", 9), ("uncancel", 2), ("cancelling", 2), ("setres", 4), ("seterr", 3),
           ("wait", 8), ("waitfor", 6), ("timeout", 7), ("resched", 2), ("try", 7), ("cleanup", 3), ("gather", 6), ("shield", 5),
           ("spawn", 6), ("qput", 5), ("qget", 5), ("qtryput", 1), ("qtryget", 1), ("acq", 5), ("rel", 4), ("evset", 2), ("evclear", 1),
           ("evwait", 2), ("cbadd", 4), ("cbdel", 2), ("later", 3), ("laterdel", 1), ("raise", 2), ("ret", 1), ("state", 2),
           ("group", 6), ("gspawn", 7), ("qdone", 1), ("qjoin", 1), ("qshut", 1), ("lock", 3), ("unlock", 3), ("cwait", 3), ("cnotify", 2),
           ("bwait", 3), ("breset", 1), ("babort", 1))
DECK = tuple(name for name, n in WEIGHTS for _ in range(n))
BLOCKS = ("timeout", "try", "cleanup", "group")


class Generator:
    def __init__(self, seed):
        d = self.dice = Dice(seed)
        self.seed = seed
        kinds = ["T"] * d.between(1, 6) + ["F"] * d.below(4) + ["G"] * d.below(4) + ["S"] * d.below(3)
        d.shuffle(kinds)
        self.kinds = ["T"] + kinds
        self.queues = [d.pick("ffflp") + str(d.below(3)) for _ in range(d.below(3))]
        self.sems = [d.below(3) for _ in range(d.below(3))]
        self.n_events, self.n_locks, self.n_conds = d.below(2), d.below(2), d.chance(25)
        self.barriers = [d.between(1, 3)] if d.chance(20) else []

    def handles(self, kinds, above=-1):
        return [i for i, k in enumerate(self.kinds) if k in kinds and i > above]

    def text(self):
        lines = [f"program {self.seed}", "kinds " + "".join(self.kinds), " ".join(["queues", *self.queues]),
                 " ".join(["sems", *map(str, self.sems)]), f"events {self.n_events}", f"locks {self.n_locks}", f"conds {int(self.n_conds)}", " ".join(["barriers", *map(str, self.barriers)])]
        for task in self.handles("T"):
            lines.append(f"body {task}")
            if task == 0:
                lines += self.first_ops()
            lines += self.block(task, self.dice.between(2, 9), 0)
        lines.append("done")
        return "\n".join(lines) + "\n"

    def first_ops(self):
        """The first task makes most of the others and now and then lets them start."""
        d, ops = self.dice, []
        makes = self.handles("TGS", 0)
        d.shuffle(makes)
        makes.sort(key=lambda h: self.kinds[h] != "T")
        for h in makes:
            if d.chance(75):
                ops.append(self.make(h))
            if d.chance(20):
                ops.append("yield")
        return ops

    def make(self, h):
        d = self.dice
        if self.kinds[h] == "T":
            return f"spawn {h}"
        above = self.handles("TFGS", h)
        if self.kinds[h] == "S":
            return f"shield {h} {d.pick(above)}" if above else "yield"
        members = [d.pick(above) for _ in range(d.below(5))] if above else []
        return " ".join(map(str, ["gather", h, d.below(2), *members]))

    def block(self, task, budget, depth):
        lines = []
        while budget > 0:
            op = self.dice.pick(DECK)
            if op in BLOCKS:
                if depth < 3 and budget > 1:
                    inner = self.dice.between(1, budget - 1)
                    lines += [self.opening(op)] + self.block(task, inner, depth + 1) + ["end"]
                    budget -= inner + 1
                continue
            line = getattr(self, "op_" + op)(task)
            if line is not None:
                lines.append(line)
                budget -= 1
        return lines

    def opening(self, op):
        d = self.dice
        if op == "timeout":
            return f"timeout {-1 if d.chance(8) else d.pick(DELAYS)}"
        if op == "try":
            return f"try {d.below(3)}"
        return f"cleanup {d.below(3)}" if op == "cleanup" else f"group {d.below(2)}"

    def any_of(self, kinds, above, form):
        found = self.handles(kinds, above)
        return form.format(self.dice.pick(found)) if found else None

    def limit(self):
        return -1 if self.dice.chance(60) else self.dice.pick(DELAYS)

    def op_sleep(self, _task):
        return f"sleep {self.dice.pick(DELAYS)}"

    def op_yield(self, _task):
        return "yield"

    def op_await(self, task):
        return self.any_of("TFGS", task, "await {}")

    def op_cancel(self, _task):
        return self.any_of("TFGS", -1, "cancel {}")

    def op_uncancel(self, task):
        return f"uncancel {task}" if self.dice.chance(70) else self.any_of("T", -1, "uncancel {}")

    def op_cancelling(self, _task):
        return self.any_of("T", -1, "cancelling {}")

    def op_setres(self, _task):
        return self.any_of("F", -1, "setres {} " + str(self.dice.below(100)))

    def op_seterr(self, _task):
        return self.any_of("F", -1, "seterr {} " + str(self.dice.between(1, 9)))

    def op_wait(self, _task):
        d, found = self.dice, self.handles("TFGS")
        return " ".join(map(str, ["wait", d.between(1, 3), self.limit(), *(d.pick(found) for _ in range(d.between(1, 4)))]))

    def op_waitfor(self, task):
        return self.any_of("TFGS", task, "waitfor {} " + str(-1 if self.dice.chance(8) else self.dice.pick(DELAYS)))

    def op_resched(self, _task):
        return f"resched {-1 if self.dice.chance(15) else self.dice.pick(DELAYS)}"

    def op_gather(self, _task):
        found = self.handles("G")
        return self.make(self.dice.pick(found)) if found else None

    def op_shield(self, _task):
        found = self.handles("S")
        return self.make(self.dice.pick(found)) if found else None

    def op_spawn(self, _task):
        return self.any_of("T", 0, "spawn {}")

    def one(self, things, form):
        return form.format(self.dice.below(things)) if things else None

    def op_qput(self, _task):
        return self.one(len(self.queues), "qput {} " + str(self.dice.below(100)))

    def op_qget(self, _task):
        return self.one(len(self.queues), "qget {}")

    def op_qtryput(self, _task):
        return self.one(len(self.queues), "qtryput {} " + str(self.dice.below(100)))

    def op_qtryget(self, _task):
        return self.one(len(self.queues), "qtryget {}")

    def op_qdone(self, _task):
        return self.one(len(self.queues), "qdone {}")

    def op_qjoin(self, _task):
        return self.one(len(self.queues), "qjoin {}")

    def op_qshut(self, _task):
        return self.one(len(self.queues), "qshut {} " + str(self.dice.below(2)))

    def op_lock(self, _task):
        return self.one(self.n_locks, "lock {}")

    def op_unlock(self, _task):
        return self.one(self.n_locks, "unlock {}")

    def op_cwait(self, _task):
        return self.one(self.n_conds, "cwait {}")

    def op_cnotify(self, _task):
        return self.one(self.n_conds, "cnotify {} " + str(self.dice.between(1, 2)))

    def op_bwait(self, _task):
        return self.one(len(self.barriers), "bwait {}")

    def op_breset(self, _task):
        return self.one(len(self.barriers), "breset {}")

    def op_babort(self, _task):
        return self.one(len(self.barriers), "babort {}")

    def op_gspawn(self, _task):
        return self.any_of("T", 0, f"gspawn {self.dice.below(2)} {{}}")

    def op_acq(self, _task):
        return self.one(len(self.sems), "acq {}")

    def op_rel(self, _task):
        return self.one(len(self.sems), "rel {}")

    def op_evset(self, _task):
        return self.one(self.n_events, "evset {}")

    def op_evclear(self, _task):
        return self.one(self.n_events, "evclear {}")

    def op_evwait(self, _task):
        return self.one(self.n_events, "evwait {}")

    def action(self):
        """What a callback does: nothing, cancel a handle, complete a future, fail it, set an event, release a semaphore."""
        d = self.dice
        kind = d.below(6)
        if kind == 1:
            return f"1 {d.pick(self.handles('TFGS'))}"
        if kind in (2, 3) and self.handles("F"):
            return f"{kind} {d.pick(self.handles('F'))}"
        if kind == 4 and self.n_events:
            return f"4 {d.below(self.n_events)}"
        if kind == 5 and self.sems:
            return f"5 {d.below(len(self.sems))}"
        return "0 0"

    def op_cbadd(self, _task):
        return self.any_of("TFGS", -1, f"cbadd {self.dice.below(N_SLOTS)} {{}} {self.action()}")

    def op_cbdel(self, _task):
        return f"cbdel {self.dice.below(N_SLOTS)}"

    def op_later(self, _task):
        return f"later {self.dice.below(N_SLOTS)} {self.limit()} {self.action()}"

    def op_laterdel(self, _task):
        return f"laterdel {self.dice.below(N_SLOTS)}"

    def op_raise(self, _task):
        return f"raise {self.dice.between(1, 9)}"

    def op_ret(self, _task):
        return f"ret {self.dice.below(100)}"

    def op_state(self, _task):
        return self.any_of("TFGS", -1, "state {}")


def program(seed):
    return Generator(seed).text()


if __name__ == "__main__":
    first = int(sys.argv[1])
    for s in range(first, first + (int(sys.argv[2]) if len(sys.argv) > 2 else 1)):
        sys.stdout.write(program(s))

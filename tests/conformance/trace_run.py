"""trace_run.py: compares event traces of random programs: dispatch/coro (the program `trace`) against CPython's asyncio.

check    the recorded hashes of traces-3.13.txt against the runtime; needs no CPython 3.13
live     CPython 3.13 itself against the runtime, --n programs from --seed on; the first that differs is shrunk and printed
record   writes traces-3.13.txt anew from CPython 3.13

CPython is `python3.13` or what PYTHON313 names. Exit 0: all equal; 1: not; 77: that Python is not there. The last line is a sentence."""
import argparse
import os
import subprocess
import sys

import trace_gen

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "traces-3.13.txt")
CHUNK = 2000
CRASHED = "crashed"


def python313():
    """Its command and version, or None."""
    command = os.environ.get("PYTHON313", "python3.13").split()
    try:
        out = subprocess.run([*command, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], capture_output=True, text=True,
                             timeout=60, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return (command, out) if out.startswith("3.13.") else None


def start(command):
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def split(text):
    """The traces of an output, their title lines left out."""
    return [t.partition("\n")[2].rstrip() + "\n" for t in ("\n" + text).split("\nprogram ")[1:]]


class Sides:
    def __init__(self, trace, command):
        self.trace, self.command = trace, command

    def in_c(self, programs, *args):
        """What the runtime prints, a piece per program; one that ends it by a failed check has that as its trace."""
        out = []
        while len(out) < len(programs):
            p = start([self.trace, *args])
            text, err = p.communicate("".join(programs[len(out):]))
            pieces = [line.split()[1] for line in text.splitlines()] if args else split(text)
            out += pieces
            if len(out) < len(programs):
                out.append(f"{CRASHED} ({p.returncode}): {err.strip()[-300:]}")
        return out

    def in_python(self, programs):
        p = start([*self.command, "-B", "-W", "ignore", os.path.join(HERE, "trace_py.py")])
        text, err = p.communicate("".join(programs))
        if p.returncode != 0:
            raise SystemExit(f"trace_py.py failed: {err[-2000:]}")
        return split(text)

    def differing(self, programs):
        """Pairs of traces by index, where they differ."""
        pairs = enumerate(zip(self.in_python(programs), self.in_c(programs)))
        return {i: (want, got) for i, (want, got) in pairs if want != got}

    # ---- shrinking ----

    def shrink(self, program):
        """The smallest program that still differs, by leaving out one op, block or body after another."""
        while True:
            tries = sorted(smaller(program), key=len)
            found = self.differing(tries) if tries else {}
            if not found:
                return program
            program = tries[min(found)]


def ends(lines):
    """Line of each block's `end`, by the line that opens it."""
    opened, out = [], {}
    for i, line in enumerate(lines):
        word = line.split()[0]
        if word in trace_gen.BLOCKS:
            opened.append(i)
        elif word == "end":
            out[opened.pop()] = i
    return out


def smaller(program):
    lines = program.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("body"))
    end_of = ends(lines)
    cuts = []
    for i in range(first, len(lines) - 1):
        word = lines[i].split()[0]
        if word == "body":
            after = next(j for j in range(i + 1, len(lines)) if lines[j] == "done" or lines[j].startswith("body"))
            if after > i + 1:
                cuts.append(set(range(i + 1, after)))
        elif i in end_of:
            cuts.append({i, end_of[i]})
            cuts.append(set(range(i, end_of[i] + 1)))
        elif word != "end":
            cuts.append({i})
    return ["\n".join(line for i, line in enumerate(lines) if i not in cut) + "\n" for cut in cuts]


def side_by_side(want, got):
    a, b = want.splitlines(), got.splitlines()
    for i in range(max(len(a), len(b))):
        left, right = (a[i] if i < len(a) else ""), (b[i] if i < len(b) else "")
        print(f"{'  ' if left == right else '! '}{left:<50} {right}")


def report(sides, program):
    seed = program.split(maxsplit=2)[1]
    small = sides.shrink(program)
    print(f"seed {seed} differs; shrunk:\n{small}\n  {'CPython':<50} dispatch/coro")
    side_by_side(*sides.differing([small])[0])


def programs_of(seed, n):
    return [trace_gen.program(s) for s in range(seed, seed + n)]


def live(args):
    found = python313()
    if found is None:
        print("live traces: no python3.13 here")
        return 77
    sides, bad = Sides(args.trace, found[0]), []
    for seed in range(args.seed, args.seed + args.n, CHUNK):
        programs = programs_of(seed, min(CHUNK, args.seed + args.n - seed))
        bad += [programs[i] for i in sides.differing(programs)]
        if args.verbose:
            print(f"{seed + len(programs) - args.seed} programs, {len(bad)} differ", flush=True)
    if bad:
        report(sides, min(bad, key=len))
    print(f"live traces: {args.n - len(bad)} of {args.n} programs from seed {args.seed} equal to CPython {found[1]}")
    return 1 if bad else 0


# ---- the record ----

def fnv(text):
    h = 0xCBF29CE484222325
    for c in text.encode():
        h = ((h ^ c) * 0x100000001B3) & trace_gen.MASK
    return f"{h:016x}"


def record(args):
    found = python313()
    if found is None:
        print("no python3.13 here")
        return 77
    sides, lines = Sides(args.trace, found[0]), []
    for seed in range(args.seed, args.seed + args.n, CHUNK):
        lines += map(fnv, sides.in_python(programs_of(seed, min(CHUNK, args.seed + args.n - seed))))
    with open(RECORD, "w", encoding="utf-8") as f:
        f.write(f"# FNV-1a of the event traces of asyncio, CPython {found[1]}: a line per seed. Made by `trace_run.py record`.\n"
                f"first {args.seed}\nprograms {fnv(''.join(programs_of(args.seed, 50)))}\n" + "\n".join(lines) + "\n")
    print(f"recorded {args.n} programs from seed {args.seed} of CPython {found[1]}")
    return 0


def check(args):
    with open(RECORD, encoding="utf-8") as f:
        title, first, generator, *want = f.read().splitlines()
    version, seed = title.split("CPython ")[1].split(":")[0], int(first.split()[1])
    if generator.split()[1] != fnv("".join(programs_of(seed, 50))):
        print("recorded traces: trace_gen.py makes other programs than those that were recorded; run `trace_run.py record`")
        return 1
    programs = programs_of(seed, len(want))
    got = Sides(args.trace, None).in_c(programs, "--hash")
    bad = [i for i in range(len(want)) if want[i] != got[i]]
    if bad:
        found = python313()
        shortest = min((programs[i] for i in bad), key=len)
        if found is not None:
            report(Sides(args.trace, found[0]), shortest)
        else:
            print(shortest + Sides(args.trace, None).in_c([shortest])[0])
        print("differ: seeds " + " ".join(str(seed + i) for i in bad[:20]))
    print(f"recorded traces: {len(want) - len(bad)} of {len(want)} programs equal to CPython {version}")
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "live", "record"])
    parser.add_argument("--trace", default="build/tests/conformance/trace")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n", type=int, default=CHUNK)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    return {"check": check, "live": live, "record": record}[args.what](args)


if __name__ == "__main__":
    sys.exit(main())

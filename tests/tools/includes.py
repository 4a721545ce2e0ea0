"""includes.py: the house rules that a script can see. One-way includes between layers, one .c per foreign library, headers that compile
alone (with --compile), sizes of files and functions, line width, no notes to oneself, no trailing blanks. Exit 1 and a line for each."""
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LAYERS = ["daemon/base", "dispatch/coro", "metrics", "dispatch", "consumer", "daemon"]      # low to high
FILE_MAX, HEADER_MAX, FUNCTION_MAX, WIDTH_MAX = 600, 300, 70, 160

# Where a foreign library may be included: the file that wraps it, and what that one shares with its other half.
FOREIGN = {
    "librdkafka/rdkafka_mock.h": [r"daemon/ctl/demo\w*\.c"],
    "librdkafka/": [r"consumer/kafka_client\w*\.[ch]", r"daemon/ctl/demo\w*\.c"],
    "hiredis/": [r"metrics/redis_client\w*\.[ch]"],
    "jansson.h": [r"consumer/record\.c", r"dispatch/gateway_reply\.c", r"daemon/admin/\w+\.[ch]", r"daemon/ctl/\w+\.[ch]"],
    "openssl/": [r"dispatch/http_tls\.c", r"consumer/sha256\.c"],
    "event2/http": [r"daemon/admin/\w+\.c", r"daemon/ctl/\w+\.c"],
    "event2/": [r"dispatch/coro/poll\w*\.c", r"dispatch/http_\w+\.[ch]", r"metrics/redis_client\w*\.c", r"consumer/kafka_client\w*\.[ch]",
                r"daemon/admin/\w+\.[ch]", r"daemon/ctl/\w+\.c", r"daemon/\w+\.c"],
    "nghttp2/": [r"dispatch/http2\w*\.c"],
}
# Only these know a clock or dice: the simulation swaps them.
RAW_TIME = re.compile(r"\b(clock_gettime|gettimeofday|time\(NULL\)|rand\(|random\(\)|getrandom|arc4random|usleep|nanosleep)\b")
RAW_TIME_IN = [r"daemon/base/(clock|random|log)\w*\.c", r"daemon/ctl/.*", r"tests/.*"]

problems = []


def problem(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def layer(path):
    """The longest layer that holds it; None outside of the layers."""
    best = None
    for i, name in enumerate(LAYERS):
        if path.startswith(name + "/") and (best is None or len(name) > len(LAYERS[best])):
            best = i
    return best


def sources():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h", "*.S", "*.py", "*.sh", "*.lua", "Makefile"], cwd=ROOT,
                         capture_output=True, text=True, check=True).stdout.split()
    return [p for p in out if os.path.exists(os.path.join(ROOT, p)) and not p.startswith("tests/bench/rivals/")]


def check_include(path, n, name, quoted):
    mine = layer(path)
    if quoted:
        theirs = layer(name)
        if not os.path.exists(os.path.join(ROOT, name)) and not name.startswith("gen/"):
            problem(path, n, f'"{name}" is not a path from the root')
        elif mine is not None and theirs is not None and theirs > mine:
            problem(path, n, f"{LAYERS[mine]} includes {name}: that is up")
        elif mine is not None and name.startswith("tests/"):
            problem(path, n, f"product code includes {name}")
        return
    for prefix, allowed in FOREIGN.items():
        if name.startswith(prefix):
            if mine is not None and not any(re.fullmatch(a, path) for a in allowed):
                problem(path, n, f"<{name}> belongs in {' or '.join(allowed)}")
            return


def check_c(path, lines):
    start = None
    for n, text in enumerate(lines, 1):
        m = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', text)
        if m:
            check_include(path, n, m.group(2), m.group(1) == '"')
        if RAW_TIME.search(text) and layer(path) is not None and not any(re.fullmatch(a, path) for a in RAW_TIME_IN) \
                and not text.lstrip().startswith(("*", "/*", "//")):
            problem(path, n, "time and dice come from daemon/base alone")
        if text.startswith("{"):
            start = n
        elif text.startswith("}") and start:
            if n - start - 1 > FUNCTION_MAX and not text.startswith("};"):
                problem(path, start, f"{n - start - 1} lines of function, {FUNCTION_MAX} at most")
            start = None
    if layer(path) is not None and not lines[0].startswith("/*"):
        problem(path, 1, "opens without a word on what it owns")


def check(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        lines = f.read().split("\n")
    is_c = path.endswith((".c", ".h"))
    limit = HEADER_MAX if path.endswith(".h") else FILE_MAX
    if len(lines) > limit and is_c:
        problem(path, limit, f"{len(lines)} lines, {limit} at most")
    for n, text in enumerate(lines, 1):
        if is_c and len(text.expandtabs(8)) > WIDTH_MAX:
            problem(path, n, f"{len(text.expandtabs(8))} columns, {WIDTH_MAX} at most")
        if text != text.rstrip():
            problem(path, n, "blanks at the end")
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text) and not path.endswith("includes.py"):
            problem(path, n, "a note to oneself")
    if is_c:
        check_c(path, lines)


def compile_headers(headers):
    """Each header by itself, warnings as errors for what it declares."""
    flags = subprocess.run(["pkg-config", "--cflags", "jansson", "libevent_core", "rdkafka", "hiredis"], capture_output=True, text=True).stdout.split()
    for h in headers:
        r = subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-I" + ROOT, *flags, "-x", "c", "-"],
                           input=f'#include "{h}"\n', cwd=ROOT, capture_output=True, text=True)
        if r.returncode:
            problem(h, 1, "does not compile alone: " + r.stderr.strip().split("\n")[0])


def main():
    found = sources()
    for path in found:
        check(path)
    if "--compile" in sys.argv:
        compile_headers([p for p in found if p.endswith(".h") and layer(p) is not None and not p.endswith("counters_table.h")])
    for p in problems:
        print(p)
    print(f"includes.py: {len(found)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

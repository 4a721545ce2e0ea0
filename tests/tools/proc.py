"""Processes, ports and waiting, for every test tool. What is started here ends with the test run, whatever becomes of it."""
import ctypes
import os
import signal
import socket
import subprocess
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
_libc = ctypes.CDLL(None, use_errno=True)
TICK = os.sysconf("SC_CLK_TCK")


def die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def free_ports(n):
    """Different ones: all are held until the last is known."""
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Timeout(AssertionError):
    pass


def until(condition, timeout, what="condition", every=0.02):
    """Waits for condition() to be true and returns what it returned; its exceptions count as not yet."""
    end, last = time.monotonic() + timeout, None
    while True:
        try:
            got = condition()
            if got:
                return got
            last = got
        except Timeout:
            raise
        except Exception as e:  # a server that is not there yet
            last = e
        if time.monotonic() >= end:
            raise Timeout(f"not within {timeout} s: {what} (last: {last!r})")
        time.sleep(every)


class Process:
    """One process with its log file."""

    def __init__(self, argv, log, env=None, cwd=None, stdout=None):
        self.argv, self.log = [str(a) for a in argv], str(log)
        out = open(self.log, "ab")
        self.p = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=out, env=env, cwd=cwd,
                                  preexec_fn=die_with_parent)
        out.close()
        self.pid = self.p.pid

    def alive(self):
        return self.p.poll() is None

    def signal(self, sig):
        self.p.send_signal(sig)

    def wait(self, timeout=60):
        try:
            return self.p.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.argv[0]} (pid {self.pid}) still runs after {timeout} s")

    def stop(self, timeout=30):
        """TERM, then KILL; its exit code."""
        if self.alive():
            self.p.send_signal(signal.SIGCONT)
            self.p.terminate()
            try:
                return self.p.wait(timeout)
            except subprocess.TimeoutExpired:
                self.p.kill()
        return self.p.wait()

    def kill(self):
        if self.alive():
            self.p.kill()
        return self.p.wait()

    def tail(self, lines=40):
        with open(self.log, "rb") as f:
            return b"\n".join(f.read()[-200000:].splitlines()[-lines:]).decode("utf-8", "replace")

    def cpu_s(self):
        return cpu_s(self.pid)

    def rss_mb(self):
        return status_kb(self.pid, "VmRSS") / 1024

    def rss_peak_mb(self):
        return status_kb(self.pid, "VmHWM") / 1024


def cpu_s(pid):
    """User and system seconds of a process, its threads included, from /proc/PID/stat."""
    with open(f"/proc/{pid}/stat") as f:
        field = f.read().rsplit(")", 1)[1].split()
    return (int(field[11]) + int(field[12])) / TICK


def status_kb(pid, key):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0

"""A redis-server of our own."""
import os
import signal

import redis

from proc import Process, free_port, until


class RedisServer:
    """`aof`: None, "everysec" or "always"."""

    def __init__(self, folder, aof=None, extra=()):
        self.dir = str(folder)
        os.makedirs(self.dir, exist_ok=True)
        self.port = free_port()
        self.socket = os.path.join(self.dir, "redis.sock")
        self.argv = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--unixsocket", self.socket, "--dir", self.dir, "--save", "",
                     "--appendonly", "yes" if aof else "no", "--daemonize", "no", "--repl-diskless-load", "swapdb", *extra]
        if aof:
            self.argv += ["--appendfsync", aof]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.proc = None

    def start(self):
        self.proc = Process(self.argv, os.path.join(self.dir, "redis.log"))

        def up():
            if not self.proc.alive():
                raise RuntimeError("redis-server ended:\n" + self.proc.tail())
            return self.client().ping()
        until(up, 30, "redis-server answers")
        return self

    def client(self, **kw):
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=30, **kw)

    def stop(self):
        if self.proc:
            self.proc.stop()
            self.proc = None

    def kill(self):
        if self.proc:
            self.proc.kill()
            self.proc = None

    def take_in(self):
        """Returns once everything that others wrote before has been carried out: Redis reads 16 KiB of each connection a turn of its loop,
        a question takes a turn at least, and a socket holds less than 64 turns' worth."""
        c = self.client()
        for _ in range(64):
            c.ping()

    def pause(self):
        self.proc.signal(signal.SIGSTOP)

    def resume(self):
        self.proc.signal(signal.SIGCONT)

"""What the daemon keeps in Redis, decoded by hand from the format that metrics/README.md documents; not by the daemon's own code."""
import collections
import struct

STATES = {1: "queued", 2: "sending", 3: "sent", 4: "delivered", 5: "undelivered", 6: "expired", 7: "rejected", 8: "unknown", 9: "refused",
          10: "failed", 11: "lapsed", 12: "cancelled", 13: "held"}
OPEN = {"queued", "sending"}
AFTER_SENT = {"sent", "delivered", "undelivered", "expired", "rejected", "unknown"}

FIELDS = ("state incarnation epoch claims topic partition offset attempts uncertain accepted_ms claimed campaign country parts provider "
          "sent_at ids error ended instance lease extras duplicates").split()
Record = collections.namedtuple("Record", FIELDS)


def unpack(b, at=0):
    """One MessagePack value (the kinds that Redis' cmsgpack writes): (value, where it ends)."""
    t = b[at]
    at += 1
    if t < 0x80:
        return t, at
    if t < 0x90:
        return _map(b, at, t & 15)
    if t < 0xa0:
        return _array(b, at, t & 15)
    if t < 0xc0:
        return _text(b, at, t & 31)
    if t >= 0xe0:
        return t - 256, at
    simple = {0xc0: None, 0xc2: False, 0xc3: True}
    if t in simple:
        return simple[t], at
    numbers = {0xca: ">f", 0xcb: ">d", 0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q", 0xd0: ">b", 0xd1: ">h", 0xd2: ">i", 0xd3: ">q"}
    if t in numbers:
        size = struct.calcsize(numbers[t])
        v = struct.unpack_from(numbers[t], b, at)[0]
        return (int(v) if isinstance(v, float) and v == int(v) else v), at + size
    sizes = {0xd9: ">B", 0xda: ">H", 0xdb: ">I", 0xc4: ">B", 0xc5: ">H", 0xc6: ">I"}
    if t in sizes:
        n = struct.unpack_from(sizes[t], b, at)[0]
        return _text(b, at + struct.calcsize(sizes[t]), n)
    if t in (0xdc, 0xdd):
        form = ">H" if t == 0xdc else ">I"
        return _array(b, at + struct.calcsize(form), struct.unpack_from(form, b, at)[0])
    if t in (0xde, 0xdf):
        form = ">H" if t == 0xde else ">I"
        return _map(b, at + struct.calcsize(form), struct.unpack_from(form, b, at)[0])
    raise ValueError(f"MessagePack byte {t:#x}")


def _text(b, at, n):
    return b[at:at + n].decode("utf-8", "surrogateescape"), at + n


def _array(b, at, n):
    out = []
    for _ in range(n):
        v, at = unpack(b, at)
        out.append(v)
    return out, at


def _map(b, at, n):
    out = {}
    for _ in range(n):
        k, at = unpack(b, at)
        out[k], at = unpack(b, at)
    return out, at


def decode(b):
    r, end = unpack(b)
    if end != len(b) or not isinstance(r, list) or not 17 <= len(r) <= len(FIELDS):
        raise ValueError(f"no record: {b!r}")
    r += [False] * (len(FIELDS) - len(r))
    r[0] = STATES[r[0]]
    return Record(*r)


class Records:
    def __init__(self, server):
        self.c = server.client()

    def _keys(self, pattern):
        return list(self.c.scan_iter(pattern, 10000))

    def raw(self):
        """{id: bytes}"""
        keys, found = self._keys("sms:{*}:m:*"), {}
        for at in range(0, len(keys), 2000):
            some = keys[at:at + 2000]
            for k, v in zip(some, self.c.mget(some)):
                if v is not None:
                    found[k.split(b":m:", 1)[1].decode()] = v
        return found

    def all(self):
        return {i: decode(v) for i, v in self.raw().items()}

    def get(self, mid, shards=16):
        p = self.c.pipeline(transaction=False)
        for s in range(shards):
            p.get("sms:{%d}:m:%s" % (s, mid))
        got = [v for v in p.execute() if v is not None]
        assert len(got) <= 1, f"{mid} is in several shards"
        return decode(got[0]) if got else None

    def states(self):
        """{state: how many}, cheaply: the fourth byte of the record says it."""
        return collections.Counter(STATES.get(v[3] if v[0] == 0xdc else v[1], "?") for v in self.raw().values())

    def settled(self):
        s = self.states()
        return sum(n for k, n in s.items() if k not in OPEN)

    def rates(self):
        """{(provider, campaign, country, count): n}, all minutes and shards together; latency buckets left out."""
        total = collections.Counter()
        keys = self._keys("sms:{*}:r:*")
        p = self.c.pipeline(transaction=False)
        for k in keys:
            p.hgetall(k)
        for h in p.execute():
            for field, n in h.items():
                parts = field.decode().split("|")
                if len(parts) == 4:
                    total[tuple(parts)] += int(n)
        return total

    def rate(self, count):
        """The sum of one count over everything else."""
        return sum(n for k, n in self.rates().items() if k[3] == count)

    def mappings(self):
        """{provider id: our id}, of every provider."""
        keys, found = self._keys("sms:{*}:x:*"), {}
        for at in range(0, len(keys), 2000):
            some = keys[at:at + 2000]
            for k, v in zip(some, self.c.mget(some)):
                found[k.decode().rsplit(":", 1)[1]] = v.decode() if v is not None else None
        return found

    def span_s(self):
        """Seconds from the first claim to the last outcome."""
        first, last = 1 << 62, 0
        for r in self.all().values():
            first = min(first, r.accepted_ms + (r.claimed or 0))
            last = max(last, r.accepted_ms + (r.sent_at or r.ended or 0))
        return (last - first) / 1000

    def check(self):
        """The promises that hold at any quiet moment, of every record and every count."""
        records, rates = self.all(), self.rates()
        want = collections.Counter()
        for mid, r in records.items():
            check_stamps(mid, r)
            if r.claimed is not False:
                want["accepted", r.campaign] += 1
            if r.state in AFTER_SENT:
                want["sent", r.campaign] += 1
            if r.state not in OPEN and r.state != "sent":
                want[r.state, r.campaign] += 1
            want["uncertain", r.campaign] += r.uncertain
        have = collections.Counter()
        for (_, campaign, _, count), n in rates.items():
            have[count, campaign] += n
        for key in set(want) | {k for k in have if k[0] not in ("extra_sends", "duplicates")}:
            assert want[key] == have[key], f"counter {key}: {have[key]} in Redis, {want[key]} by the records"
        return records


def check_stamps(mid, r):
    """No stamp lies before the one that it follows."""
    stamps = [0] + [s for s in (r.claimed, r.sent_at) if s is not False]
    assert stamps == sorted(stamps), f"{mid}: stamps out of order: {r}"
    if r.ended is not False:
        assert r.ended >= stamps[-1], f"{mid}: ended before {stamps}: {r}"
    if r.state in AFTER_SENT:
        assert r.sent_at is not False and r.claimed is not False and r.provider, f"{mid}: sent, but: {r}"

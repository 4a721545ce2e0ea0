"""Row 5: records that are no jobs land in the dead-letter topic with the reason, and the good ones around them are sent."""
import hashlib
import json

import pytest

from conftest import SLOW
from proc import until
from smstrackd import job

GOOD = {"id": "x", "to": "+491700000001", "text": "SECRET-TEXT"}


def record(**more):
    d = {k: v for k, v in dict(GOOD, **more).items() if v is not None}
    return json.dumps(d, ensure_ascii=False).encode("utf-8", "surrogatepass")


# (the record's value, the words of which one must be its reason)
POISON = [
    (b'{"id":"x","to":', {"bad_json"}), (b"hello", {"bad_json"}), (b'{"id":"x"} {"id":"y"}', {"bad_json"}), (b"\x00\x01\x02", {"bad_json"}),
    (b"[1,2,3]", {"not_object"}), (b'"x"', {"not_object", "bad_json"}), (b"null", {"not_object", "bad_json"}),
    (record(id=7), {"bad_id"}), (record(to=491700000001), {"bad_to"}), (record(text=["x"]), {"bad_text"}), (record(ttl_s="60"), {"bad_ttl_s"}),
    (record(expires_at=1.5), {"bad_expires_at"}), (record(on_uncertain="maybe"), {"bad_on_uncertain"}), (record(meta="x"), {"bad_meta"}),
    (record(meta={"k": "v" * 1100}), {"bad_meta"}), (record(campaign="a b"), {"bad_campaign"}), (record(provider=1), {"bad_provider"}),
    (b'{"id":"x","id":"y","to":"+491700000001","text":"SECRET-TEXT"}', {"duplicate_key"}),
    (b'{"id":"x","to":"+491700000001","text":"SECRET-TEXT","meta":{"a":1,"a":2}}', {"duplicate_key"}),
    (record(text="x" * 66560), {"too_large"}), (record(junk="x" * (1 << 20)), {"too_large"}),
    (b'{"id":"x","to":"+491700000001","text":"SECRET-TEXT","z":' + b"[" * 100 + b"]" * 100 + b"}", {"too_deep"}),
    (record(id=None), {"missing_id"}), (record(id=""), {"bad_id", "missing_id"}), (record(id="a b"), {"bad_id"}), (record(id="x" * 129), {"bad_id"}),
    (record(to=None), {"missing_to"}), (record(to="0170123456"), {"bad_to"}), (record(to="+49"), {"bad_to"}), (record(to="+" + "1" * 16), {"bad_to"}),
    (record(text=None), {"missing_text"}), (record(text="x" * 1531), {"too_many_parts"}), (record(**{"from": "way too long a name"}), {"bad_from"}),
    (b'{"id":"x","to":"+491700000001","text":"SECRET-TEXT \xff\xfe"}', {"not_utf8"}),
    (b'{"id":"x","to":"+491700000001","text":"SECRET-TEXT \xed\xa0\x80"}', {"not_utf8"}),
    (b"", {"empty"}), (None, {"tombstone"}),
]


def headers(m):
    return {k: v.decode("utf-8", "replace") for k, v in m.headers() or []}


@pytest.mark.short
def test_poison_goes_to_the_dead_letters_and_the_rest_is_sent(world):
    world.open(partitions=2)
    n = 0
    for value, _ in POISON:
        world.kafka.produce(world.topic, [job(n), value, job(n + 1)], partition=n // 2 % 2, key=lambda i: b"the key")
        n += 2
    d = world.daemon()
    world.wait_committed(60)
    letters = world.kafka.read_all(world.dead)
    assert len(letters) == len(POISON), [headers(m).get("reason") for m in letters]
    by_position = {(headers(m)["partition"], headers(m)["offset"]): m for m in letters}
    originals = {(str(m.partition()), str(m.offset())): m for m in world.kafka.read_all(world.topic)}
    wrong = []
    place = [0, 0]
    for i, (value, reasons) in enumerate(POISON):
        p = i % 2
        at = str(p), str(place[p] + 1)
        place[p] += 3
        m, h = by_position[at], headers(by_position[at])
        if h["reason"] not in reasons:
            wrong.append((value[:60] if value else value, h["reason"], reasons))
        assert h["topic"] == world.topic and m.value() == value and m.key() == b"the key"
        assert m.timestamp()[1] == originals[at].timestamp()[1] or h.get("timestamp") == str(originals[at].timestamp()[1])
    assert not wrong, wrong
    records = world.records.check()
    assert set(records) == {f"m{i:07d}" for i in range(n)} and {r.state for r in records.values()} == {"sent"}
    world.check_committed()
    assert d.metric("smstrack_dead_letters_total") == len(POISON)
    assert d.drain() == 0


def test_a_head_of_poison_alone(world):
    """Nothing else in the partition: its offset is done all the same."""
    world.open(partitions=1)
    world.kafka.produce(world.topic, [b"{", b"{", b"{"])
    d = world.daemon()
    world.wait_committed()
    assert len(world.kafka.read_all(world.dead)) == 3
    assert d.drain() == 0


def test_what_kafka_refuses_for_good_goes_without_its_value(world):
    world.open(partitions=1)
    world.kafka.delete(world.dead)
    until(lambda: world.dead not in world.kafka.admin().list_topics(timeout=5).topics, 20, "the topic is gone")
    world.kafka.create(world.dead, config={"max.message.bytes": "20000"})
    big = record(junk="y" * 100000)
    world.kafka.produce(world.topic, [big, job(1)])
    d = world.daemon()
    world.wait_committed()
    letter, = world.kafka.read_all(world.dead)
    h = headers(letter)
    assert h["reason"] == "too_large" and h["size"] == str(len(big)) and h["sha256"] == hashlib.sha256(big).hexdigest() and "truncated" in h
    assert not letter.value()
    assert world.records.get("m0000001").state == "sent"
    assert d.drain() == 0


def test_a_missing_dead_letter_topic_is_named(world):
    world.open(partitions=1)
    d = world.daemon({"kafka": {"dead_topic": "no.such.topic"}}, start=False)
    d.start(ready=False)
    until(lambda: not d.alive() or "no.such.topic" in json.dumps(d.try_get("/readyz")), 30 * SLOW, "/readyz names the topic")
    assert d.log_has("no.such.topic")


def test_expired_jobs_are_never_written(world):
    world.open(partitions=1)
    world.kafka.produce(world.topic, [job(0, expires_at=1700000000000), job(1)])
    d = world.daemon()
    world.wait_committed()
    assert world.records.get("m0000000").state == "lapsed" and world.records.get("m0000001").state == "sent"
    assert [e.id for e in world.provider.ledger()] == ["m0000001"]
    assert d.drain() == 0

"""Whose turn it is, where long work of several threads waits."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cxr_core.system import progress
from cxr_core.system.progress import SharedResults, Turns


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Whoever waits is told at once."""
    monkeypatch.setattr(progress, "_TELL_SECONDS", 0.01)


class Visitor(threading.Thread):
    """Does its work in parts, one whenever it is told to, and notes each in a common list."""

    def __init__(self, name, turns, done):
        super().__init__(name=name, daemon=True)
        self.turns, self.done, self.ahead = turns, done, None
        self.waits, self.has_turn = threading.Event(), threading.Event()
        self.may_go_on, self.did = threading.Semaphore(0), threading.Semaphore(0)

    def tell(self, ahead):
        self.ahead = ahead
        self.waits.set()

    def run(self):
        with self.turns.taken(self.tell) as next_turn:
            self.has_turn.set()
            for _ in range(3):
                self.may_go_on.acquire()
                self.done.append(self.name)
                self.did.release()
                next_turn()

    def go_on(self):
        self.may_go_on.release()


def test_work_of_two_visitors_advances_by_turns():
    turns, done = Turns(1), []
    first, second = (Visitor(name, turns, done) for name in "ab")
    first.start()
    first.go_on()
    assert first.did.acquire(timeout=5)
    second.start()
    assert second.waits.wait(5) and second.ahead == 1
    for visitor in (first, first, second, second, second):
        visitor.go_on()
    first.join(5)
    second.join(5)
    assert done == list("aababb")


def test_as_many_as_allowed_go_on_at_once():
    turns, done = Turns(2), []
    visitors = [Visitor(name, turns, done) for name in "abc"]
    for visitor in visitors:
        for _ in range(3):
            visitor.go_on()
        visitor.start()
    for visitor in visitors:
        visitor.join(5)
    assert sorted(done) == list("aaabbbccc")


def test_who_gives_up_waiting_keeps_nobody_waiting():
    def give_up(_ahead):
        raise TimeoutError

    turns, done = Turns(1), []
    first, last = Visitor("a", turns, done), Visitor("b", turns, done)
    first.start()
    assert first.has_turn.wait(5)
    result = []

    def impatient():
        with pytest.raises(TimeoutError), turns.taken(give_up):
            pass
        result.append("gave up")

    thread = threading.Thread(target=impatient)
    thread.start()
    thread.join(5)
    assert result == ["gave up"]
    last.start()
    for visitor in (first, first, first, last, last, last):
        visitor.go_on()
    first.join(5)
    last.join(5)
    assert sorted(done) == list("aaabbb")


def test_a_turn_that_lasts_too_long_closes_the_queue_to_nobody(monkeypatch):
    monkeypatch.setattr(progress, "_LONGEST_SECONDS", 0.05)
    turns, done = Turns(1), []
    stuck, other = Visitor("stuck", turns, done), Visitor("other", turns, done)
    stuck.start()
    assert stuck.has_turn.wait(5)
    for _ in range(3):
        other.go_on()
    other.start()
    other.join(5)
    assert done == ["other"] * 3


def test_work_inside_work_of_the_same_visitor_waits_for_no_turn():
    turns = Turns(1)
    told = []
    with turns.taken(told.append), turns.taken(told.append) as next_turn:
        next_turn()
    assert told == []


def test_a_shared_result_is_computed_once_though_several_ask_at_the_same_time():
    results, begun, go_on, asked = SharedResults(2), threading.Event(), threading.Event(), []

    def compute():
        asked.append(threading.get_ident())
        begun.set()
        assert go_on.wait(10)
        return ["the result"]

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(results.get, "key", compute)
        assert begun.wait(10)
        second = pool.submit(results.get, "key", compute)
        go_on.set()
        assert first.result() is second.result()
    assert len(asked) == 1


def test_a_shared_result_that_failed_is_computed_by_who_asks_next_and_the_oldest_is_forgotten():
    results = SharedResults(2)
    with pytest.raises(ZeroDivisionError):
        results.get("a", lambda: 1 / 0)
    assert results.get("a", lambda: 1) == 1
    assert [results.get(key, lambda: 2) for key in ("b", "a", "c")] == [2, 1, 2]
    assert results.get("a", lambda: 3) == 1
    assert results.get("b", lambda: 3) == 3

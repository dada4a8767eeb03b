"""What is computed when it is first asked for."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from makemore.once import Once, lazy


class Slow:
    """Of which a thread computes `value` until it is told to go on."""

    def __init__(self, go_on=None):
        self.go_on = go_on
        self.began = threading.Event()
        self.computed = 0
        self.once = Once()

    @lazy
    def value(self):
        """A value."""
        return self.compute()

    def compute(self):
        self.computed += 1
        self.began.set()
        if self.go_on is not None:
            assert self.go_on.wait(60)
        return object()


@contextmanager
def computing(get):
    """While another thread computes."""
    slow = Slow(threading.Event())
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(get, slow)
        assert slow.began.wait(60)
        try:
            yield slow, pool
        finally:
            slow.go_on.set()
        assert first.result() is get(slow)


def in_a_child(get):
    """Whether the child of a fork ends with what it gets."""
    child = os.fork()
    if not child:
        threading.Timer(30, os._exit, [1]).start()  # it would wait for ever
        os._exit(0 if get() is not None else 2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def once(slow):
    return slow.once.get(slow.compute)


def test_a_lazy_property_is_computed_once_and_has_its_help():
    slow = Slow()
    assert slow.value is slow.value
    assert slow.computed == 1
    assert Slow.value.__doc__ == "A value."


def test_threads_that_compute_a_lazy_property_at_the_same_time_get_one_value():
    with computing(lambda slow: slow.value) as (slow, pool):
        second = pool.submit(lambda: slow.value)
        slow.go_on.set()
        assert second.result() is slow.value


def test_threads_wait_for_the_one_that_computes():
    with computing(once) as (slow, pool):
        others = [pool.submit(once, slow) for _ in range(3)]
        slow.go_on.set()
        assert {id(other.result()) for other in others} == {id(once(slow))}
    assert slow.computed == 1


def test_what_could_not_be_computed_is_computed_again():
    value = Once()
    with pytest.raises(ZeroDivisionError):
        value.get(lambda: 1 / 0)
    assert value.get(lambda: None) is None
    assert value.get(lambda: 1 / 0) is None


@pytest.mark.forks_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.skipif(sys.platform == "darwin", reason="a fork with threads is not safe there")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("get", [once, lambda slow: slow.value], ids=["once", "lazy"])
def test_a_child_does_not_wait_for_a_thread_that_a_fork_has_left_behind(get):
    with computing(get) as (slow, _):

        def in_child():
            slow.go_on = None
            return get(slow)

        assert in_a_child(in_child)
        assert in_a_child(lambda: get(Slow()))

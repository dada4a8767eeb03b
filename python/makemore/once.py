"""What is computed when it is first asked for, by any thread, and by the child of a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class Once(Generic[T]):
    """A value that the first thread computes while the others wait."""

    def __init__(self) -> None:
        self._lock, self._process = threading.Lock(), os.getpid()
        self._value: tuple[T] | None = None

    def get(self, compute: Callable[[], T]) -> T:
        """The value; what `compute` raises where it does, so that a later call computes again."""
        if self._value is not None:
            return self._value[0]
        if self._process != os.getpid():  # a thread that a fork has left behind may hold the lock
            self._lock, self._process = threading.Lock(), os.getpid()
        with self._lock:
            if self._value is None:
                self._value = (compute(),)
            return self._value[0]


class lazy(Generic[T]):  # noqa: N801 used as a decorator
    """A property that keeps what it computes. Threads that ask for it first at the same time may
    each compute it, but get the same value.

    That is `functools.cached_property` of Python 3.12; before, that has a lock, which the child of
    a fork waits for in vain where a thread of its parent computed the property of any object.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> lazy[T] | T:
        if instance is None:
            return self
        value: T = vars(instance).setdefault(self._name, self._compute(instance))
        return value

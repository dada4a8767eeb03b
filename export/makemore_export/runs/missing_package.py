"""The error for a package of the extra `export` that is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from makemore.errors import MissingDependencyError


@contextmanager
def missing_package_named(purpose: str) -> Iterator[None]:
    """Around imports: one that fails is `MissingDependencyError`, with the package's name.

    purpose: what needs the package, such as "to train".
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package, _, _ = (error.name or "").partition(".")
        raise MissingDependencyError(
            f"{purpose}, {package} is needed: pip install 'makemore[export]'"
        ) from None

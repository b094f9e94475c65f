"""The store of those that could not have theirs says why, whatever it is asked."""

from __future__ import annotations

import inspect

import pytest

from signalbox.store.absent import AbsentStore
from signalbox.store.base import Store, StoreError


def test_every_operation_says_what_was_wrong() -> None:
    store: Store = AbsentStore("no such library")
    operations = [name for name, _ in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")]
    for name in operations:
        if name == "close":
            continue
        wanted = inspect.signature(getattr(store, name)).parameters.values()
        arguments = [None for parameter in wanted if parameter.default is parameter.empty]
        with pytest.raises(StoreError, match="no such library") as caught:
            getattr(store, name)(*arguments)
        assert caught.value.kind == "down"
    store.close()

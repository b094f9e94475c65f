from __future__ import annotations

from types import ModuleType

import pytest

from signalbox import core
from signalbox.core import reference


@pytest.fixture(params=[core, reference], ids=["kernel", "reference"])
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """The compiled core and its reference: what is said of one holds for the other."""
    module = request.param
    assert isinstance(module, ModuleType)
    return module

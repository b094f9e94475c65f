import pytest
from collector_bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()

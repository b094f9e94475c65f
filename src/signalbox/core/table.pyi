import os
from typing import final

import numpy as np
from numpy.typing import NDArray

@final
class EmbeddingTable:
    rows: int
    dims: int
    is_int8: bool
    @staticmethod
    def open(path: str | os.PathLike[str]) -> EmbeddingTable: ...
    def pool(
        self, ids: NDArray[np.int32], weights: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], bool]: ...
    def pool_batch(
        self, ids: NDArray[np.int32], starts: NDArray[np.int64], weights: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]: ...

import numpy as np
from numpy.typing import NDArray

from signalbox.core.table import EmbeddingTable
from signalbox.core.wordpiece import WordPiece

def embed(wordpiece: WordPiece, table: EmbeddingTable, text: bytes) -> NDArray[np.float32]: ...

import numpy as np
from numpy.typing import NDArray

def word_features(text: bytes) -> NDArray[np.int32]: ...

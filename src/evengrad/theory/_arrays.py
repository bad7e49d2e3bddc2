"""Types shared by the theory package."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.intp]
RealFunction = Callable[[Array], Array]  # element-wise, float64 in, float64 out

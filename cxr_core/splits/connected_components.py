"""Which rows are tied, directly or through others?"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from cxr_core.system.arrays import IntArray


def chain_equal(codes: IntArray) -> IntArray:
    """Tie each row to the next one of the same code.

    Args:
        codes: int (N,); a code below 0 is no code.

    Returns:
        int64 (M, 2), row positions, the earlier one first.
    """
    order = np.argsort(codes, kind="stable")
    same = (np.diff(codes[order]) == 0) & (codes[order][1:] >= 0)
    return np.column_stack([order[:-1][same], order[1:][same]])


def component_numbers(ties: IntArray, n: int) -> IntArray:
    """Number the connected components of a graph.

    Args:
        ties: int (M, 2), row positions.
        n: int, number of rows.

    Returns:
        int (n,), the same number for rows that are tied.
    """
    a, b = np.asarray(ties, int).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(n, n))
    numbers: IntArray = connected_components(graph, directed=False)[1]
    return numbers

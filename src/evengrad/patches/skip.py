"""Add the input of each block to its output.

Settings:
    scale: factor on the block's own output, "1"; 1 unless given.

``modules``: the layers or blocks that get a shortcut; none: every layer whose input and output have the same size
and that an activation follows. A layer's block ends after its activation: ``x = act(layer(x))`` becomes ``x = x +
act(layer(x))``; in a Sequential ``layer, act`` becomes ``Residual(layer, act)`` with a small class written beside
the user's own.
"""

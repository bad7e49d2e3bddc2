"""Move data into units of order one.

Settings:
    what: ``input`` or ``target``.
    mean, std: what is subtracted, and what the rest is divided by, in the unit of the data.
    per: ``tensor`` (unless given): by the numbers ``mean`` and ``std``; ``column``: by mean and standard deviation
        of each column of the data that the script holds in one tensor (``X = (X - X.mean(0)) / X.std(0)``), refused if
        there is no such tensor; mean and std are not needed then.

``lines``: of the data, of the model's call or of the loss; none: found from the model's call. ``input`` becomes the
first statement of the model's own ``forward`` when it has one (so that evaluation sees the same units), else the
argument of each call of the model; ``target`` is scaled where the loss takes it. Predictions are then in the new
unit: the user is told by a comment.
"""

"""Let the gradient, or the optimizer, reach the parameters.

Settings:
    fault: what cuts them off:

        - ``detached``: ``.detach()``, ``.data``, ``.item()``, ``.tolist()``, ``.numpy()`` with the ``torch.tensor``
          around it are removed.
        - ``no-grad``: a ``with torch.no_grad():`` or a decorator on the path becomes ``enable_grad``.
        - ``frozen``: ``requires_grad_(False)``, ``requires_grad = False`` lines become True.
        - ``missing``: parameters in no optimizer: the optimizer's first argument is widened to the whole model, or gets
          their modules beside its own.
        - ``foreign``: the optimizer holds the parameters of another object: it is made again behind the model's last
          construction (the statement moves), or is given the model that is called.
        - ``unregistered``: a plain list of modules becomes an nn.ModuleList, a plain dict an nn.ModuleDict.
        - ``auto`` (unless given): the first of these, in this order, that lies on ``lines`` or between the
          ``modules`` and their next use.

``modules``, ``parameters``: those that get no gradient. ``lines``: of the cut, where known; else it is looked for in
the methods that use ``modules``, and behind them where their output is used. It is refused if there is more than one
candidate.
"""

"""Give the optimizer other numbers, or another class.

Settings:
    lr, weight_decay, eps, momentum, beta1, beta2, alpha, nesterov, amsgrad: new values.
    lr_factor: factor on the learning rate that is there, "1"; written as a number where a number stands, else as a product
        (``lr=args.lr * 0.1``). It reaches the rates of every parameter group, ``lr`` only a single rate.
    optimizer: name of a class of torch.optim; arguments that it lacks are dropped (``momentum`` for Adam).

``lines``: where the optimizers are made; none: the one that holds ``parameters``; neither: the only one, and it is refused
if there are several. The constructor's call is edited: keyword or position, a literal or a name of the config; a scheduler
that sets the rate by itself (OneCycleLR, CyclicLR) is told to the user.
"""

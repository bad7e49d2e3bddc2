"""Put another function at activation sites, or none.

Settings:
    to: ``relu, leaky-relu, prelu, elu, selu, celu, gelu, silu, mish, softplus, hardswish, tanh, sigmoid, hardtanh`` or
        ``identity``, which removes it.
    slope: negative slope of ``leaky-relu``, or the value that ``prelu``'s slope starts from, "1"; torch's own unless
        given.

``modules``: names of the activation sites (``net.1``, ``fc1:sigmoid``), or of the activation modules; none: the sites on
``lines``; neither: it is refused. Sites that one line of source makes (a loop, a comprehension) can only change together: it
is refused if ``modules`` holds some of them and not others.

Constructors (``nn.Sigmoid()``), functions under whatever name (``F.sigmoid``), methods (``x.sigmoid()``), classes and
functions passed as values (``act=nn.Sigmoid``) and arguments of recurrent and transformer layers
(``activation="relu"``; recurrent ones know tanh and relu only) are rewritten. ``prelu`` at a functional call becomes an
attribute made in ``__init__``. ``inplace=True`` is kept where the new function has it.
"""

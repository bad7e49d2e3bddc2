"""Draw the weights anew, right before the optimizer is made.

Settings:
    method: which distribution, drawn for the layers in the order of ``model.modules()``; every bias is set to 0:

        - ``xavier``: ``nn.init.xavier_uniform_(weight, gain=gain)``; gain 1 unless given.
        - ``he``: ``nn.init.kaiming_normal_(weight, nonlinearity="relu")``, or ``a=slope, nonlinearity="leaky_relu"``.
        - ``lecun``: ``nn.init.kaiming_normal_(weight, nonlinearity="linear")``.
        - ``orthogonal``: ``nn.init.orthogonal_(weight, gain=gain)``; gain 1 unless given.
        - ``delta-orthogonal``: convolutions are 0 but for the centre tap, which is orthogonal (it needs
          out_channels >= in_channels); other layers as ``orthogonal``.
        - ``critical``: ``nn.init.normal_(weight, std=gain / sqrt(fan_in))``, biases ``normal_(std=bias)`` if ``bias`` > 0.
        - ``lsuv``: ``orthogonal``, then, on the first batch and in the order of the forward pass, each weight is divided
          by the standard deviation of its layer's output until that is 1 (within ``tolerance``, at most 10 times).
          Without a batch that is sure to be the model's input it is refused.
        - ``recurrent``: recurrent matrices (``weight_hh*`` of nn.RNN, LSTM, GRU and their cells, per gate; or the layers
          that ``modules`` names) by ``nn.init.orthogonal_(gain=gain)``; ``weight_ih*`` by ``xavier_uniform_``.
        - ``forget-bias``: forget gates of LSTMs get ``bias`` (1 unless given) in all: ``bias_ih`` has it, ``bias_hh`` 0.
          Weights stay.
        - ``residual``: the weights of ``modules`` (the last layer of each residual branch) are multiplied by ``gain``
          (0 unless given, which is written as ``nn.init.zeros_``; their biases too).
        - ``bias``: the biases of ``modules`` are set to ``bias`` (0 unless given); weights stay.
    gain: factor on the standard deviation, "1".
    slope: negative slope of the leaky ReLU that ``he`` is for, "1".
    bias: standard deviation of biases (``critical``), or their value (``forget-bias``, ``bias``), in h.
    tolerance: of ``lsuv``, "1"; 0.1 unless given.
    replace: True when the script's own initialisation is to be rewritten in place, at ``lines`` or wherever the tree
        has it, rather than overwritten later.

``modules``: layers to be drawn; none: every nn.Linear and nn.Conv*d of the model (recurrent layers for ``recurrent`` and
``forget-bias``). ``lines``: lines of the script's own initialisation; the call there is rewritten in place, whatever
``replace`` says, if it is one.

The draws come from torch's global generator immediately before the statement that makes the optimizer, so that a live
initialisation at that moment draws the same numbers.
"""

"""Put the calls of the training loop in order.

Settings:
    fault: an event's name:

        - ``zero-grad-missing``: ``optimizer.zero_grad()`` goes right before ``backward``; where gradients accumulate over
          several of them, right after the step.
        - ``zero-grad-before-step``: zero_grad between backward and step moves to right before backward.
        - ``clip-before-backward``: the clip moves to right after backward (before the step when gradients accumulate).
        - ``clip-after-step``: the clip moves to right before the step.
        - ``clip-before-unscale``: ``scaler.unscale_(optimizer)`` is put right before the clip.
        - ``double-step``: the second of two steps is removed.
        - ``step-without-backward``: a step before backward moves behind it.

``lines``: of the calls that came at the wrong place, or of the optimizer; none: found from the order in the tree.
"""

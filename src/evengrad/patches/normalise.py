"""Normalise the outputs of layers, before their activation.

Settings:
    kind: ``layer``: ``nn.LayerNorm(out_features)`` behind nn.Linear, ``nn.GroupNorm(1, out_channels)`` behind
        convolutions; ``batch``: ``nn.BatchNorm1d``, or 2d, 3d behind convolutions.

``modules``: the layers; none: every Linear and Conv that an activation follows. In a Sequential the norm becomes the
next element; beside an attribute it becomes an attribute of its own (``self.fc1_norm``) that forward calls, in lists
one per layer. Existing names of parameters shift only where a Sequential gains elements. Layers that one line of
source makes can only change together.
"""

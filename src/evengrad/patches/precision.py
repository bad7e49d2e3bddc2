"""Compute in another number format.

Settings:
    dtype: ``float32``: half and bfloat16 conversions of models and data (``.half()``, ``.bfloat16()``,
        ``.to(torch.float16)``, ``dtype=torch.bfloat16``, ``set_default_dtype``) are removed, ``autocast`` and
        ``GradScaler`` get ``enabled=False``; ``bfloat16``: float16 becomes bfloat16, GradScaler gets ``enabled=False``;
        ``float16``: bfloat16 becomes float16 (no scaler is added).
    what: ``all`` (unless given), ``autocast`` or ``weights``: conversions of one kind only.

``lines``: where; none: the whole tree.
"""

"""The check at step 0: can this network train at all, and which initialisation would let it?

``result`` holds the values (free of torch's live tensors, so that reports may read them); everything else measures.
"""

"""Print everything that two runs of one script must share to the bit: losses, weights and random states."""

import hashlib
import random

import numpy as np
import torch

# A script may seed less than everything; what it does not seed must not differ from run to run.
random.seed(0)
np.random.seed(0)


def tensors(holder):
    """Yield the tensors of a module, a mapping, a sequence or a tensor, in a fixed order."""
    if isinstance(holder, torch.Tensor):
        yield holder
    elif isinstance(holder, torch.nn.Module):
        yield from tensors(holder.state_dict())
    elif isinstance(holder, dict):
        for key in holder:
            yield from tensors(holder[key])
    elif isinstance(holder, (list, tuple)):
        for item in holder:
            yield from tensors(item)


def digest(*holders):
    """Return the SHA-256 over the bytes of all tensors."""
    sha = hashlib.sha256()
    for tensor in tensors(holders):
        flat = tensor.detach().cpu().to_dense().contiguous().reshape(-1)
        sha.update(flat.view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def fingerprint(losses, *holders):
    """Print the losses with full precision and hashes of the weights and of the random states."""
    print("losses", " ".join(repr(float(loss)) for loss in losses))
    print("weights", digest(*holders))
    print("python", hashlib.sha256(repr(random.getstate()).encode()).hexdigest())
    kind, keys, *rest = np.random.get_state()
    print("numpy", hashlib.sha256(keys.tobytes() + repr((kind, rest)).encode()).hexdigest())
    print("torch", digest(torch.get_rng_state()))

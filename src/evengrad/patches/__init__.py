"""Write changes into the user's own source: one file per act, text in, text out; nothing is imported or run."""

from evengrad.patches._facts import Facts, facts_of
from evengrad.patches._patch import patch, patch_plan
from evengrad.patches._tree import SourceTree, decode, encode, load_tree

__all__ = ["Facts", "SourceTree", "decode", "encode", "facts_of", "load_tree", "patch", "patch_plan"]

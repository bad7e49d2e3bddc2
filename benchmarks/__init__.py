"""Measurements that README and docs quote; each appends its figures to ``benchmarks/results``."""

"""The picture as JSON, contract ``evengrad.theory/1``; an infinite or undefined number is null."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Final

from evengrad.reports.json_report import Json
from evengrad.theory.criticality import EdgeOfChaos
from evengrad.theory.outlook import TrainableDepth
from evengrad.theory.overview import InitialisationRow, MeanFieldPicture

SCHEMA: Final = "evengrad.theory/1"


def render_theory_json(picture: MeanFieldPicture) -> str:
    """Return a picture as JSON that ends with a line break."""
    return json.dumps(_picture(picture), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _picture(picture: MeanFieldPicture) -> dict[str, Json]:
    scales, found = picture.depth_scales, picture.gains
    return {
        "schema": SCHEMA,
        "activation": picture.activation.name,
        "parameters": dict(picture.activation.parameters),
        "depth": picture.depth,
        "width": picture.width or None,
        "initialisation": picture.chosen,
        "weight_variance": picture.initialisation.weight_variance,
        "bias_variance": picture.initialisation.bias_variance,
        "q_0": picture.q_0,
        "q_star": _finite(picture.q_star),
        "q_diverges": math.isinf(picture.q_star),
        "fixed_points": [{"q": point.q, "growth": _finite(point.growth)} for point in picture.fixed_points],
        "gradient_factor": _finite(picture.gradient_factor),
        "variance_growth": _finite(picture.variance_growth),
        "phase": picture.phase.value,
        "decades_per_layer": _finite(picture.decades_per_layer),
        "correlation_star": _finite(picture.correlation_star),
        "correlation_slope": _finite(picture.correlation_slope),
        "depth_scales": {
            "variance": _finite(scales.variance),
            "correlation": _finite(scales.correlation),
            "gradient": _finite(scales.gradient),
        },
        "trainable_depth": _depth(picture.trainable),
        "critical": _edge(picture.critical),
        "critical_range": [[interval.low, interval.high] for interval in picture.critical_range],
        "centred": _edge(picture.centred),
        "half_stable": [_edge(edge) for edge in picture.half_stable],
        "gains": {
            "forward": _finite(found.forward),
            "variance": _finite(found.variance),
            "backward": _finite(found.backward),
            "torch": found.torch,
        },
        "jacobian_spread": {
            "gaussian": _finite(picture.spread_gaussian),
            "orthogonal": _finite(picture.spread_orthogonal),
        },
        "band": {
            "bias": _finite(picture.propagation.band.bias),
            "deviation": _finite(picture.propagation.band.deviation),
            "unit": "decades",
        },
        "comparison": [_row(row) for row in picture.comparison],
    }


def _row(row: InitialisationRow) -> dict[str, Json]:
    return {
        "name": row.name,
        "weight_variance": row.initialisation.weight_variance,
        "bias_variance": row.initialisation.bias_variance,
        "q_star": _finite(row.q_star),
        "gradient_factor": _finite(row.gradient_factor),
        "phase": row.phase.value,
        "attenuation": _finite(row.attenuation),
        "outlook": row.outlook.value,
        "trainable_depth": _depth(row.trainable),
        "layers": {
            "q": _list(row.propagation.q),
            "decades": _list(row.propagation.decades),
            "correlation": _list(row.correlations),
        },
    }


def _edge(edge: EdgeOfChaos) -> dict[str, Json]:
    return {
        "q": edge.q,
        "feasible": edge.feasible,
        "obstacle": edge.obstacle.value if edge.obstacle else None,
        "weight_variance": _finite(edge.weight_variance),
        "bias_variance": _finite(edge.bias_variance),
        "variance_growth": _finite(edge.growth),
        "mean": _finite(edge.mean),
    }


def _depth(depth: TrainableDepth) -> dict[str, Json]:
    return {
        "depth": _finite(depth.depth),
        "by_correlation": _finite(depth.by_correlation),
        "by_gradient": _finite(depth.by_gradient),
        "by_variance": _finite(depth.by_variance),
    }


def _list(values: Iterable[float]) -> list[Json]:
    return [_finite(value) for value in values]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

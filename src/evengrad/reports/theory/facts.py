"""Every quantity of the pictured initialisation, as a table of two columns."""

from __future__ import annotations

import math
from collections.abc import Iterator

from evengrad.reports.text import Texts, decades, number
from evengrad.reports.theory.wording import depth_text, layers, precise, title_of
from evengrad.reports.values import Table
from evengrad.theory.mean_field import Initialisation, gradient_factor, phase, q_star
from evengrad.theory.overview import MeanFieldPicture


def facts(picture: MeanFieldPicture, words: Texts) -> Table:
    """Return the table."""
    title = words.say("facts.title", initialisation=title_of(picture.chosen, words))
    columns = (words.say("table.property"), words.say("table.value"))
    rows = tuple((words.say(f"fact.{key}"), value) for key, value in _rows(picture, words))
    return Table(title, columns, rows)


def _rows(picture: MeanFieldPicture, words: Texts) -> Iterator[tuple[str, str]]:
    yield "initialisation", _variances(picture.initialisation, words)
    yield "fixed-point", _fixed_point(picture, words)
    values = {
        "factor": precise(picture.gradient_factor),
        "phase": words.say(f"phase.{picture.phase.value}"),
        "rate": decades(picture.decades_per_layer, 3),
    }
    yield "gradient", words.say("fact.gradient.value", **values)
    values = {"star": precise(picture.correlation_star), "slope": precise(picture.correlation_slope)}
    yield "correlation", words.say("fact.correlation.value", **values)
    scales = picture.depth_scales
    values = {
        "variance": layers(scales.variance, words),
        "correlation": layers(scales.correlation, words),
        "gradient": layers(scales.gradient, words),
    }
    yield "scales", words.say("fact.scales.value", **values)
    yield "reach", _reach(picture, words)
    yield "critical", _critical(picture, words)
    yield "gains", _gains(picture, words)
    if math.isfinite(picture.spread_gaussian):
        values = {"gaussian": number(picture.spread_gaussian), "orthogonal": number(picture.spread_orthogonal)}
        yield "spread", words.say("fact.spread.value", **values)


def _variances(initialisation: Initialisation, words: Texts) -> str:
    weight, bias = initialisation.weight_variance, initialisation.bias_variance
    return words.say(
        "fact.initialisation.value",
        weight=precise(weight),
        bias=precise(bias),
        sigma_w=precise(math.sqrt(weight)),
        sigma_b=precise(math.sqrt(bias)),
    )


def _fixed_point(picture: MeanFieldPicture, words: Texts) -> str:
    if picture.q_star == 0:
        return words.say("fact.fixed-point.silent", q_0=number(picture.q_0))
    if math.isinf(picture.q_star):
        return words.say("fact.fixed-point.loud", q_0=number(picture.q_0))
    growth = picture.variance_growth
    kind = "marginal" if abs(abs(growth) - 1) < 1e-9 else "stable" if abs(growth) < 1 else "unstable"
    said = words.say(
        "fact.fixed-point.value",
        q=precise(picture.q_star),
        growth=precise(growth),
        stability=words.say(f"stability.{kind}"),
    )
    others = [precise(point.q) for point in picture.fixed_points if abs(point.q - picture.q_star) > 1e-6 * point.q]
    return said + (words.say("fact.fixed-point.others", others=", ".join(others)) if others else "")


def _reach(picture: MeanFieldPicture, words: Texts) -> str:
    if math.isinf(picture.trainable.depth):
        return depth_text(picture.trainable.depth, picture.depth, words, unit=True)
    return words.say(
        "fact.reach.value",
        depth=depth_text(picture.trainable.depth, picture.depth, words, unit=True),
        gradient=depth_text(picture.trainable.by_gradient, picture.depth, words),
        correlation=depth_text(picture.trainable.by_correlation, picture.depth, words),
        variance=depth_text(picture.trainable.by_variance, picture.depth, words),
    )


def _critical(picture: MeanFieldPicture, words: Texts) -> str:
    edge = picture.critical
    if edge.obstacle is not None:
        return words.say("fact.critical.none", obstacle=words.say(f"obstacle.{edge.obstacle.value}"))
    at = words.say("fact.critical.at", q=number(edge.q))
    if edge.initialisation == picture.initialisation:
        return words.say("fact.critical.this") + at
    return _variances(edge.initialisation, words) + at


def _gains(picture: MeanFieldPicture, words: Texts) -> str:
    found = picture.gains
    said = words.say(
        "fact.gains.value",
        forward=precise(found.forward),
        variance=precise(found.variance),
        backward=precise(found.backward),
    )
    if found.torch is None:
        return said + words.say("fact.gains.unknown")
    by_torch = Initialisation(found.torch**2)
    factor = gradient_factor(picture.activation, q_star(picture.activation, by_torch, q_0=picture.q_0), by_torch)
    return said + words.say(
        "fact.gains.torch",
        torch=precise(found.torch),
        factor=precise(factor),
        phase=words.say(f"phase.{phase(factor).value}"),
    )

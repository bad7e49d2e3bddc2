"""What a tired reader reads first: will this depth train, with what, and what to write."""

from __future__ import annotations

import math
from collections.abc import Iterator

from evengrad.reports.text import Texts, decades, number
from evengrad.reports.theory.wording import precise, spoken_name
from evengrad.theory.criticality import EdgeOfChaos, Obstacle
from evengrad.theory.mean_field import Initialisation
from evengrad.theory.outlook import DepthLimits, Outlook
from evengrad.theory.overview import HE, InitialisationRow, MeanFieldPicture
from evengrad.theory.propagation import propagate, uniform_chain

_USUAL_WIDTH = 64  # units; narrower layers are rare, so a need for them is not worth a sentence
_ORDER = (Outlook.TRAINS, Outlook.DOUBTFUL, Outlook.FAILS)


def headline(picture: MeanFieldPicture, words: Texts) -> str:
    """Return the one sentence: with which initialisations this depth is expected to train."""
    rows = _distinct(picture)
    parts: list[str] = []
    for outlook in _ORDER:
        names = [words.say(f"with.{row.name}") for row in rows if row.outlook is outlook]
        if names:
            listed = words.say("with.any") if len(names) == len(rows) else _listed(names, outlook, words)
            place = "then" if parts else "first"
            parts.append(words.say(f"head.{outlook.value}.{place}", names=listed))
    return words.say(
        "head",
        net=words.say("head.net", depth=f"{picture.depth:,}", name=spoken_name(picture.activation)),
        parts=words.say("head.separator").join(parts),
    )


def _distinct(picture: MeanFieldPicture) -> list[InitialisationRow]:
    """Return the rows, one for each initialisation: for ReLU the critical one goes by the name of He."""
    found: dict[Initialisation, InitialisationRow] = {}
    for row in picture.comparison:
        found.setdefault(row.initialisation, row)
    return list(found.values())


def _listed(names: list[str], outlook: Outlook, words: Texts) -> str:
    if len(names) == 1:
        return names[0]
    joint = words.say("list.or" if outlook is Outlook.FAILS else "list.and")
    return words.say("list.separator").join(names[:-1]) + joint + names[-1]


def default_sentence(picture: MeanFieldPicture, words: Texts) -> str:
    """Return what becomes of the gradient under the initialisation given, or under PyTorch's default."""
    row = picture.comparison[0]
    values = {
        "with_": words.say(f"with.{row.name}"),
        "decades": decades(abs(row.attenuation)).lstrip("+"),
        "factor": number(row.gradient_factor),
    }
    if row.attenuation == -math.inf:
        return words.say("default.zero", **values)
    kind = "even" if abs(row.attenuation) < 0.5 else "falls" if row.attenuation < 0 else "grows"
    return words.say(f"default.{kind}", **values)


def advice(picture: MeanFieldPicture, words: Texts) -> str:
    """Return what to do: the lines to write, or what to change where no initialisation helps."""
    current = picture.comparison[0]
    if current.outlook is Outlook.TRAINS:
        return words.say("advice.nothing", with_=words.say(f"with.{current.name}"))
    preferred = ("critical", "centred", "xavier", "he")
    good = {row.name: row for row in picture.comparison if row.outlook is Outlook.TRAINS}
    chosen = next((good[name] for name in preferred if name in good), None)
    if chosen is not None and chosen.name == "centred":
        return words.say("advice.centred", name=spoken_name(picture.activation), mean=precise(picture.critical.mean))
    if chosen is not None:
        return words.say("advice.write", code=_code(chosen.initialisation, picture), method=chosen.name)
    better = next((row for row in picture.comparison if row.name == "critical"), None)
    if better is not None and better.outlook is Outlook.DOUBTFUL:
        return words.say("advice.doubtful", code=_code(better.initialisation, picture))
    return words.say("advice.change")


def _code(initialisation: Initialisation, picture: MeanFieldPicture) -> str:
    """Return the lines that give a layer ``m`` these variances."""
    if initialisation == HE and picture.activation.name == "relu":
        weight = "nn.init.kaiming_normal_(m.weight, nonlinearity='relu')"
    else:
        gain = precise(math.sqrt(initialisation.weight_variance))
        weight = f"nn.init.normal_(m.weight, std={gain} / m.weight[0].numel() ** 0.5)"
    deviation = math.sqrt(initialisation.bias_variance)
    bias = f"nn.init.normal_(m.bias, std={precise(deviation)})" if deviation else "nn.init.zeros_(m.bias)"
    return f"`{weight}; {bias}`"


def notes(picture: MeanFieldPicture, words: Texts) -> tuple[str, ...]:
    """Return what else to know, the most important first."""
    return tuple(_notes(picture, words))


def _notes(picture: MeanFieldPicture, words: Texts) -> Iterator[str]:
    if picture.critical.obstacle is not None:
        yield _obstacle(picture, words)
    elif not picture.critical.stable:
        growth = picture.critical.growth
        depth = math.ceil(math.log(DepthLimits().variance_growth) / math.log(growth))
        said = words.say("note.unstable", growth=precise(growth), depth=f"{depth:,}")
        yield said + _centred(picture, words)
    if picture.variance_growth > 1 + 1e-9 or not math.isfinite(picture.propagation.attenuation):
        return  # the band would say nothing
    if not picture.width:
        needed = _width_needed(picture)
        if needed > _USUAL_WIDTH:
            yield words.say("note.width", width=number(float(f"{needed:.2g}")))
    else:
        low, high = picture.propagation.band.interval()
        shift = picture.propagation.attenuation
        yield words.say(
            "note.band",
            width=f"{picture.width:,}",
            with_=words.say(f"with.{picture.chosen}"),
            low=decades(shift + low),
            high=decades(shift + high),
        )


def _width_needed(picture: MeanFieldPicture) -> float:
    """Return the units per layer from which on seeds stay together: three standard deviations within two decades."""
    chain = uniform_chain(picture.activation, picture.initialisation, picture.depth, width=1)
    return (3 * propagate(chain, q_0=picture.q_0).band.deviation / DepthLimits().exploding_decades) ** 2


def _obstacle(picture: MeanFieldPicture, words: Texts) -> str:
    """Return why there is no critical initialisation."""
    edge, name = picture.critical, spoken_name(picture.activation)
    if edge.obstacle is Obstacle.JUMP:
        at = ", ".join(number(place) for place in picture.activation.jumps)
        return words.say("note.jump", name=name, at=at)
    if edge.obstacle is Obstacle.FLAT:
        return words.say("note.flat", name=name)
    values = {"name": name, "mean": precise(edge.mean), "bias": precise(edge.bias_variance)}
    if picture.critical_range:
        low = picture.critical_range[0].low
        return words.say("note.mean.range", **values, low=number(low)) + _centred(picture, words)
    return words.say("note.mean", **values) + _centred(picture, words)


def _centred(picture: MeanFieldPicture, words: Texts) -> str:
    """Return the offer to subtract the mean, where that makes a stable critical initialisation; "" where not."""
    edge: EdgeOfChaos = picture.centred
    if not edge.feasible or not edge.stable or abs(picture.critical.mean) < 1e-9:
        return ""
    return words.say("list.sentences") + words.say(
        "note.centred",
        name=spoken_name(picture.activation),
        mean=precise(picture.critical.mean),
        weight=precise(edge.weight_variance),
        bias=precise(edge.bias_variance),
    )

"""Data of a size, or of sizes, that the first layer cannot work with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.finding import CauseKind, Evidence, Finding, Severity
from evengrad.core.info import SiteInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._late import late_median
from evengrad.rules._outcome import outcome
from evengrad.rules._progress import State
from evengrad.rules._weights import active_optimizers, largest_updates
from evengrad.rules._words import lines, number, percent

_FAILED = (State.STUCK, State.DIVERGING)


@dataclass(frozen=True)
class _Harm:
    """How the size of the data was felt: the message for it, and the evidence."""

    key: str
    evidence: Evidence
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class InputScale(AbstractRule):
    """The data are too large, too small, or of sizes too different for the first layer, and the run suffers from it.

    What it measures:
        The root mean square and the largest value of what the first weights act on, the spread of sizes between its
        features, and whether that size is felt: a first activation that is saturated, a signal that stays large behind
        the first layer, a first update that tears its weights, or samples that drown in the biases.

    Why it hurts:
        Every initialisation assumes inputs of about unit size. Data a hundred times as large saturate a sigmoid, make
        the loss and its gradient a hundred (and the first update ten thousand) times as large; data of a
        ten-thousandth leave nothing but the biases.

    When it misleads:
        Raw pixels behind a normalisation layer, or under Adam in a net that copes, train well: without a run that
        fails, or crawls, because of it, size is no fault. Sparse data (words, one-hot codes) have a small root mean
        square and entries of size 1; they are not small. When the weights of the first layer are what is too large,
        the initialisation is to blame.

    Thresholds:
        large, small: root mean square of the data, "x" (theory page, criteria: outside [0.1, 10]).
        small_max: largest value, "x", up to which small data are small and not sparse. Own choice.
        spread: largest over median size of a feature, "1"; at a hundred, curvatures differ by ten thousand. Own choice.
        saturated: share of the first activation's entries, "1" (a first layer of 0.98 trained on the theory page: only
            beside a run that fails or crawls).
        passes: size behind the first layer, "x", from which on the large data got through it. Own choice.
        update: relative first update of the first layer, "1" (theory page: above 0.3).
        drowned: distinguishability behind the first layer over the one before it, "1"; also the first layer's update
            over the others'. Own choice.
        faint: between-sample spread of the prediction over its size, "1", below which it is a constant; with data of
            unit size it would have to be above. Own choice.
        share: part of the size in front of the first activation, "1", that must come from the data. Own choice.

    Source:
        LeCun et al. 1998, "Efficient BackProp", section 4.3; theory page, criteria (data scale) and remedies (x100
        with He initialisation: NaN; x1e-4: no learning).
    """

    large: float = 10.0
    small: float = 0.1
    small_max: float = 0.5
    spread: float = 100.0
    saturated: float = 0.9
    passes: float = 3.0
    update: float = 0.3
    drowned: float = 0.01
    faint: float = 1e-3
    share: float = 0.5

    messages: ClassVar[Mapping[str, str]] = {
        "saturates": "The data that `{layer}` acts on are of size {rms}: they saturate {saturated} of `{activation}`.",
        "bursts": "The data that `{layer}` acts on are of size {rms}: the first update changes its weights by "
        "{update} times their size.",
        "passes": "The data that `{layer}` acts on are of size {rms}, and still of size {behind} behind it: the "
        "loss is ruled by their scale.",
        "drowns": "The data that `{layer}` acts on are of size {rms}: biases outweigh them, and samples are hardly "
        "told apart.",
        "faint": "The data that `{layer}` acts on are of size {rms}: predictions vary by {varies} of their size only.",
        "starves": "The data that `{layer}` acts on are of size {rms}: its weights move {times} times less than the"
        " others'.",
        "spreads": "The features that `{layer}` acts on differ in size by a factor of {spread}: no learning rate "
        "suits all.",
        "cause-large": "data of size {rms} where about 1 is expected",
        "cause-spread": "features between a common size and {spread} times that",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding on the first layer whose data hurt the run."""
        state = outcome(trace).state
        if state not in (*_FAILED, State.LEARNING):
            return ()
        for site in self._first_layers(trace):
            rms = trace.get(Statistic.INPUT_RMS, site.name).median()
            harm = None
            if rms > self.large and self._from_data(trace, site, rms) >= self.share:
                harm = self._too_large(trace, site, state)
            elif rms < self.small and trace.get(Statistic.INPUT_MAX, site.name).median() < self.small_max:
                harm = self._too_small(trace, site, state)
            harm = harm or self._too_different(trace, site, state)
            if harm is not None:
                return (self._finding(trace, site, rms, harm, state),)
        return ()

    def _first_layers(self, trace: Trace) -> tuple[SiteInfo, ...]:
        """Return the layers that act on data."""
        depth = {site.name: trace.get(Statistic.DEPTH, site.name).median() for site in trace.layers}
        return tuple(site for site in trace.layers if depth[site.name] == 0)

    def _from_data(self, trace: Trace, site: SiteInfo, rms: float) -> float:
        """Return which part of the size in front of the first activation the data bring; the weights bring the rest."""
        name = next(iter(_matrices(trace, site)), "")
        info = trace.parameter(name)
        weight = trace.get(Statistic.WEIGHT_RMS, name).first()
        if info is None or not weight > 0:
            return 1.0
        gain = weight * math.sqrt(info.numel / info.shape[0])
        return math.log10(rms) / (math.log10(rms) + max(0.0, math.log10(gain)))

    def _too_large(self, trace: Trace, site: SiteInfo, state: State) -> _Harm | None:
        """Return how large data are felt, or None."""
        first = next((a for a in trace.activations if len(trace.get(Statistic.SATURATED, a.name))), None)
        share = trace.get(Statistic.SATURATED, first.name).first() if first else 0.0
        if first is not None and share >= self.saturated:
            shown = (("saturated", percent(share)), ("activation", first.name))
            return _Harm("saturates", Evidence("saturated share", share, self.saturated, "1", first.name), shown)
        if state not in _FAILED:
            return None
        update = next((u for u in largest_updates(trace) if u.parameter in site.parameters), None)
        if update is not None and update.ratio > self.update:
            evidence = Evidence("relative update of one step", update.ratio, self.update, "1", update.parameter)
            return _Harm("bursts", evidence, (("update", number(update.ratio)),))
        behind = self._behind(trace, site, Statistic.INPUT_RMS)
        # A net of one layer has nothing behind it that could take the size out.
        if behind > self.passes or len(trace.layers) == 1:
            shown_size = trace.get(Statistic.OUTPUT_RMS).first() if len(trace.layers) == 1 else behind
            evidence = Evidence("size behind the first layer", shown_size, self.passes, "x")
            return _Harm("passes", evidence, (("behind", number(shown_size)),))
        return None

    def _too_small(self, trace: Trace, site: SiteInfo, state: State) -> _Harm | None:
        """Return how small data are felt, or None."""
        if state is not State.STUCK:
            return None
        before = trace.get(Statistic.DISTINGUISHABILITY, site.name).first()
        behind = self._behind(trace, site, Statistic.DISTINGUISHABILITY)
        if behind < self.drowned * before:
            return _Harm(
                "drowns", Evidence("distinguishability behind over before", behind / before, self.drowned, "1")
            )
        own = [trace.get(Statistic.UPDATE_RATIO, name).median() for name in _matrices(trace, site)]
        others = [
            trace.get(Statistic.UPDATE_RATIO, info.name).median()
            for info in trace.parameters
            if len(info.shape) >= 2 and info.name not in site.parameters
        ]
        usual = float(np.nanmedian(others)) if np.isfinite(others).any() else math.nan
        if own and own[0] < self.drowned * usual:
            evidence = Evidence("update over that of the other layers", own[0] / usual, self.drowned, "1")
            return _Harm("starves", evidence, (("times", number(usual / own[0]) if own[0] else "∞"),))
        return self._faint(trace, site)

    def _faint(self, trace: Trace, site: SiteInfo) -> _Harm | None:
        """Return predictions that hardly depend on the data, and would if these were of unit size; or None."""
        rms = trace.get(Statistic.INPUT_RMS, site.name).median()
        spread = late_median(trace.get(Statistic.OUTPUT_SPREAD))
        if not spread < self.faint or spread / rms < self.faint:
            return None
        evidence = Evidence("spread of the predictions over their size", spread, self.faint, "1")
        return _Harm("faint", evidence, (("varies", number(spread)),))

    def _too_different(self, trace: Trace, site: SiteInfo, state: State) -> _Harm | None:
        """Return how a spread of sizes is felt: by an optimizer with one learning rate for all of them."""
        spread = trace.get(Statistic.FEATURE_SPREAD, site.name).median()
        linear = all(optimizer.family == "linear" for optimizer in active_optimizers(trace))
        if not spread > self.spread or not linear or state not in _FAILED:
            return None
        evidence = Evidence("largest over median feature", spread, self.spread, "1", site.name)
        return _Harm("spreads", evidence)

    def _behind(self, trace: Trace, site: SiteInfo, statistic: Statistic) -> float:
        """Return a statistic as first measured at the next layer, which acts on what this one made; nan if none."""
        for other in trace.layers[trace.layers.index(site) + 1 :]:
            if trace.get(Statistic.DEPTH, other.name).median() == 1:
                return trace.get(statistic, other.name).first()
        return math.nan

    def _finding(self, trace: Trace, site: SiteInfo, rms: float, harm: _Harm, state: State) -> Finding:
        spreads = harm.key == "spreads"
        spread = number(trace.get(Statistic.FEATURE_SPREAD, site.name).median())
        shown = {"layer": site.name, **({"spread": spread} if spreads else {"rms": number(rms)}), **dict(harm.values)}
        text, key, values = self.say(harm.key, **shown)
        cause = (
            self.cause(CauseKind.INPUT_SCALE, 1.0, "cause-spread", spread=spread)
            if spreads
            else self.cause(CauseKind.INPUT_SCALE, self._share(trace, site, rms), "cause-large", rms=number(rms))
        )
        bound = self.large if rms > self.large else self.small
        size = () if spreads else (Evidence("size of the data", rms, bound, "x", site.name),)
        return Finding(
            rule=self.id,
            severity=Severity.ERROR if state in _FAILED else Severity.WARNING,
            message=text,
            first_step=0,
            last_step=max(0, trace.steps - 1),
            modules=(site.name,),
            parameters=site.parameters,
            source=lines(site.source),
            evidence=(*size, harm.evidence),
            cause=cause,
            message_key=key,
            values=values,
        )

    def _share(self, trace: Trace, site: SiteInfo, rms: float) -> float:
        return self._from_data(trace, site, rms) if rms > 1 else 1.0


def _matrices(trace: Trace, site: SiteInfo) -> tuple[str, ...]:
    """Return the weight tensors of a layer."""
    shapes = {info.name: info.shape for info in trace.parameters}
    return tuple(name for name in site.parameters if len(shapes.get(name, ())) >= 2)


RULE = InputScale()

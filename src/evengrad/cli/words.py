"""The few sentences that the command line itself says to a person, in each language."""

from __future__ import annotations

from typing import Final

from evengrad.cli.options import Language

_WORDS: Final = {
    Language.EN: {
        "unknown": "likely reason: {reason}",
        "no-torch": "this process never imported torch",
        "children": "child processes did the work ({seconds} s of CPU), and only this process is watched: "
        "run the training script itself, or train in the main process",
        "script-failed": "the script ended with {error} before its first step",
        "no-step": "torch was imported, but no torch.optim optimizer made a step",
        "early": "step {step}: {message} (details at the end)",
    },
    Language.ZH_TW: {
        "unknown": "可能的原因：{reason}",
        "no-torch": "這個行程從未匯入 torch",
        "children": "工作是由子行程完成的（CPU 時間 {seconds} 秒），而受觀察的只有這個行程："
        "請直接執行訓練腳本，或改在主行程訓練",
        "script-failed": "腳本在第一步更新之前就以 {error} 結束",
        "no-step": "已匯入 torch，但沒有任何 torch.optim 優化器執行過更新",
        "early": "第 {step} 步：{message}（細節見最後的報告）",
    },
}


def word(language: Language, key: str, **values: str) -> str:
    """Return one of the sentences, filled."""
    return _WORDS[language][key].format(**values)

"""The sentences that the server says, in the languages of the page."""

from typing import Literal, cast

Language = Literal["en", "ja"]
LANGUAGES = ("en", "ja")

TEXTS: dict[str, tuple[str, str]] = {
    "not json": (
        "The server expected a JSON object with a method; reload the page.",
        "サーバーは method を含む JSON オブジェクトを期待しています。ページを再読み込みしてください。",
    ),
    "unknown method": ("The server has no method {name!r}.", "サーバーに {name!r} というメソッドはありません。"),
    "bad field": (
        "{field} must be {expected}; got {got}.",
        "{field}は{expected}でなければなりません（受け取った値: {got}）。",
    ),
    "out of range": (
        "{field} must be from {low} to {high}; got {got}.",
        "{field}は {low} から {high} までの値でなければなりません（受け取った値: {got}）。",
    ),
    "no digit": ("Draw or pick a digit first.", "先に数字を描くか選んでください。"),
    "too large": (
        "A page can hold at most {limit:,} parameters, and this network has {count:,}; save the model instead.",
        "ページに記録できるパラメータは {limit:,} 個までです（このモデルは {count:,} 個）。"
        "代わりにモデルを保存してください。",
    ),
    "no hunt": ("Start a hunt first.", "先にバグ探しを始めてください。"),
    "nothing drawn": (
        "The picture shows no digit: nothing on it contrasts with the paper.",
        "画像に数字が見つかりません。背景とはっきり区別できる線がありません。",
    ),
    "bad picture": (
        "{error}",
        "この画像は使えません。1 つの数字を写した、壊れていない静止画の PNG か JPEG を開いてください（{error}）。",
    ),
    "unknown tensor": ("There is no tensor {name!r}.", "{name!r} というテンソルはありません。"),
    "unknown snapshot": (
        "Snapshot {id} is no longer kept; choose another one.",
        "スナップショット {id} はもう残っていません。別のものを選んでください。",
    ),
    "stopped": (
        "The training has stopped; restart it, with a smaller learning rate if the loss was not finite.",
        "学習は停止しています。最初からやり直してください（損失が有限でなくなった場合は学習率を小さくします）。",
    ),
    "schedule": (
        "The learning rate follows the model's {name} and cannot be set.",
        "学習率はモデルの {name} に従うため、変更できません。",
    ),
    "nonfinite": (
        "The loss is not finite any more: {place}; the first tensor with NaN or infinity is {tensor!r}.",
        "損失が有限でなくなりました: {place}。最初に NaN または無限大になったテンソルは {tensor!r} です。",
    ),
    "failed": ("The training has ended: {error}", "学習が終了しました: {error}"),
    "no parity": (
        "The comparison needs Keras and parity_tests: python -m pip install 'scratch-keras[keras]'.",
        "比較には Keras と parity_tests が必要です: python -m pip install 'scratch-keras[keras]'",
    ),
    "worker ended": (
        "The process that runs Keras has ended; try again to start another one.",
        "Keras のプロセスが終了しました。もう一度実行すると新しく起動します。",
    ),
    "busy": (
        "Too many requests are waiting; try again when they are answered.",
        "処理待ちの要求が多すぎます。応答が返ってからもう一度お試しください。",
    ),
    "internal": (
        "The server failed ({error}); the training goes on.",
        "サーバーでエラーが発生しました（{error}）。学習は続いています。",
    ),
}

# The labels that the page has for the fields of a request, and plain words for Python's types.
WORDS: dict[str, tuple[str, str]] = {
    "index": ("Number", "番号"),
    "indices": ("The indices", "添字"),
    "label": ("The right digit", "正解の数字"),
    "level": ("Level", "レベル"),
    "seed": ("Seed", "シード"),
    "steps_per_second": ("Speed", "速さ"),
    "value": ("Learning rate", "学習率"),
    "int": ("a whole number", "整数"),
    "float": ("a number", "数"),
    "str": ("a text", "文字列"),
}


class LabError(ValueError):
    """An error with a sentence in each language.

    Args:
        key: one of ``TEXTS``.
        **values: what its sentence names.
    """

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key, self.values = key, values

    def text(self, language: Language) -> str:
        """Return the sentence."""
        i = LANGUAGES.index(language)
        words = {
            name: WORDS[str(self.values[name])][i] for name in ("field", "expected") if self.values.get(name) in WORDS
        }
        return TEXTS[self.key][i].format(**self.values | words)

    def __str__(self) -> str:
        return self.text("en")


def language_of(name: object) -> Language:
    """Return the language of that name; English for a name that the page does not have."""
    return cast("Language", name) if name in LANGUAGES else "en"

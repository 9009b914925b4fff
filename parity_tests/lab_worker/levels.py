"""The levels of the bug hunt: planted faults of ``parity_tests.faults``, and their mistakes in two languages."""

from parity_tests.faults import FAULTS

LEVELS = (
    ("bias_added_twice", "bias_not_added", "leaky_relu", "softmax_over_samples", "softmax_over_everything"),
    (
        "loss_summed",
        "loss_gradient_not_divided",
        "loss_gradient_divided_by_classes",
        "loss_gradient_negated",
        "softmax_differentiated_twice",
    ),
    (
        "relu_gradient_everywhere",
        "bias_gradient_averaged",
        "bias_gradient_over_units",
        "weight_gradient_divided_twice",
        "kernel_not_transposed",
    ),
    ("step_uphill", "momentum_negated", "momentum_dampened", "velocity_forgotten", "weight_decay_not_scaled"),
    ("gradients_accumulated", "first_batch_kept"),
)

JAPANESE = {  # the mistakes, by the name of the fault
    "bias_added_twice": "バイアスが二度足されている。",
    "bias_not_added": "バイアスが足されていない。",
    "leaky_relu": "ReLU が負の入力に対して 0.01 の傾きを持っている。",
    "softmax_over_samples": "ソフトマックスがユニットではなくサンプルの方向に正規化している。",
    "softmax_over_everything": "ソフトマックスがサンプルとユニットの全体で正規化している。",
    "loss_summed": "損失がバッチの平均ではなく合計になっている。",
    "loss_gradient_not_divided": "損失の勾配がバッチサイズで割られていない。",
    "loss_gradient_divided_by_classes": "損失の勾配がバッチサイズ×クラス数で割られている。",
    "loss_gradient_negated": "損失の勾配が p - t ではなく t - p になっている。",
    "softmax_differentiated_twice": "ソフトマックスと損失の勾配が p·(p - t) になっている。",
    "relu_gradient_everywhere": "ReLU が負の入力でも勾配を通している。",
    "bias_gradient_averaged": "バイアスの勾配がバッチの合計ではなく平均になっている。",
    "bias_gradient_over_units": "バイアスの勾配がサンプルではなくユニットの方向に足されている。",
    "weight_gradient_divided_twice": "重みの勾配がもう一度バッチサイズで割られている。",
    "kernel_not_transposed": "勾配が Wᵀ ではなく、行の順序を誤った W を通って逆伝播している。",
    "step_uphill": "更新が勾配と逆向きではなく勾配の向きに進んでいる。",
    "momentum_negated": "モーメンタムの符号が逆になっている。",
    "momentum_dampened": "モーメンタムが弱められている: v ← m·v - (1 - m)·η·dW。",
    "velocity_forgotten": "速度が毎回の更新の前に 0 に戻されている。",
    "weight_decay_not_scaled": "重み減衰に学習率が掛けられていない。",
    "gradients_accumulated": "勾配が前回の逆伝播の勾配に足されている。",
    "first_batch_kept": "層が最初のバッチの入力を保持し続け、以後の逆伝播でもそれを使っている。",
}
_mistakes = {fault.name: fault.mistake for fault in FAULTS}
MISTAKES = {name: {"en": _mistakes[name], "ja": japanese} for name, japanese in JAPANESE.items()}

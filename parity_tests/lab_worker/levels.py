"""The levels of the bug hunt: planted faults of ``parity_tests.faults``, and their mistakes in two languages."""

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

MISTAKES = {
    "bias_added_twice": {"en": "The bias is added twice.", "ja": "バイアスが二度足されている。"},
    "bias_not_added": {"en": "The bias is not added.", "ja": "バイアスが足されていない。"},
    "leaky_relu": {
        "en": "ReLU has a slope of 0.01 for negative inputs.",
        "ja": "ReLU が負の入力に対して 0.01 の傾きを持っている。",
    },
    "softmax_over_samples": {
        "en": "Softmax normalises over the samples instead of the units.",
        "ja": "ソフトマックスがユニットではなくサンプルの方向に正規化している。",
    },
    "softmax_over_everything": {
        "en": "Softmax normalises over samples and units together.",
        "ja": "ソフトマックスがサンプルとユニットの全体で正規化している。",
    },
    "loss_summed": {
        "en": "The loss is summed over the batch instead of averaged.",
        "ja": "損失がバッチの平均ではなく合計になっている。",
    },
    "loss_gradient_not_divided": {
        "en": "The gradient of the loss is not divided by the batch size.",
        "ja": "損失の勾配がバッチサイズで割られていない。",
    },
    "loss_gradient_divided_by_classes": {
        "en": "The gradient of the loss is divided by batch size times classes.",
        "ja": "損失の勾配がバッチサイズ×クラス数で割られている。",
    },
    "loss_gradient_negated": {
        "en": "The gradient of the loss is t - p instead of p - t.",
        "ja": "損失の勾配が p - t ではなく t - p になっている。",
    },
    "softmax_differentiated_twice": {
        "en": "The gradient of softmax and loss is p·(p - t).",
        "ja": "ソフトマックスと損失の勾配が p·(p - t) になっている。",
    },
    "relu_gradient_everywhere": {
        "en": "ReLU passes the gradient for negative inputs as well.",
        "ja": "ReLU が負の入力でも勾配を通している。",
    },
    "bias_gradient_averaged": {
        "en": "The bias gradient is averaged over the batch instead of summed.",
        "ja": "バイアスの勾配がバッチの合計ではなく平均になっている。",
    },
    "bias_gradient_over_units": {
        "en": "The bias gradient is summed over the units instead of the samples.",
        "ja": "バイアスの勾配がサンプルではなくユニットの方向に足されている。",
    },
    "weight_gradient_divided_twice": {
        "en": "The weight gradient is divided by the batch size once more.",
        "ja": "重みの勾配がもう一度バッチサイズで割られている。",
    },
    "kernel_not_transposed": {
        "en": "The gradient flows back through rows of W in the wrong order, instead of through Wᵀ.",
        "ja": "勾配が Wᵀ ではなく、行の順序を誤った W を通って逆伝播している。",
    },
    "step_uphill": {
        "en": "The step goes along the gradient instead of against it.",
        "ja": "更新が勾配と逆向きではなく勾配の向きに進んでいる。",
    },
    "momentum_negated": {"en": "Momentum has the wrong sign.", "ja": "モーメンタムの符号が逆になっている。"},
    "momentum_dampened": {
        "en": "Momentum is dampened: v ← m·v - (1 - m)·η·dW.",
        "ja": "モーメンタムが弱められている: v ← m·v - (1 - m)·η·dW。",
    },
    "velocity_forgotten": {
        "en": "The velocity is reset before each step.",
        "ja": "速度が毎回の更新の前に 0 に戻されている。",
    },
    "weight_decay_not_scaled": {
        "en": "Weight decay is not multiplied by the learning rate.",
        "ja": "重み減衰に学習率が掛けられていない。",
    },
    "gradients_accumulated": {
        "en": "Gradients are added to those of the previous backward pass.",
        "ja": "勾配が前回の逆伝播の勾配に足されている。",
    },
    "first_batch_kept": {
        "en": "The layer keeps the inputs of its first batch for all later backward passes.",
        "ja": "層が最初のバッチの入力を保持し続け、以後の逆伝播でもそれを使っている。",
    },
}

import pytest

from s2s_core.cli.tasks import load_object
from s2s_core.errors import UserError
from s2s_core.openseq2seq.optimisation import gradient_rules, optimizer, schedule
from s2s_core.openseq2seq.python_config import Name
from s2s_core.openseq2seq.settings import leftovers, old_config, trainer
from s2s_core.precision.loss_scale import LossScale


def old(**base):
    return old_config({"base_model": Name("Speech2Text"), "base_params": base}, "old.py")


def test_training_settings_go_over_the_base_as_they_did():
    found = old_config(
        {
            "base_params": {"a": 1, "data_layer_params": {"x": 1, "y": 2}},
            "train_params": {"a": 2, "data_layer_params": {"y": 3}},
        },
        "old.py",
    )
    assert found.params == {"a": 2, "data_layer_params": {"x": 1, "y": 3}}


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("Momentum", {"momentum": 0.9}, ("torch.optim.SGD", {"lr": 0.02, "momentum": 0.9})),
        ("Adam", {}, ("torch.optim.Adam", {"lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-8})),
        (
            Name("NovoGrad"),
            {"beta1": 0.95, "beta2": 0.5, "epsilon": 1e-08, "weight_decay": 0.001, "grad_averaging": False},
            (
                "s2s_core.optim.novograd.NovoGrad",
                {"lr": 0.02, "betas": [0.95, 0.5], "eps": 1e-8, "weight_decay": 0.001, "grad_averaging": False},
            ),
        ),
    ],
)
def test_optimizers(name, params, expected):
    found = optimizer(old(optimizer=name, optimizer_params=params, lr_policy_params={"learning_rate": 0.02}))
    assert (found["class_path"], found["init_args"]) == expected


@pytest.mark.parametrize(
    ("policy", "params", "expected"),
    [
        ("poly_decay", {"power": 2.0, "min_lr": 1e-5}, ("Polynomial", {"power": 2.0, "min_lr": 1e-5})),
        ("cosine_decay", {"min_lr": 0.1, "warmup_steps": 5}, ("Cosine", {"min_lr": 0.002, "warmup_steps": 5})),
        ("transformer_policy", {"d_model": 8, "warmup_steps": 4}, ("Noam", {"d_model": 8, "warmup_steps": 4})),
        (
            "transformer_policy",
            {"d_model": 8, "warmup_steps": 4, "max_lr": 1e-3},
            ("Noam", {"d_model": 8, "warmup_steps": 4, "max_lr": 1e-3}),
        ),
        (
            "inv_poly_decay",
            {"decay_steps": 9, "power": 0.5, "min_lr": 1e-4, "warmup_steps": 3},
            ("InversePolynomial", {"decay_steps": 9, "power": 0.5, "min_lr": 1e-4}),
        ),
        (
            "exp_decay",
            {"begin_decay_at": 0, "decay_steps": 5, "decay_rate": 0.9, "use_staircase_decay": True, "min_lr": 0.0},
            (
                "Exponential",
                {"decay_steps": 5, "decay_rate": 0.9, "staircase": True, "begin_decay_at": 0, "min_lr": 0.0},
            ),
        ),
    ],
)
def test_schedules(policy, params, expected):
    found = schedule(old(lr_policy=Name(policy), lr_policy_params={"learning_rate": 0.02, **params}))
    assert (found["class_path"].rpartition(".")[2], found["init_args"]) == expected


def test_a_fixed_rate_needs_no_schedule():
    assert schedule(old(lr_policy=Name("fixed_lr"), lr_policy_params={"learning_rate": 1.0})) is None


def test_rules_of_gradients():
    regularizer = Name("tf.contrib.layers.l2_regularizer")
    found = gradient_rules(
        old(larc_params={"larc_eta": 0.001}, regularizer=regularizer, regularizer_params={"scale": 0.0005})
    )
    assert found["larc"]["init_args"] == {"eta": 0.001}
    assert found["regularizer"]["init_args"] == {"scale": 0.0005}


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [("Backoff", "Backoff"), ("LogMax", "LogMax"), (512.0, "StaticScale")],
)
def test_mixed_precision_is_master_weights(scaling, expected):
    plugin = trainer(old(num_epochs=3, dtype="mixed", loss_scaling=scaling))["plugins"][0]
    assert plugin["class_path"] == "s2s_core.precision.master_weights.MasterWeightsPrecision"
    scaler = plugin["init_args"]["loss_scale"]
    assert scaler["class_path"] == f"s2s_core.precision.loss_scale.{expected}"
    assert issubclass(load_object(scaler["class_path"].replace(f".{expected}", f":{expected}")), LossScale)
    assert scaler.get("init_args") == ({"scale": 512.0} if expected == "StaticScale" else None)


def test_the_trainer():
    found = trainer(
        old(max_steps=7, iter_size=4, max_grad_norm=1, num_gpus=8, eval_steps=100, dtype=Name("tf.float32"))
    )
    assert found == {
        "max_steps": 7,
        "devices": "auto",
        "gradient_clip_val": 1.0,
        "accumulate_grad_batches": 4,
        "val_check_interval": 100,
        "check_val_every_n_epoch": None,
    }


def test_nothing_is_lost_silently():
    config = old(optimizer="Adam", optimizer_params={"beta1": 0.9, "amsgrad": True}, mystery=[1, 2])
    optimizer(config)
    assert config.notes == ["optimizer_params.amsgrad = True: not converted"]
    assert "mystery = [1, 2]: not converted" in leftovers(config)


def test_what_means_nothing_here_is_told_in_one_note():
    config = old(
        lr_policy="fixed_lr",
        lr_policy_params={"learning_rate": 0.1},
        num_epochs=2,
        print_loss_steps=10,
        logdir="x",
        trt_precision_mode="FP16",
        load_model="y",
        encoder_params={"initializer": "z", "data_format": None},
    )
    schedule(config)
    config.options("encoder_params").skip("initializer", "data_format")
    assert trainer(config)["log_every_n_steps"] == 10
    told = "encoder_params.initializer, logdir, load_model, trt_precision_mode"
    assert leftovers(config) == [f"without a counterpart, left out: {told}"]


def test_settings_within_settings_are_left_over_too():
    config = old(data_layer_params={"augmentation": {"noise": 1, "echo": 2}})
    inner = config.options("data_layer_params").options("augmentation")
    assert inner.take("noise") == 1
    inner.finish()
    assert config.notes == ["data_layer_params.augmentation.echo = 2: not converted"]


def test_what_is_no_old_config_is_said():
    with pytest.raises(UserError, match="with a dict base_params"):
        old_config({"x": 1}, "old.py")
    with pytest.raises(UserError, match="optimizer Ftrl: has no counterpart"):
        optimizer(old(optimizer="Ftrl"))
    with pytest.raises(UserError, match="lr_policy my_decay: has no counterpart"):
        schedule(old(lr_policy=Name("my_decay")))

import pytest
import torch
from lightning.pytorch import Trainer

from s2s_commands.mixup import Mixup
from s2s_commands.sound_data import SoundData
from s2s_core.audio.augment import Augment, Gain, SpecAugment, TimeShift, WhiteNoise
from s2s_core.checkpoint import build_task
from s2s_core.errors import UserError


def fit(task, manifests, folder, resume=None, **arguments):
    settings = {"max_epochs": 4, "devices": 1, "logger": False, "enable_checkpointing": False, **arguments}
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        **settings,
    )
    batch_size = 24 // (trainer.world_size * 1)
    trainer.fit(task, SoundData(train=str(manifests / "train.jsonl.gz"), batch_size=batch_size), ckpt_path=resume)
    return trainer


def test_augmentation_and_mixup_touch_training_only_and_repeat(classifier_of, noise_batch):
    chain = Augment(wave=[Gain(), TimeShift(50, 8000)], features=[SpecAugment(freq_width=6)])
    task, data = classifier_of(augment=chain, mixup=Mixup(1.0)).eval(), noise_batch
    targets = task.targets_of(data.labels)
    clean = task.batch_logits(data)
    changed, blended = task.training_logits(data, targets, 0)
    again, same = task.training_logits(data, targets, 0)
    other, _ = task.training_logits(data, targets, 1)
    assert torch.equal(changed, again)
    assert torch.equal(blended, same)
    assert not torch.allclose(changed, clean)
    assert not torch.allclose(changed, other)
    torch.testing.assert_close(blended.sum(1), torch.ones(6))
    assert not torch.equal(blended, targets)
    torch.testing.assert_close(task.loss_of(data), torch.nn.functional.cross_entropy(clean, data.labels))


def test_sizes_that_do_not_fit_are_named(classifier_of):
    spec = classifier_of().describe()
    spec["init_args"]["encoder"]["init_args"]["outer"] = 5
    with pytest.raises(UserError, match=r"decoder\.in_features is 16, the encoder gives 5"):
        build_task(spec, "test")
    task = classifier_of()
    task.classes = ["a", "b"]
    with pytest.raises(UserError, match=r"num_classes is 3, but the data has 2 classes: a, b"):
        task.setup("fit")


def test_bench_batches_can_be_trained_on(classifier_of):
    task = classifier_of()
    data = task.bench_batch(seconds=1.0, batch_size=3)
    assert data.audio.shape == (3, 8000)
    loss = task.loss_of(data)
    assert loss > 0
    assert loss.isfinite()
    assert task.units_of(data) == {"clips": 3, "audio s": pytest.approx(3.0)}


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_weights(classifier_of, tones, tmp_path):
    def made():
        chain = Augment(wave=[WhiteNoise(-60, -30)], features=[SpecAugment(freq_width=4)])
        return classifier_of(augment=chain, mixup=Mixup(0.4))

    from lightning.pytorch.callbacks import ModelCheckpoint

    whole = made()
    saver = ModelCheckpoint(tmp_path, every_n_train_steps=1, save_top_k=-1, filename="{step}")
    fit(whole, tones, tmp_path, enable_checkpointing=True, callbacks=[saver])
    resumed = made()
    fit(resumed, tones, tmp_path, resume=str(tmp_path / "step=2.ckpt"))
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.mark.slow
def test_two_processes_train_as_one(classifier_of, tones, tmp_path):
    one, two = (classifier_of(norm="layer") for _ in range(2))
    fit(one, tones, tmp_path, max_epochs=3)
    fit(two, tones, tmp_path, max_epochs=3, devices=2, strategy="ddp_spawn")
    for name, value in one.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(two.state_dict()[name], value, atol=2e-5, rtol=1e-3)

import numpy as np
import pytest
import torch

from s2s_core.tracking import samples


def test_more_is_lighter_and_cells_are_square():
    picture = samples.heat_map(torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))
    assert picture.dtype == np.uint8
    height, width, channels = picture.shape
    assert channels == 3
    assert height / 2 == width / 3
    cell = height // 2
    lightness = picture[::cell, ::cell].sum(axis=-1).ravel()
    assert list(lightness) == sorted(lightness)
    assert picture[0, 0].tolist() == samples.COLOURS[0].tolist()
    assert picture[-1, -1].tolist() == samples.COLOURS[-1].tolist()


def test_a_spectrogram_has_low_frequencies_below_and_no_padding():
    features = torch.zeros(10, 4)
    features[:6, 0] = 1.0
    features[6:] = 99.0
    picture = samples.spectrogram_picture(features, 6)
    assert picture.shape[1] / 6 == picture.shape[0] / 4
    assert picture[-1, 0].sum() > picture[0, 0].sum()


def test_a_constant_matrix_is_drawn():
    assert samples.heat_map(torch.ones(2, 2)).shape == (160, 160, 3)


def test_given_bounds_are_darkest_and_lightest():
    picture = samples.heat_map(torch.tensor([[-9.0, 0.0, 5.0, 10.0, 99.0]]), low=0.0, high=10.0, cell=2)
    assert picture.shape == (2, 10, 3)
    (row,) = picture[::2, ::2].tolist()
    darkest, lightest = samples.COLOURS[[0, -1]].tolist()
    assert row[:2] == [darkest, darkest]
    assert row[3:] == [lightest, lightest]
    assert sum(darkest) < sum(row[2]) < sum(lightest)


def test_a_contact_sheet_has_all_pictures_in_rows():
    sheet = samples.contact_sheet(torch.rand(10, 1, 32, 32), columns=4)
    assert sheet.shape == (3 * 66, 4 * 66, 3)
    assert sheet.dtype == np.uint8
    assert (sheet[-1] == 255).all()


def test_tables_keep_cells_apart_and_escape_markup():
    assert samples.markdown_table(["a", "b"], [["x|y", 1]]) == "| a | b |\n| --- | --- |\n| x/y | 1 |"
    assert samples.html_table(["a"], [["<b>"]]) == "<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr></table>"


def test_weights_and_biases_gets_the_same_samples(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    from lightning.pytorch.loggers import WandbLogger

    monkeypatch.setenv("WANDB_MODE", "disabled")
    logged = []
    logger = WandbLogger(save_dir=tmp_path)
    monkeypatch.setattr(logger, "log_metrics", lambda metrics, step=None: logged.append((metrics, step)))
    samples.show_table([logger], "t", ["a"], [["x"]], 3)
    samples.show_picture([logger], "p", np.zeros((4, 5, 3), dtype=np.uint8), 3)
    samples.show_audio([logger], "s", torch.zeros(100), 8000, 3)
    (table, _), (picture, _), (sound, step) = logged
    assert isinstance(table["t"], wandb.Html)
    assert isinstance(picture["p"][0], wandb.Image)
    assert isinstance(sound["s"][0], wandb.Audio)
    assert step == 3

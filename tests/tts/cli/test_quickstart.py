"""The quickstart from nothing to files, cut short to one step."""

import pytest
import soundfile

from s2s_tts.cli.quickstart import SENTENCES, main


@pytest.mark.slow
def test_the_whole_path_with_a_model_that_has_learnt_nothing(tmp_path, monkeypatch, capsys):
    from s2s_core.data import synthetic

    real = synthetic.write_spoken_corpus
    few = {"train": 4, "validation": 2, "test": 2}
    monkeypatch.setattr(synthetic, "write_spoken_corpus", lambda *args, **kwargs: real(*args, **{**kwargs, **few}))
    monkeypatch.chdir(tmp_path)
    small = ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]
    assert main(["--output", "quick", *small]) == 0
    printed = capsys.readouterr().out
    assert "$ lightning run tts prepare synthetic" in printed
    assert "trained in" in printed
    spoken = list((tmp_path / "quick" / "run1").glob("speech*.wav"))
    refused = printed.count("came to no end")
    assert len(spoken) + refused == len(SENTENCES)
    for path in spoken:
        assert soundfile.info(path).samplerate == 16000
    assert (tmp_path / "quick" / "run1" / "speech.png").is_file() == bool(spoken)

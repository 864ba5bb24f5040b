from collections import Counter

import soundfile

from s2s_commands.prepare.speech_commands import COMMAND_WORDS
from s2s_commands.prepare.spoken import write_spoken_commands


def test_every_word_is_spoken_as_often_as_asked_and_no_two_splits_share_a_voice(tmp_path):
    corpus = write_spoken_commands(tmp_path / "made", seed=2, train=3, validation=1, test=2)
    counts = Counter((clip.split, clip.label) for clip in corpus.clips)
    wanted = {"train": 3, "validation": 1, "test": 2}
    assert counts == {(split, word): count for split, count in wanted.items() for word in COMMAND_WORDS}
    voices = {split: {clip.speaker for clip in corpus.clips if clip.split == split} for split in wanted}
    assert not voices["train"] & (voices["validation"] | voices["test"])
    assert not voices["validation"] & voices["test"]
    assert len({(clip.split, clip.name) for clip in corpus.clips}) == len(corpus.clips)
    assert all(clip.name.startswith(clip.label) for clip in corpus.clips)
    assert all(0.1 < soundfile.info(clip.audio).duration < 3 for clip in corpus.clips)


def test_a_seed_repeats_to_the_byte(tmp_path):
    one, two, other = (
        write_spoken_commands(tmp_path / name, seed, train=1, validation=1, test=1)
        for name, seed in (("one", 5), ("two", 5), ("other", 6))
    )
    assert [clip.audio.read_bytes() for clip in one.clips] == [clip.audio.read_bytes() for clip in two.clips]
    assert [clip.audio.read_bytes() for clip in one.clips] != [clip.audio.read_bytes() for clip in other.clips]

import re
from functools import partial

import pytest
import torch

from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.conv2d import Conv2dSpec
from s2s_asr.encoders.convolutional import Conv2dEncoder
from s2s_asr.encoders.deepspeech2 import DeepSpeech2Encoder
from s2s_asr.encoders.recurrent import RecurrentEncoder
from s2s_asr.encoders.stacked import StackedEncoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.streaming import StreamingTranscriber, StreamOptions, stream_blocks
from s2s_asr.task import SpeechToText
from s2s_asr.transcribe import Transcriber
from s2s_core.audio.features import LogMel, Spectrum
from s2s_core.audio.measures import measure
from s2s_core.errors import UserError
from s2s_core.nn.rnn import Recurrent
from s2s_core.text.tokenizers import CharTokenizer

RATE = 16000
CONVS = [Conv2dSpec(4, (5, 5), (2, 2)), Conv2dSpec(4, (3, 3), (1, 2))]
ENCODERS = {
    "deepspeech2": lambda: DeepSpeech2Encoder(20, CONVS, "gru", 2, 24, False, 5, 32),
    "stacked": lambda: StackedEncoder([Conv2dEncoder(20, CONVS), RecurrentEncoder(20, 24, 2, bidirectional=False)]),
    "tdnn": lambda: TdnnEncoder(20, [TdnnBlock(32, 11, stride=2), TdnnBlock(32, 13, repeat=2, residual=True)]),
    "bidirectional": lambda: DeepSpeech2Encoder(20, CONVS, "gru", 1, 24, True, None, 32),
}


def babble(seconds: float, seed: int = 0) -> torch.Tensor:
    """Noise whose colour and loudness change several times a second."""
    generator = torch.Generator().manual_seed(seed)
    syllables = []
    for _ in range(int(seconds * 5)):
        noise = torch.randn(RATE // 5, generator=generator)
        smooth = torch.nn.functional.avg_pool1d(noise[None], int(torch.randint(1, 12, (), generator=generator)), 1)[0]
        syllables.append(torch.nn.functional.pad(smooth, (0, RATE // 5 - len(smooth))))
    return 0.1 * torch.cat(syllables)


def transcriber(encoder: str, normalise: str = "none") -> Transcriber:
    """An untrained model that gives babble a varied text."""
    torch.manual_seed(1)
    built = ENCODERS[encoder]()
    for layer in built.modules():  # else its states hardly move
        if isinstance(layer, Recurrent):
            for parameter in layer.parameters():
                parameter.data *= 3
    decoder = CtcDecoder(built.out_features, 28)
    torch.nn.init.normal_(decoder.linear.weight)
    task = SpeechToText(
        features=LogMel(20, normalise=normalise, spectrum=Spectrum(peak_gain=normalise != "none")),
        encoder=built,
        decoder=decoder,
        loss=CtcLoss(),
        tokenizer=CharTokenizer(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )
    audio, lengths = babble(4.0, 9)[None], torch.tensor([4 * RATE])
    with torch.no_grad():
        features = task.features(audio, lengths)
        for _ in range(20):  # until the running statistics are those of babble
            task.encoder(*features)
        scores = task.eval().logits(audio, lengths)[0][0]
        scale = 1 / scores.std(0)
        decoder.linear.weight *= scale[:, None]
        decoder.linear.bias -= scores.mean(0) * scale
        decoder.linear.bias[[0, -1]] += 1.0  # more spaces and blanks
    return Transcriber(task)


def offline(model: Transcriber, audio: torch.Tensor):
    return model.transcribe([audio], chunk_s=None)[0]


def finals(results):
    return [word for result in results if result.final for word in result.words]


NO_PAUSES = {"silence_s": None, "most_segment_s": 1e9}


@pytest.mark.parametrize("encoder", ["deepspeech2", "stacked", "tdnn"])
@pytest.mark.parametrize(("chunk_s", "piece"), [(0.32, 1000), (0.04, 333), (1.5, 40000), (0.1, 57600)])
def test_words_are_those_of_the_whole_recording(encoder, chunk_s, piece):
    model, audio = transcriber(encoder), babble(3.6)
    expected = offline(model, audio)
    assert len(expected.words) > 1
    assert len(expected.text) > 20
    stream = StreamingTranscriber(model, StreamOptions(chunk_s=chunk_s, mode="exact", **NO_PAUSES))
    (final,) = [result for result in stream_blocks(stream, audio.split(piece)) if result.final]
    assert final.text == expected.text
    assert [word[:3] for word in final.words] == [word[:3] for word in expected.words]
    assert [word.confidence for word in final.words] == pytest.approx([w.confidence for w in expected.words], abs=1e-4)


def test_given_measures_make_a_normalised_model_exact():
    model, audio = transcriber("deepspeech2", "feature"), babble(3.0)
    known = measure(model.task.features, lambda: iter([(audio, slice(None))]))
    stream = StreamingTranscriber(model, StreamOptions(**NO_PAUSES), known)
    results = list(stream_blocks(stream, audio.split(800)))
    assert " ".join(word.text for word in finals(results)) == offline(model, audio).text


def test_a_recording_within_the_warm_up_is_exact_though_normalised():
    model, audio = transcriber("deepspeech2", "feature"), babble(2.0)
    results = list(model.stream(audio, StreamOptions(warm_up_s=3.0, **NO_PAUSES)))
    assert [result.text for result in results] == [offline(model, audio).text]


@pytest.mark.parametrize(("left_s", "right_s"), [(1.0, 1.0), (9.0, 0.5)])
def test_buffered_windows_that_hold_all_that_is_seen_are_exact(left_s, right_s):
    model, audio = transcriber("tdnn"), babble(3.6)
    options = StreamOptions(mode="buffered", left_s=left_s, right_s=right_s, **NO_PAUSES)
    stream = StreamingTranscriber(model, options)
    assert not stream.exact
    assert " ".join(w.text for w in finals(stream_blocks(stream, audio.split(999)))) == offline(model, audio).text


def test_buffered_windows_over_a_bidirectional_model_come_near():
    from s2s_core.error_rate import edit_distance

    model, audio = transcriber("bidirectional"), babble(6.0)
    expected = offline(model, audio).text
    distances = []
    for side_s in (0.02, 1.5):
        options = StreamOptions(mode="buffered", left_s=side_s, right_s=side_s, **NO_PAUSES)
        text = " ".join(word.text for word in finals(model.stream(audio, options)))
        distances.append(edit_distance(list(text), list(expected)))
    assert distances[1] <= 0.03 * len(expected)
    assert distances[0] > 2 * distances[1]


def test_a_model_that_needs_the_whole_is_refused_exactly_and_buffered_by_itself():
    model = transcriber("bidirectional")
    with pytest.raises(UserError, match="DeepSpeech2Encoder of this kind needs the whole recording"):
        StreamingTranscriber(model, StreamOptions(mode="exact"))
    assert not StreamingTranscriber(model).exact
    assert StreamingTranscriber(transcriber("tdnn")).exact
    assert not StreamingTranscriber(transcriber("tdnn"), StreamOptions(right_s=0.1)).exact


@pytest.mark.parametrize("mode", ["exact", "buffered"])
def test_nothing_is_recognised_later_than_the_stated_latency(mode):
    model, audio = transcriber("tdnn"), babble(4.0)
    options = StreamOptions(chunk_s=0.2, mode=mode, left_s=1.0, right_s=0.5, **NO_PAUSES)
    stream = StreamingTranscriber(model, options)
    frame_s = model.frame_samples / RATE
    # receptive field of 11 + 2 * 2 * 12 frames of 10 ms, a centred window of 20 ms
    assert stream.lookahead_s == pytest.approx(0.01 + (0.29 if mode == "exact" else 0.5))
    assert stream.latency_s == pytest.approx(0.2 + stream.lookahead_s)
    for heard, piece in enumerate(audio.split(160), start=1):
        stream.push(piece)
        assert stream._frames * frame_s >= heard * 0.01 - stream.latency_s


def test_partials_grow_into_the_final():
    model, audio = transcriber("deepspeech2"), babble(3.0)
    results = list(model.stream(audio, StreamOptions(chunk_s=0.2, **NO_PAUSES)))
    *partials, final = results
    assert final.final
    assert not any(result.final for result in partials)
    assert len(partials) > 3
    # a partial's last word may go on; the others stay
    for result in partials:
        assert final.text.startswith(result.text.rpartition(" ")[0])
        assert result.heard_s <= 3.0
    assert [r.heard_s for r in partials] == sorted(r.heard_s for r in partials)
    assert len({result.text for result in partials}) == len(partials)


class Scripted(torch.nn.Module):
    """A decoder's scores by script: one label a frame."""

    def __init__(self, labels: list[int]) -> None:
        super().__init__()
        self.labels, self.place = labels, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = self.labels[self.place : self.place + x.size(1)]
        self.place += x.size(1)
        return 10.0 * torch.nn.functional.one_hot(torch.tensor(rows), 29).float()[None]


def scripted(text: str, options: StreamOptions):
    """What a stream makes of a frame (20 ms) a character, ``.`` for blank."""
    model = transcriber("tdnn")
    labels = [28 if c == "." else model.task.tokenizer.labels.index(c) for c in text]
    model.decoder.linear = Scripted([*labels, 28])
    return list(model.stream(torch.zeros(len(labels) * 320), options))


def test_a_pause_makes_the_words_final():
    # 0.8 s are 40 frames
    text = "he. .you" + "." * 39 + "all" + "." * 60 + " b.ye" + "." * 70 + "  " + "." * 60
    results = scripted(text, StreamOptions(chunk_s=0.02))
    found = [(r.text, r.words[0].start_s, r.words[-1].end_s, r.heard_s) for r in results if r.final]
    assert [row[0] for row in found] == ["he youal", "bye"]
    assert found[0][1:3] == (0.0, 1.0)
    assert found[1][1:3] == (2.22, 2.30)
    lookahead = 0.32
    for text_end, row in zip((1.0, 2.30), found, strict=True):
        assert text_end + 0.8 <= row[3] <= text_end + 0.8 + 0.02 + lookahead


def test_a_long_segment_gives_up_its_finished_words():
    text = "".join(f"{word} ..." for word in ("ab", "cd", "ef", "gh") * 10) + "end"
    results = scripted(text, StreamOptions(chunk_s=0.02, most_segment_s=0.6))
    said = [r.text for r in results if r.final]
    assert len(said) > 5
    assert " ".join(said) == " ".join(["ab", "cd", "ef", "gh"] * 10) + " end"


def test_memory_does_not_grow_with_the_recording():
    model = transcriber("deepspeech2")
    stream = StreamingTranscriber(model, StreamOptions(most_segment_s=5.0))

    def held() -> int:
        windows = [s for s in stream._encoder._streams if hasattr(s, "_held")]
        return len(stream._features._held) + sum(s._held.size(1) for s in windows) + len(stream._spans)

    sizes = []
    for second in range(60):
        stream.push(babble(1.0, second))
        sizes.append(held())
    assert max(sizes[30:]) <= max(sizes[5:30]) * 1.2


def test_the_end():
    model = transcriber("tdnn")
    stream = StreamingTranscriber(model)
    assert stream.finish() == []
    with pytest.raises(ValueError, match="the stream is over"):
        stream.push(torch.zeros(10))
    assert all(result.final for result in model.stream(torch.zeros(5)))


@pytest.mark.parametrize(
    "options", [{"mode": "fast"}, {"chunk_s": 0.0}, {"left_s": -1.0}, {"silence_s": 0.0}, {"most_segment_s": 0.0}]
)
def test_options_that_make_no_sense(options):
    with pytest.raises(ValueError, match=re.escape(next(iter(options)))):
        StreamOptions(**options)

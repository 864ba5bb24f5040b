import torch

from s2s_lm.decoders.linear import LinearDecoder
from s2s_lm.losses.cross_entropy import CrossEntropy
from s2s_lm.losses.sampled import SampledSoftmax

VOCAB, SIZE = 50, 8


def parts():
    torch.manual_seed(0)
    decoder = LinearDecoder(SIZE, VOCAB, tied=False)
    torch.nn.init.normal_(decoder.weight, std=0.5)
    torch.nn.init.normal_(decoder.bias, std=0.5)
    return decoder, torch.randn(6, SIZE), torch.tensor([0, 3, 49, 7, 1, 30])


def test_the_denominator_is_unbiased():
    decoder, encodings, targets = parts()
    logits = encodings @ decoder.weight.T + decoder.bias
    whole = logits.exp().sum(1) - logits.gather(1, targets[:, None]).squeeze(1).exp()
    with torch.no_grad():
        for samples in (4, 40):
            loss = SampledSoftmax(samples)
            draws = torch.stack(
                [loss.log_denominator_of_others(decoder, encodings, targets).exp() for _ in range(3000)]
            )
            error = (draws.mean(0) - whole) / (draws.std(0) / 3000**0.5)
            assert error.abs().max() < 4.5, f"{samples} samples are off by {error} standard errors"


def test_with_many_samples_it_is_the_full_softmax():
    decoder, encodings, targets = parts()
    full = CrossEntropy()(decoder, encodings, targets)
    full.total.backward()
    expected = decoder.weight.grad.clone()
    decoder.zero_grad()
    torch.manual_seed(1)
    sampled = SampledSoftmax(400_000)(decoder, encodings, targets)
    sampled.total.backward()
    torch.testing.assert_close(sampled.total, full.total, rtol=5e-3, atol=0)
    assert sampled.weight == full.weight
    assert (decoder.weight.grad - expected).norm() < 0.02 * expected.norm()

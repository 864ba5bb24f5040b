"""The published networks, as the packaged configs describe them."""

from pathlib import Path

import pytest
import torch
import yaml

from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder

CONFIGS = Path(__file__).parents[3] / "packages" / "asr" / "configs"

# millions of parameters with the CTC decoder, as the catalogue of OpenSeq2Seq computes them
PUBLISHED = {
    "wav2letter-plus": 106.5,
    "jasper/5x3": 107.7,
    "jasper/10x3": 200.5,
    "jasper/10x5": 322.3,
    "jasper/10x5-dr": 332.6,
    "jasper/10x5-dr-speed": 332.6,
    "quartznet/15x5": 19.2,
    "jasper-mini": 8.2,
}


def build(name):
    init_args = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]["init_args"]
    encoder = dict(init_args["encoder"]["init_args"])
    blocks = [TdnnBlock(**block) for block in encoder.pop("blocks")]
    with torch.device("meta"):
        return TdnnEncoder(blocks=blocks, **encoder), CtcDecoder(**init_args["decoder"]["init_args"])


@pytest.mark.parametrize(("name", "millions"), PUBLISHED.items())
def test_the_networks_have_their_published_sizes(name, millions):
    count = sum(p.numel() for part in build(name) for p in part.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.005)


# 1 + the sum of (kernel - 1) x dilation x stride before it, written out
@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("wav2letter-plus", 1 + 10 + 2 * (3 * (10 + 12 + 16 + 20 + 24) + 56)),
        ("jasper/10x5-dr", 1 + 10 + 2 * (10 * (10 + 12 + 16 + 20 + 24) + 56)),
        ("quartznet/5x5", 1 + 32 + 2 * (5 * (32 + 38 + 50 + 62 + 74) + 172)),
    ],
)
def test_the_receptive_fields_of_the_published_networks(name, frames):
    assert build(name)[0].receptive_field == frames


def test_the_residuals_are_the_published_ones():
    dense, plain, none = (build(name)[0] for name in ("jasper/10x5-dr", "jasper/10x5", "wav2letter-plus"))
    assert [len(block.residuals) for block in dense.blocks] == [0, *range(1, 11), 0, 0]
    assert [len(block.residuals) for block in plain.blocks] == [0, *[1] * 10, 0, 0]
    assert not any(len(block.residuals) for block in none.blocks)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("**/*.yaml")), ids=lambda path: path.stem)
def test_recipes_are_short_and_say_what_they_are(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) < 60

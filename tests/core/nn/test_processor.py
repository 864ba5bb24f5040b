import pytest

from s2s_core.nn import processor

INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R): Gold\nflags\t\t: fpu amx_bf16\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n"


@pytest.fixture
def told(monkeypatch):
    """Has the system say something else of its processor."""

    def tell(text):
        monkeypatch.setattr(processor.Path, "read_text", lambda path: text)
        monkeypatch.setattr(processor.platform, "processor", lambda: "")
        monkeypatch.setattr(processor.platform, "machine", lambda: "aarch64")
        processor.processor.cache_clear()

    yield tell
    processor.processor.cache_clear()


def test_a_processor_is_called_by_its_model(told):
    told(INTEL * 2)
    assert processor.processor_name() == "Intel(R) Xeon(R): Gold"
    assert processor.is_intel()


def test_one_without_a_model_by_its_architecture(told):
    told(ARM)
    assert processor.processor_name() == "aarch64"
    assert not processor.is_intel()
    assert "asimd" in processor.processor()

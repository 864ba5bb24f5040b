import pytest

from s2s_core.cli import configs
from s2s_core.errors import UserError


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    folder = tmp_path / "configs"
    (folder / "jasper").mkdir(parents=True)
    (folder / "jasper" / "10x5.yaml").write_text("# Jasper 10x5: the large one.\nmodel: {}\n")
    (folder / "small.yaml").write_text("model: {}\n")
    monkeypatch.setattr(configs, "config_folder", lambda package: folder if package == "s2s_x" else None)
    monkeypatch.chdir(tmp_path)
    return folder


def test_names_are_paths_under_the_folder(packaged):
    assert configs.packaged_configs("s2s_x") == {
        "jasper/10x5": packaged / "jasper" / "10x5.yaml",
        "small": packaged / "small.yaml",
    }


def test_a_task_may_own_a_subfolder_only(packaged):
    assert configs.packaged_configs("s2s_x/jasper") == {"10x5": packaged / "jasper" / "10x5.yaml"}
    assert configs.packaged_configs("s2s_x/none") == {}
    with pytest.raises(UserError, match="small"):
        configs.find_config("small", "s2s_x/jasper")


def test_the_first_comment_describes(packaged):
    assert configs.describe_config(packaged / "jasper" / "10x5.yaml") == "Jasper 10x5: the large one."
    assert configs.describe_config(packaged / "small.yaml") == ""


def test_a_file_wins_over_a_packaged_name(packaged, tmp_path):
    assert configs.find_config("small", "s2s_x") == packaged / "small.yaml"
    (tmp_path / "small").write_text("model: {}\n")
    assert configs.find_config("small", "s2s_x").resolve() == tmp_path / "small"


def test_arguments_are_resolved_in_place(packaged):
    found = configs.resolve_config_arguments(
        ["--config", "small", "--a", "1", "--config=jasper/10x5", "-c", "small"], "s2s_x"
    )
    small, large = str(packaged / "small.yaml"), packaged / "jasper" / "10x5.yaml"
    assert found == ["--config", small, "--a", "1", f"--config={large}", "-c", small]


def test_a_packaged_config_is_wanted_even_where_a_file_has_its_name(packaged, tmp_path):
    (tmp_path / "small").write_text("model: {}\n")
    assert configs.find_packaged("small", "s2s_x", "none") == packaged / "small.yaml"
    with pytest.raises(UserError, match=r"config 'smal': not packaged; did you mean small\?"):
        configs.find_packaged("smal", "s2s_x", "not packaged")


def test_an_unknown_name_suggests_the_nearest(packaged):
    with pytest.raises(UserError, match=r"config 'jasper/10x6': .*did you mean jasper/10x5\?"):
        configs.find_config("jasper/10x6", "s2s_x")

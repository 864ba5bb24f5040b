import pytest
from PIL import Image

from s2s_commands.prepare.pictures import read_folders, read_imagenet
from s2s_core.errors import UserError


def draw(path, colour="red", size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def listing(found, root):
    return [(p.split, p.path.relative_to(root).as_posix(), p.label) for p in found]


def test_folders_with_and_without_splits(tmp_path):
    draw(tmp_path / "flat" / "cat" / "1.png")
    draw(tmp_path / "flat" / "dog" / "deep" / "2.JPG")
    assert listing(read_folders(tmp_path / "flat"), tmp_path / "flat") == [
        ("train", "cat/1.png", "cat"),
        ("train", "dog/deep/2.JPG", "dog"),
    ]
    for split in ("train", "val", "test"):
        draw(tmp_path / "split" / split / "cat" / "1.png")
    assert [p.split for p in read_folders(tmp_path / "split")] == ["test", "train", "validation"]
    draw(tmp_path / "flat" / "stray.png")
    with pytest.raises(UserError, match=r"stray\.png: lies beside"):
        read_folders(tmp_path / "flat")


@pytest.mark.parametrize("form", ["folders", "solution", "synsets"])
def test_imagenet_in_its_layouts(form, tmp_path):
    root = tmp_path / "ILSVRC" / "Data" / "CLS-LOC" if form == "solution" else tmp_path
    draw(root / "train" / "n01440764" / "n01440764_18.JPEG")
    draw(root / "train" / "n01443537" / "n01443537_2.JPEG")
    names, labels = ["ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"], ["n01443537", "n01440764"]
    for name, label in zip(names, labels, strict=True):
        draw(root / "val" / (label if form == "folders" else "") / f"{name}.JPEG")
    if form == "solution":
        rows = [f"{name},{label} 1 2 3 4 {label} 5 6 7 8" for name, label in zip(names, labels, strict=True)]
        (tmp_path / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows[::-1]]) + "\n")
    if form == "synsets":
        (root / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(labels) + "\n")
    found = {(p.split, p.path.name): p.label for p in read_imagenet(tmp_path)}
    assert found == {
        ("train", "n01440764_18.JPEG"): "n01440764",
        ("train", "n01443537_2.JPEG"): "n01443537",
        ("validation", f"{names[0]}.JPEG"): labels[0],
        ("validation", f"{names[1]}.JPEG"): labels[1],
    }


def test_imagenet_that_is_incomplete_is_named(tmp_path):
    with pytest.raises(UserError, match="no folder 'train'"):
        read_imagenet(tmp_path)
    draw(tmp_path / "train" / "n1" / "a.JPEG")
    draw(tmp_path / "val" / "b.JPEG")
    with pytest.raises(UserError, match="pictures without classes"):
        read_imagenet(tmp_path)
    (tmp_path / "imagenet_2012_validation_synset_labels.txt").write_text("n1\nn2\n")
    with pytest.raises(UserError, match="2 classes for 1 pictures"):
        read_imagenet(tmp_path)
    (tmp_path / "val" / "LOC_val_solution.csv").write_text("ImageId,PredictionString\nc,n1 1 2 3 4\n")
    with pytest.raises(UserError, match=r"no class for b\.JPEG"):
        read_imagenet(tmp_path)

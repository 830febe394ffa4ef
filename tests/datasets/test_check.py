import json
import re

import pytest

from mdepth.datasets import check, check_sample, export
from mdepth.datasets.sources import SOURCES
from mdepth.shapes import DataError


@pytest.mark.realdata
def test_real_folder(real_data):
    inventory = check.find(real_data)
    absent = {"nyu/labelled", "nyu/densedepth", "nyu/h5", "kitti/annotated", "rgbd/folder", "make3d/official"}
    assert set(inventory.missing) == absent
    assert inventory.path("kitti/raw") == real_data / "kitti/raw"
    assert inventory.path("stereo/middlebury") == real_data / "stereo/middlebury_classic"
    with pytest.raises(
        DataError, match=r"holds no nyu/labelled; get it from https://cs.nyu.edu.*cite Silberman"
    ):
        inventory.path("nyu/labelled")


@pytest.mark.realdata
@pytest.mark.parametrize(
    "key",
    [
        "nyu/sync",
        "kitti/raw",
        "kitti/odometry",
        "rgbd/7scenes",
        "rgbd/tum",
        "rgbd/nyu-video",
        "make3d/bounded",
        "stereo/middlebury",
        "mono/images",
    ],
)
def test_what_is_found_opens(real_data, key):
    dataset = check.find(real_data).open(key)
    check_sample(dataset[0], require_depth=False)
    assert len(dataset.fingerprint()) == 64
    json.dumps(dataset.describe())
    assert str(real_data) not in json.dumps(dataset.describe())


def test_exported_sets_are_found_and_open(analytic, tmp_path):
    export.nyu_mat(analytic(), tmp_path / "nyu/labeled/nyu_depth_v2_labeled.mat")
    export.kitti_raw(analytic(), tmp_path / "kitti/raw")
    export.make3d(analytic(), tmp_path / "make3d/all")
    inventory = check.find(tmp_path)
    assert [item.key for item in inventory.found] == [
        "nyu/labelled",
        "nyu/splits",
        "kitti/raw",
        "make3d/official",
    ]
    for key in ("nyu/labelled", "kitti/raw", "make3d/official"):
        assert len(inventory.open(key)) == 4
    assert len(inventory.open("nyu/labelled", depth="raw")) == 4
    with pytest.raises(ValueError, match="'nyu/splits' does not open by itself"):
        inventory.open("nyu/splits")


def test_annotated_depth_is_recognised(tmp_path):
    folder = tmp_path / "kitti/raw/train/2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02"
    folder.mkdir(parents=True)
    (folder / "0000000005.png").touch()
    assert check.find(tmp_path).paths("kitti/annotated") == [tmp_path / "kitti/raw/train"]


def test_report_is_json_and_reads_well(tmp_path):
    (tmp_path / "nyu").mkdir()
    (tmp_path / "nyu" / "nyu_depth_v2_labeled.mat").touch()
    content = json.loads(json.dumps(check.report(tmp_path)))
    assert [item["key"] for item in content["found"]] == ["nyu/labelled"]
    assert content["found"][0]["path"] == "nyu"
    assert len(content["missing"]) == len(SOURCES) - 1
    text = check.to_text(content)
    assert "nyu/labelled" in text
    assert "KITTI raw recordings, 175 GB zipped: https://www.cvlibs.net" in text


def test_empty_folder_and_no_folder(tmp_path):
    assert check.find(tmp_path).found == ()
    assert "found: nothing" in check.to_text(check.report(tmp_path))
    with pytest.raises(DataError, match="MDEPTH_DATA must name"):
        check.find(tmp_path / "none")


def test_a_set_in_the_wrong_part_is_not_taken(tmp_path):
    (tmp_path / "rgbd").mkdir()
    (tmp_path / "rgbd" / "nyu_depth_v2_labeled.mat").touch()
    assert not check.find(tmp_path).has("nyu/labelled")


def test_data_readme_names_every_source(root):
    text = (root / "data" / "README.md").read_text()
    listed = re.findall(r"^\| ([a-z0-9]+/[\w-]+) \|", text, flags=re.MULTILINE)
    assert listed == [source.key for source in SOURCES]
    for source in SOURCES:
        loader = source.loader.split("(")[0]
        row = next(line for line in text.splitlines() if line.startswith(f"| {source.key} |"))
        assert loader in row, source.key


def test_every_loader_exists():
    from mdepth.datasets import kitti, make3d, nyu, rgbd, stereo, video

    modules = {"kitti": kitti, "make3d": make3d, "nyu": nyu, "rgbd": rgbd, "stereo": stereo, "video": video}
    for source in SOURCES:
        if source.loader != "none":
            module, name = source.loader.split("(")[0].split(".")
            assert hasattr(modules[module], name), source.loader


def test_folders_named_data_are_searched_unless_they_are_kittis(tmp_path):
    """DenseDepth's zip unpacks to data/; KITTI's data/ hold thousands of frames."""
    (tmp_path / "nyu/data").mkdir(parents=True)
    (tmp_path / "nyu/data/nyu2_train.csv").touch()
    closed = tmp_path / "kitti/raw/2011_09_26/2011_09_26_drive_0001_sync/image_02/data"
    closed.mkdir(parents=True)
    (closed / "calib_cam_to_cam.txt").touch()
    inventory = check.find(tmp_path)
    assert inventory.paths("nyu/densedepth") == [tmp_path / "nyu/data"]
    assert not inventory.has("kitti/raw")

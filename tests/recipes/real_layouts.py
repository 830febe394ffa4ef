"""The sample files laid out as whole data sets are, for the recipes that train on them."""

from pathlib import Path

from mdepth.datasets import export, nyu


def lay_out_nyu(root: Path, samples: Path) -> None:
    """The labelled images: one of the test set, and one of the training scene that the sync frames show. The
    same frames once more in a folder that is none of the training scenes.
    """
    (root / "nyu" / "sync").mkdir(parents=True)
    (root / "nyu" / "official_splits" / "test").mkdir(parents=True)
    for place in ("sync/basement_0001a", "official_splits/test/basement"):
        (root / "nyu" / place).symlink_to(samples / "nyu" / "sync_basement_0001a")
    labelled = nyu.LabelledPngs(
        [samples / "nyu/labeled_8bit/00000.jpg"], [samples / "nyu/labeled_0001/depth_filled.png"]
    )[0]
    known = nyu.SyncFolder(root / "nyu/sync")[0]
    export.nyu_mat([labelled, known], root / "nyu" / "nyu_depth_v2_labeled.mat", test=[0])

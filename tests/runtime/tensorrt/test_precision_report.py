from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeirf.runtime.tensorrt.builder import EngineSpec, build
from edgeirf.runtime.tensorrt.library import Library
from edgeirf.runtime.tensorrt.precision_report import FusionReport, Product, match_products, node_name, parse_layers

SPEC = EngineSpec(batch=2, size=(64, 64))
TARGETS = ("SM86", "SM89", "SM120")
PRODUCTS = ("stem", "depthwise", "pointwise", "expand", "contract", "head")
NAMES = {"fp32": "Float", "fp16": "Half", "int8": "Int8"}


def line(kind: str, tensor: str, metadata: str = "[ONNX Layer: conv]", name: str = "conv") -> str:
    """One line of a layer list as TensorRT writes it, ``tensor`` in place of the input's type."""
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: [ {{ Name: x, Location: Device, Dimensions: [1,3], {tensor} }}], "
        f"Outputs: [ {{ Name: y, Dimensions: [1,4,8,8], Format/Datatype: Float }}], ParameterType: Convolution, "
        f'Weights: {{"Type": "Half", "Count": 9}}, TacticName: sm80_i8, StreamId: 0, Metadata: {metadata}'
    )


@pytest.mark.parametrize(
    ("tensor", "precision"),
    [
        ("Format/Datatype: Thirty-two wide channel vectorized row major Int8 format", "Int8"),
        ("Format/Datatype: Row major linear FP16 format", "Half"),
        ("Format/Datatype: Channel major FP16 format where channel % 8 == 0", "Half"),
        ("Format/Datatype: Row major linear FP32", "Float"),
        ("Format/Datatype: Half", "Half"),
        ("Format/Datatype: Int8", "Int8"),
        ("Datatype: BFloat16, Format: (NHWC) Channel major format", "BFloat16"),
        ("Strides: [1], Datatype: Int8, Format: (NHWC) Channel major format", "Int8"),
        ("Datatype: Quaternion, Format: x", "Quaternion"),
    ],
)
def test_every_release_spells_a_type_differently(tensor: str, precision: str) -> None:
    (product,) = match_products([("conv", "convolution")], parse_layers("Layers:\n" + line("CaskConvolution", tensor)))
    assert product == Product("conv", "convolution", precision, "CaskConvolution")


def test_the_layer_that_multiplies_counts_not_the_quantiser_before_it() -> None:
    text = "\n".join(
        [
            line("kgen", "Datatype: Float", "[ONNX Layer: q][ONNX Layer: conv]", name="__myl_MulRoun"),
            line("correlation", "Datatype: Int8", "[ONNX Layer: conv]\x1e[ONNX Layer: relu]", name="conv_myl0_1"),
            "",
            "I/O Tensors:",
            " Name: image, IOMode: Input, DataType: Float, Dimensions: [2,3,64,64]",
        ]
    )
    layers = parse_layers(text)
    assert [layer.nodes for layer in layers] == [("q", "conv"), ("conv", "relu")]
    assert match_products([("conv", "convolution")], layers)[0].precision == "Int8"


@pytest.mark.parametrize(
    ("tensor", "traffic"),
    [
        ("Format/Datatype: Half", 3 * 2 + 256 * 4),
        ("Strides: [1], Datatype: Int8, Format: (NHWC) Channel major format", 3 + 256 * 4),
        ("Format/Datatype: Row major linear FP32", 3 * 4 + 256 * 4),
        ("Datatype: Half }], Constants: [ { Name: w, Dimensions: [9,9], Datatype: Half", 3 * 2 + 256 * 4),
    ],
)
def test_the_bytes_of_a_layer_are_those_of_its_inputs_and_outputs(tensor: str, traffic: int) -> None:
    (layer,) = parse_layers(line("correlation", tensor))
    assert layer.traffic == traffic


def test_a_product_no_layer_names_is_unknown() -> None:
    layers = parse_layers(line("kgen", "Datatype: Half", "[ONNX Layer: conv10]"))
    assert match_products([("conv1", "convolution")], layers)[0].precision == "unknown"


@pytest.mark.parametrize(("metadata", "name"), [("[ONNX Layer: /a/Conv]", "/a/Conv"), ("", ""), ("[Other: x]", "")])
def test_node_name(metadata: str, name: str) -> None:
    assert node_name(metadata) == name


def test_summary_names_what_fell_back() -> None:
    products = [Product(f"conv{i}", "convolution", "Float" if i < 7 else "Int8", "correlation") for i in range(10)]
    report = FusionReport("tensorrt", "10.3.0", (), tuple(products))
    assert report.summary("Int8", most=2) == "3 of 10 in Int8; not: conv0 (Float), conv1 (Float) and 5 more"
    assert report.counts == {"Float": 7, "Int8": 3}
    assert report.to_json()["products"][0] == {
        "node": "conv0",
        "operation": "convolution",
        "precision": "Float",
        "layer": "correlation",
    }


@pytest.mark.parametrize("precision", NAMES)
def test_real_builds_keep_the_precision_of_every_product(
    rtx: Library, conv_graph: Callable[..., bytes], precision: str
) -> None:
    for target in TARGETS:
        report = build(rtx, conv_graph(precision), EngineSpec(2, (64, 64), (target,))).fusion
        assert tuple(product.node for product in report.products) == PRODUCTS
        assert report.outside(NAMES[precision]) == (), report.summary(NAMES[precision])


def test_a_real_build_shows_that_vector_scales_lose_int8(rtx: Library, conv_graph: Callable[..., bytes]) -> None:
    report = build(rtx, conv_graph("int8", scale_shape=(1,)), SPEC).fusion
    assert {"stem", "depthwise", "pointwise"} <= {product.node for product in report.outside("Int8")}


def test_a_real_build_of_attention(rtx: Library, attention_graph: Callable[..., bytes]) -> None:
    half = build(rtx, attention_graph("fp16"), SPEC).fusion
    assert half.counts == {"Half": 7}
    assert "kgen" in {product.layer for product in half.products if product.node in ("scores", "mix")}
    mixed = build(rtx, attention_graph("int8"), SPEC).fusion
    assert [product.node for product in mixed.outside("Int8")] == ["scores", "mix"]

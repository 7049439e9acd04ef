"""The smallest proof that a TensorRT works on this machine: one layer, built, and loaded where there is a driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeirf.runtime.tensorrt.library import Library

if TYPE_CHECKING:
    import tensorrt as trt


def prove(library: Library, driver: int | None) -> None:
    """Builds an engine of one layer and loads it; without a driver it is only built.

    An import proves nothing: a TensorRT for another CUDA imports, and gives null pointers from then on.

    Args:
        driver: major CUDA version of the driver; None where there is none.

    Raises:
        BackendError: TensorRT does not fit the driver, or fails; with TensorRT's own reason.
    """
    if driver is not None:
        library.check_driver(driver)
    library.logger.start()
    plan = library.create("build an engine", lambda: _plan(library))
    if driver is not None:
        runtime: trt.Runtime = library.create("start its runtime", lambda: library.trt.Runtime(library.logger))
        library.create("load an engine", lambda: runtime.deserialize_cuda_engine(plan))


def _plan(library: Library) -> trt.IHostMemory | None:
    builder: trt.Builder = library.trt.Builder(library.logger)
    network: trt.INetworkDefinition = builder.create_network(0)
    image: trt.ITensor = network.add_input("image", library.trt.DataType.FLOAT, (1, 1, 8, 8))
    layer: trt.ILayer = network.add_activation(image, library.trt.ActivationType.RELU)
    field: trt.ITensor = layer.get_output(0)
    network.mark_output(field)
    config: trt.IBuilderConfig = builder.create_builder_config()
    return builder.build_serialized_network(network, config)

"""Converts a checkpoint of the LLaVA kind to OpenVINO: a vision model and a stateful language model, like those that
optimum-intel makes, with weights of 16, 8 or 4 bits (NNCF, without data)."""
import argparse
import pathlib
import shutil

import nncf
import numpy
import openvino
import torch
import transformers
from openvino import opset13 as ops
from openvino._offline_transformations import apply_make_stateful_transformation

from llama_torch import Llama, config_of, take_weights


class Vision(torch.nn.Module):
    """Features of the layer that LLaVA uses, without (encode) or with the connector."""

    def __init__(self, model):
        super().__init__()
        self.tower = model.model.vision_tower
        transformer = getattr(self.tower, "vision_model", self.tower)
        layers = model.config.vision_config.num_hidden_layers + 1 + model.config.vision_feature_layer
        transformer.encoder.layers = transformer.encoder.layers[:layers]

    def forward(self, pixels):
        return self.tower(pixels).last_hidden_state


def start_states(model):
    """States begin empty, with the batch of the input: without this their first batch is zero."""
    batch = ops.gather(ops.shape_of(model.input("embeddings"), output_type="i64"), ops.constant([0]), ops.constant(0))
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            sizes = [dimension.min_length for dimension in node.get_output_partial_shape(0)]
            shape = ops.concat([batch, *(ops.constant(numpy.array([n], dtype=numpy.int64)) for n in sizes[1:])], 0)
            node.set_arguments([ops.broadcast(ops.constant(numpy.float32(0)), shape)])
    model.validate_nodes_and_infer_types()


def language_model(model):
    config = config_of(model.config.text_config)
    with torch.device("meta"):
        traced = Llama(config)
    traced.inverse = 1.0 / (config["theta"] ** (torch.arange(0, config["head_dim"], 2).float() / config["head_dim"]))
    take_weights(traced, model.model.language_model, model.lm_head)
    past = [torch.zeros(2, config["kv_heads"], 3, config["head_dim"]) for _ in range(2 * config["layers"])]
    example = (torch.zeros(2, 4, config["width"]), torch.zeros(2, 4, dtype=torch.int64),
               torch.zeros(2, dtype=torch.int32), *past)
    converted = openvino.convert_model(traced.eval(), example_input=example)
    names = ["embeddings", "positions", "reorder", *(f"past.{i}" for i in range(len(past)))]
    shapes = [[-1, -1, config["width"]], [-1, -1], [-1],
              *[[-1, config["kv_heads"], -1, config["head_dim"]]] * len(past)]
    for port, name, shape in zip(converted.inputs, names, shapes):
        port.get_tensor().set_names({name})
        port.get_node().set_partial_shape(openvino.PartialShape(shape))
    for port, name in zip(converted.outputs, ["logits", *(f"present.{i}" for i in range(len(past)))]):
        port.get_tensor().set_names({name})
    converted.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(converted, {f"past.{i}": f"present.{i}" for i in range(len(past))})
    start_states(converted)
    return converted


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="checkpoint folder")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for <part>-<weights>.xml")
    arguments = parser.parse_args()
    unfinished = arguments.out.with_name(arguments.out.name + ".part")
    unfinished.mkdir(parents=True, exist_ok=True)
    model = transformers.AutoModelForImageTextToText.from_pretrained(arguments.model, dtype=torch.float32,
                                                                     attn_implementation="sdpa").eval()
    with torch.inference_mode():
        size = model.config.vision_config.image_size
        parts = {"vision": openvino.convert_model(Vision(model), example_input=torch.rand(1, 3, size, size)),
                 "connector": openvino.convert_model(
                     model.model.multi_modal_projector,
                     example_input=torch.rand(1, 4, model.config.vision_config.hidden_size))}
        parts["language"] = language_model(model)
    for name, part in parts.items():
        openvino.save_model(part, unfinished / f"{name}-bf16.xml", compress_to_fp16=True)
        openvino.save_model(nncf.compress_weights(part.clone(), mode=nncf.CompressWeightsMode.INT8_ASYM),
                            unfinished / f"{name}-int8.xml")
    openvino.save_model(nncf.compress_weights(parts["language"], mode=nncf.CompressWeightsMode.INT4_ASYM,
                                              group_size=128, ratio=1.0), unfinished / "language-int4.xml")
    for part in ("vision", "connector"):
        for suffix in (".xml", ".bin"):
            shutil.copyfile(unfinished / f"{part}-int8{suffix}", unfinished / f"{part}-int4{suffix}")
    unfinished.rename(arguments.out)


if __name__ == "__main__":
    main()

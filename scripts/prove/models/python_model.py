"""BERT-large in Triton's Python backend, on the GPU of its instance."""

import pathlib
import sys

import numpy as np
import torch
import triton_python_backend_utils as triton

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from torch_bert import bert


class TritonPythonModel:
    def initialize(self, arguments):
        torch.cuda.set_device(int(arguments["model_instance_device_id"]))
        self.network = bert()

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        ids = triton.get_input_tensor_by_name(request, "INPUT__0").as_numpy()
        with torch.inference_mode():
            logits = self.network(torch.from_numpy(np.ascontiguousarray(ids)).cuda()).cpu().numpy()
        return triton.InferenceResponse(output_tensors=[triton.Tensor("OUTPUT__0", logits)])

import numpy as np
import triton_python_backend_utils as pb_utils

FEATURES, HIDDEN, CLASSES = 16, 32, 3


class TritonPythonModel:
    """A classifier with one hidden layer. Its weights are pseudo-random with a fixed seed."""

    def initialize(self, args):
        generator = np.random.default_rng(seed=1)
        self.hidden = generator.standard_normal((FEATURES, HIDDEN), dtype=np.float32) / np.sqrt(FEATURES)
        self.output = generator.standard_normal((HIDDEN, CLASSES), dtype=np.float32) / np.sqrt(HIDDEN)

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        features = pb_utils.get_input_tensor_by_name(request, "FEATURES").as_numpy()
        scores = np.maximum(features @ self.hidden, 0) @ self.output
        # Subtracting the largest score keeps exp from overflowing.
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("PROBABILITIES", probabilities)])

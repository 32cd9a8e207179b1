import numpy as np
import triton_python_backend_utils as pb_utils

LAYERS, HIDDEN, HEADS, SEQUENCE, VOCABULARY = 2, 64, 4, 384, 30522


class TritonPythonModel:
    """A BERT with random weights, small enough for a CPU: a few milliseconds per text."""

    def initialize(self, args):
        random = np.random.default_rng(1)

        def weight(*shape):
            return random.standard_normal(shape, dtype=np.float32) * np.float32(0.1)

        self.token, self.type, self.position = (
            weight(VOCABULARY, HIDDEN),
            weight(2, HIDDEN),
            weight(SEQUENCE, HIDDEN),
        )
        self.layers = [
            [
                weight(HIDDEN, 3 * HIDDEN),
                weight(HIDDEN, HIDDEN),
                weight(HIDDEN, 4 * HIDDEN),
                weight(4 * HIDDEN, HIDDEN),
            ]
            for _ in range(LAYERS)
        ]
        self.answer = weight(HIDDEN, 2)

    def execute(self, requests):
        return [self.respond(request) for request in requests]

    def respond(self, request):
        names = ("input_ids", "token_type_ids", "attention_mask")
        texts = zip(*(pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in names))
        logits = np.stack([self.logits(*text) for text in texts])
        return pb_utils.InferenceResponse([pb_utils.Tensor("logits", logits)])

    def logits(self, ids, types, mask):
        x = normalized(self.token[ids] + self.type[types] + self.position)
        masked = np.where(mask == 0, np.float32(-1e4), np.float32(0))
        for projection, output, wide, narrow in self.layers:
            x = normalized(x + attention(x @ projection, masked) @ output)
            x = normalized(x + np.maximum(x @ wide, 0) @ narrow)
        return x @ self.answer


def attention(projected, masked):
    query, key, value = projected.reshape(SEQUENCE, 3, HEADS, HIDDEN // HEADS).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(HIDDEN // HEADS)) + masked
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (scores / scores.sum(axis=-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(SEQUENCE, HIDDEN)


def normalized(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(1e-6))

import numpy as np
import triton_python_backend_utils as pb_utils

DOCUMENTS, DIMENSIONS, NEAREST = 64, 32, 3


def normalized(vectors):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A vector of zeros has no direction; it stays as it is.
    return vectors / np.where(lengths == 0, 1, lengths)


class TritonPythonModel:
    """Nearest neighbours by cosine similarity among fixed pseudo-random document embeddings."""

    def initialize(self, args):
        generator = np.random.default_rng(seed=2)
        self.documents = normalized(generator.standard_normal((DOCUMENTS, DIMENSIONS), dtype=np.float32))

    def execute(self, requests):
        # Triton passes all requests of a batch in one call; one multiplication serves them all.
        queries = [pb_utils.get_input_tensor_by_name(request, "QUERY").as_numpy() for request in requests]
        similarity = normalized(np.concatenate(queries)) @ self.documents.T
        documents = np.argsort(-similarity, axis=1, kind="stable")[:, :NEAREST].astype(np.int32)
        nearest = np.take_along_axis(similarity, documents, axis=1).astype(np.float32)
        ends = np.cumsum([len(query) for query in queries])[:-1]
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("DOCUMENTS", found), pb_utils.Tensor("SIMILARITY", near)]
            )
            for found, near in zip(np.split(documents, ends), np.split(nearest, ends))
        ]

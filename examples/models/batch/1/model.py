import numpy as np
import triton_python_backend_utils as pb_utils

HOURS, MINUTES = 24, 60


class TritonPythonModel:
    """Summary of a day of measurements."""

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        days = pb_utils.get_input_tensor_by_name(request, "MEASUREMENTS").as_numpy()
        statistics = (
            days.mean(axis=1),
            days.std(axis=1),
            days.min(axis=1),
            np.median(days, axis=1),
            days.max(axis=1),
        )
        hourly = days.reshape(-1, HOURS, MINUTES).mean(axis=2)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("SUMMARY", np.stack(statistics, axis=1).astype(np.float32)),
                pb_utils.Tensor("HOURLY", hourly.astype(np.float32)),
            ]
        )

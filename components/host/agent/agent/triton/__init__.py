"""Triton's APIs, as far as a deployment needs them."""

from .api import GRPC_KEY_HEADER, KEY_HEADER, Health, LoadAnswer, ModelFacts, Scheduling, Triton

__all__ = ["GRPC_KEY_HEADER", "KEY_HEADER", "Health", "LoadAnswer", "ModelFacts", "Scheduling", "Triton"]

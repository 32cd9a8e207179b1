"""Triton's APIs, as far as a deployment needs them."""

from .api import KEY_HEADER, Health, LoadAnswer, ModelFacts, Triton

__all__ = ["KEY_HEADER", "Health", "LoadAnswer", "ModelFacts", "Triton"]

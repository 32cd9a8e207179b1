"""Triton's APIs, as far as a deployment needs them."""

from .api import Health, LoadAnswer, ModelFacts, Triton

__all__ = ["Health", "LoadAnswer", "ModelFacts", "Triton"]

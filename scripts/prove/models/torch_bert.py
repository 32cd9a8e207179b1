#!/usr/bin/env python3
"""BERT-large for question answering in PyTorch, in FP16 with random weights.

    python3 torch_bert.py models/high/1      writes model.pt, in TorchScript, for Triton's PyTorch backend

The time of an inference does not depend on the values of the weights. Any batch size works; a text has 384 tokens.
"""

import pathlib
import sys

import torch
from torch.nn import functional

LAYERS, HIDDEN, HEADS, SEQUENCE, VOCABULARY = 24, 1024, 16, 384, 30522


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_in = torch.nn.Linear(HIDDEN, 3 * HIDDEN)
        self.attention_out = torch.nn.Linear(HIDDEN, HIDDEN)
        self.wide = torch.nn.Linear(HIDDEN, 4 * HIDDEN)
        self.narrow = torch.nn.Linear(4 * HIDDEN, HIDDEN)
        self.norm1 = torch.nn.LayerNorm(HIDDEN)
        self.norm2 = torch.nn.LayerNorm(HIDDEN)

    def forward(self, texts):
        query, key, value = (
            part.view(-1, SEQUENCE, HEADS, HIDDEN // HEADS).transpose(1, 2)
            for part in self.attention_in(texts).chunk(3, dim=-1)
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        joined = attended.transpose(1, 2).reshape(-1, SEQUENCE, HIDDEN)
        texts = self.norm1(texts + self.attention_out(joined))
        return self.norm2(texts + self.narrow(functional.gelu(self.wide(texts))))


class Bert(torch.nn.Module):
    """Maps token ids, int32 of shape (texts, 384), to logits, float32 of shape (texts, 384, 2)."""

    def __init__(self):
        super().__init__()
        self.tokens = torch.nn.Embedding(VOCABULARY, HIDDEN)
        self.places = torch.nn.Parameter(torch.randn(1, SEQUENCE, HIDDEN) * 0.02)
        self.layers = torch.nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.answer = torch.nn.Linear(HIDDEN, 2)

    def forward(self, ids):
        texts = self.layers(self.tokens(ids) + self.places)
        return self.answer(texts).float()


def bert():
    """The model on the current GPU, ready to infer."""
    torch.manual_seed(1)
    with torch.device("cuda"):
        return Bert().half().eval()


def main():
    folder = pathlib.Path(sys.argv[1])
    with torch.inference_mode():
        traced = torch.jit.trace(bert(), torch.ones(1, SEQUENCE, dtype=torch.int32, device="cuda"))
    folder.mkdir(parents=True, exist_ok=True)
    traced.save(str(folder / "model.pt"))


if __name__ == "__main__":
    main()

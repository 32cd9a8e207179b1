#!/usr/bin/env python3
"""Trains BERT-large on random texts on the current GPU until it is ended; writes the loss of each step.

python3 training.py 8      trains on 8 texts a step

A step ends with the loss on the CPU, as in a loop that logs it.
"""

import ctypes
import signal
import sys

# Its end must not depend on whoever started it still being there to end it.
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

import torch  # noqa: E402
from torch_bert import SEQUENCE, VOCABULARY, Bert  # noqa: E402


def main():
    batch = int(sys.argv[1])
    torch.manual_seed(1)
    with torch.device("cuda"):
        network = Bert().bfloat16()
        texts = torch.randint(VOCABULARY, (batch, SEQUENCE), dtype=torch.int32)
        answers = torch.randn(batch, SEQUENCE, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
    while True:
        optimizer.zero_grad()
        loss = (network(texts) - answers).square().mean()
        loss.backward()
        optimizer.step()
        print(loss.item(), flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""One vLLM engine of vllm_engines.py, with random weights. Its processes do the GPU's work, one for each GPU.

usage: vllm_engines_worker.py urgent|low GPUS
  urgent: a model in the shape of Llama 3.2 1B; a request each period, 128 tokens in and 32 out, one at a time
  low: a model in the shape of Llama 3.1 8B; 64 requests at any time, 1024 tokens in and 128 out

Writes a line of JSON once it is ready. Then each line of JSON on standard input is a job, and is answered by a line.
Times are those of the monotonic clock. Each answer to an urgent request is compared with the first one.
"""

import asyncio
import itertools
import json
import os
import pathlib
import sys
import tempfile
import time

# vLLM and what it starts may write to standard output, which is for answers alone.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import vllm  # noqa: E402
from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: E402
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: E402

VOCABULARY = 128256
CONFIGURATION = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "torch_dtype": "bfloat16",
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "vocab_size": VOCABULARY,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}
#: What differs between the models, their requests, and what each engine may take of a GPU's memory.
ROLES = {
    "urgent": {
        "shape": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "head_dim": 64},
        "tokens_in": 128,
        "tokens_out": 32,
        "cache_bytes": 2 << 30,
        "share": 0.1,
    },
    "low": {
        "shape": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "head_dim": 128},
        "tokens_in": 1024,
        "tokens_out": 128,
        "cache_bytes": 16 << 30,
        "share": 0.3,
    },
}
IN_FLIGHT = 64
WARM_UP = 3


class Engine:
    def __init__(self, role, gpus, folder):
        self.role = ROLES[role]
        configuration = {**CONFIGURATION, **self.role["shape"], "tie_word_embeddings": role == "urgent"}
        (folder / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
        self.numbers = itertools.count()
        self.engine = AsyncLLM.from_engine_args(
            AsyncEngineArgs(
                model=str(folder),
                load_format="dummy",
                skip_tokenizer_init=True,
                max_model_len=2048,
                tensor_parallel_size=gpus,
                gpu_memory_utilization=self.role["share"],
                kv_cache_memory_bytes=self.role["cache_bytes"],
                # Each request has the same work to do.
                enable_prefix_caching=False,
                disable_log_stats=True,
            )
        )

    async def request(self, first=1):
        """Yields the tokens of an answer as they come. Requests with the same first token have the same answer."""
        number = next(self.numbers)
        tokens = [first, *range(100, 99 + self.role["tokens_in"])]
        wanted = vllm.SamplingParams(
            temperature=0.0,
            max_tokens=self.role["tokens_out"],
            ignore_eos=True,
            detokenize=False,
            output_kind=vllm.sampling_params.RequestOutputKind.DELTA,
        )
        async for output in self.engine.generate({"prompt_token_ids": tokens}, wanted, str(number)):
            yield output.outputs[0].token_ids


class Urgent(Engine):
    async def answer(self):
        """The tokens, and when the first and the last of them came."""
        tokens, first = [], None
        async for new in self.request():
            first = first or time.monotonic()
            tokens.extend(new)
        return tokens, first, time.monotonic()

    async def warm_up(self):
        for _ in range(WARM_UP):
            self.expected, _, _ = await self.answer()

    async def work(self, job):
        """In ms: from the time at which a request was due to its first token, and from each token to the next one."""
        first_ms, between_ms, wrong = [], [], 0
        due = job["begin"]
        # If it cannot keep up, what is overdue at the end is left out.
        while due < job["end"] and time.monotonic() < job["end"] + job["period"]:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tokens, first, last = await self.answer()
            first_ms.append(1e3 * (first - due))
            between_ms.append(1e3 * (last - first) / (self.role["tokens_out"] - 1))
            wrong += tokens != self.expected
            due += job["period"]
        return {"first_ms": first_ms, "between_ms": between_ms, "wrong": wrong}


class Low(Engine):
    async def warm_up(self):
        now = time.monotonic()
        await self.work({"start": now, "begin": now, "end": now + WARM_UP})

    async def work(self, job):
        """Works from 'start' to 'end', and counts the tokens that come between 'begin' and 'end'."""
        counted = 0

        async def client():
            nonlocal counted
            for number in itertools.count(1):
                async for new in self.request(number):
                    counted += len(new) * (job["begin"] <= time.monotonic() <= job["end"])

        await asyncio.sleep(job["start"] - time.monotonic())
        clients = [asyncio.create_task(client()) for _ in range(IN_FLIGHT)]
        await asyncio.sleep(job["end"] - time.monotonic())
        # The engine gives up the requests of those who no longer wait.
        for each in clients:
            each.cancel()
        ends = await asyncio.gather(*clients, return_exceptions=True)
        for end in ends:
            if not isinstance(end, asyncio.CancelledError):
                raise end
        return {"tokens_per_s": counted / (job["end"] - job["begin"])}


def drivers():
    """What this process, and each that it has started, has for CUDA's driver, if it uses the GPU."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    ours, found = [os.getpid()], []
    for process in ours:
        ours.extend(child for child, parent in parents.items() if parent == process)
        maps = pathlib.Path(f"/proc/{process}/maps").read_text()
        if "/dev/nvidiactl" in maps or "libcudart" in maps:
            used = {line.split()[-1] for line in maps.splitlines() if "cuda.so" in line}
            found.append(sorted(used))
    return found


async def main():
    role, gpus = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix=f"vllm-{role}-") as folder:
        engine = {"urgent": Urgent, "low": Low}[role](role, gpus, pathlib.Path(folder))
        await engine.warm_up()
        print(json.dumps({"drivers": drivers(), "vllm": vllm.__version__}), file=answers, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await engine.work(json.loads(line))), file=answers, flush=True)
        engine.engine.shutdown()


if __name__ == "__main__":
    asyncio.run(main())

"""Quantizes real models beside onnxruntime.quantization: sizes, distance from the float model,
seconds, in one run.

    pip install onnx sympy onnxruntime==1.26.0
    cargo build --package xtask
    python3 quantizer/benches/real_models.py target/debug/xtask MODEL.onnx...

Many pip packages carry a model, for instance silero-vad, speechmos, rapidocr-onnxruntime,
magika, ddddocr and nudenet. Inputs are random, from a fixed seed, as loud as speech, the same
for all; a `sr` is 16000. Distance is the signal-to-noise ratio in dB of the worst output that
is a float, and the largest difference in any of them: of a detector that sees nothing in noise,
such as one of text, only the latter says something. Each tool is a process of its own and
starts from nothing, so seconds hold what Python needs to import.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

THEIRS = """
import sys
from onnxruntime.quantization import QuantType, quantize_dynamic
quantize_dynamic(sys.argv[1], sys.argv[2], per_channel=True, weight_type=QuantType.QInt8)
"""
LENGTHS = [(1, 512), (1, 320), (1, 224), (1, 64), (1, 8)]


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def draw(ready, first, other, seed):
    random = np.random.default_rng(seed)
    given = {}
    for value in ready.get_inputs():
        # What is open first, of the first two, is how many are given at once.
        shape, batch = [], first
        for axis, length in enumerate(value.shape):
            if isinstance(length, int) and length > 0:
                shape.append(length)
            else:
                shape.append(batch if axis < 2 else other)
                batch = other
        name = re.search(r"\((.*)\)", value.type).group(1)
        if "int" in name:
            # The one length that many models take is a sample rate.
            given[value.name] = np.full(shape, 16000, np.int64) if value.name == "sr" else random.integers(0, 2, shape)
            given[value.name] = given[value.name].astype(name)
        else:
            kind = {"float": np.float32, "double": np.float64, "float16": np.float16, "bool": bool}[name]
            given[value.name] = random.uniform(-0.3, 0.3, shape).astype(kind)
    return given


def speak(ready, draws):
    return [ready.run(None, given) for given in draws]


def distance(expected, found):
    """The lowest signal-to-noise ratio in dB and the largest difference; infinite where shapes
    differ."""
    worst, largest = np.inf, 0.0
    for run_a, run_b in zip(expected, found):
        for a, b in zip(run_a, run_b):
            if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.size:
                if a.shape != b.shape:
                    return -np.inf, np.inf
                a, b = a.astype(np.float64), b.astype(np.float64)
                noise, power = ((a - b) ** 2).sum(), (a**2).sum()
                largest = max(largest, np.abs(a - b).max())
                if noise > 0:
                    worst = min(worst, 10 * np.log10(power / noise) if power > 0 else -np.inf)
    return worst, largest


def timed(command):
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return ended, time.monotonic() - start, processor


def main():
    program, *models = sys.argv[1:]
    print("| model | bytes | tool | bytes after | of before | SNR, dB | largest difference | seconds | CPU seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for path in models:
            ready = session(path)
            for lengths in LENGTHS:
                try:
                    draws = [draw(ready, *lengths, seed) for seed in range(3)]
                    expected = speak(ready, draws)
                    break
                except Exception as error:
                    reason = str(error)[:80]
            else:
                print(f"| {os.path.basename(path)} | | does not run on random inputs: {reason} |")
                continue
            target = os.path.join(scratch, "out.onnx")
            tools = {
                "linear-int8": [program, "onnx-quantize", "linear-int8", path, target],
                "weights-int8": [program, "onnx-quantize", "weights-int8", path, target],
                "quantize_dynamic": [sys.executable, "-c", THEIRS, path, target],
            }
            for tool, command in tools.items():
                if os.path.exists(target):
                    os.remove(target)
                ended, seconds, processor = timed(command)
                size = os.path.getsize(path)
                row = f"| {os.path.basename(path)} | {size:,} | {tool} |"
                if ended.returncode:
                    lines = [line for line in ended.stderr.strip().splitlines() if not line.startswith("hint")]
                    last = lines[-1].replace(path, "…") if lines else "?"
                    print(f"{row} refused or failed: {last[:250]} | | | | {seconds:.2f} | {processor:.2f} |", flush=True)
                    continue
                after = os.path.getsize(target)
                try:
                    ratio, largest = distance(expected, speak(session(target), draws))
                    apart = f"{ratio:.1f} | {largest:.2g}"
                except Exception as error:
                    apart = f"does not run: {str(error)[:90]} |"
                print(f"{row} {after:,} | {after / size:.1%} | {apart} | {seconds:.2f} | {processor:.2f} |", flush=True)


if __name__ == "__main__":
    main()

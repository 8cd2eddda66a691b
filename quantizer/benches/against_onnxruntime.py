"""Times linear-int8 beside onnxruntime.quantization with the same settings, interleaved, one process each.

    pip install onnx sympy onnxruntime==1.26.0
    cargo build --package xtask
    python3 quantizer/benches/against_onnxruntime.py target/debug/xtask BASE.onnx [ROUNDS]

Prints wall time and peak memory of each whole process, and the ratios. Also compares every INT8 weight and scale.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

EXCLUDE = "postnet|layernorm|rmsnorm|out_proj|vocoder|final"

THEIRS = """
import re, sys, onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
base, output = sys.argv[1:]
nodes = [n.name for n in onnx.load(base, load_external_data=False).graph.node]
quantize_dynamic(
    base, output, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, reduce_range=False,
    weight_type=QuantType.QInt8, nodes_to_exclude=[n for n in nodes if re.search(%r, n, re.I)],
    extra_options={"WeightSymmetric": True, "MatMulConstBOnly": True},
)
""" % EXCLUDE


def run(command):
    """Wall seconds and peak resident MiB of one process, as the operating system accounts for it."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"`{' '.join(command[:2])}` failed with status {status}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def weights(path):
    """The integer weights and their scales by name."""
    import onnx
    from onnx import numpy_helper

    tensors = onnx.load(path).graph.initializer
    wanted = [t for t in tensors if t.name.endswith(("_quantized", "_scale"))]
    return {t.name: numpy_helper.to_array(t) for t in wanted}


def main():
    ours_program, base = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.TemporaryDirectory() as folder:
        ours_file, theirs_file = os.path.join(folder, "ours.onnx"), os.path.join(folder, "theirs.onnx")
        commands = {
            "ours": [ours_program, "onnx-quantize", "linear-int8", base, ours_file, "--exclude", EXCLUDE],
            "theirs": [sys.executable, "-c", THEIRS, base, theirs_file],
        }
        runs = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                runs[name].append(run(command))
        base_mib = os.path.getsize(base) / 2**20
        for name, measured in runs.items():
            seconds, memory = zip(*measured)
            print(
                f"{name:>7}: median {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), "
                f"peak {max(memory):.0f} MiB, {max(memory) / base_mib:.2f} times the base"
            )
        ratios = [theirs[0] / ours[0] for ours, theirs in zip(runs["ours"], runs["theirs"])]
        print(f"  ratio: median {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")
        ours, theirs = weights(ours_file), weights(theirs_file)
        same = [name for name in ours if name in theirs and (ours[name] == theirs[name]).all()]
        print(f"  equal: {len(same)} of {len(theirs)} tensors of weights and scales, {len(ours)} of ours")


if __name__ == "__main__":
    main()

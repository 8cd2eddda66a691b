"""Quantizes the models of the ONNX backend tests, as they are and with their inputs baked in as
weights.

    pip install onnx onnxruntime==1.26.0
    cargo build --package xtask
    python3 quantizer/benches/backend_models.py target/debug/xtask [FOLDER]

FOLDER is `onnx/backend/test/data` of a wheel, by default that of the `onnx` which is installed.
Each model goes through `onnx-quantize` by both schemes, and what is written runs in ONNX
Runtime on the inputs of the test beside the model itself. Exits with 1 if one that loads before
does not load after, or says something else.
"""

import collections
import glob
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

SCHEMES = ["linear-int8", "weights-int8"]
# What INT8 rounds away of the largest value: 127 levels a channel for weights, 255 for activations,
# in sums of a few.
NEAR = 0.1


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def inputs(folder, model):
    """The first inputs of a test by name; `None` where they are no tensors."""
    names = [value.name for value in model.graph.input]
    given = {}
    for index, path in enumerate(sorted(glob.glob(f"{folder}/test_data_set_0/input_*.pb"), key=by_number)):
        if index >= len(names):
            return None
        tensor = onnx.TensorProto()
        with open(path, "rb") as file:
            try:
                tensor.ParseFromString(file.read())
                given[names[index]] = tensor
                numpy_helper.to_array(tensor)
            except Exception:
                return None
    return given


def by_number(path):
    return int(re.findall(r"(\d+)", os.path.basename(path))[0])


def run(path, given):
    ready = session(path)
    wanted = {value.name for value in ready.get_inputs()}
    return ready.run(None, {name: value for name, value in given.items() if name in wanted})


def exactly(path, given):
    """What a model of integer products says where these do not saturate, as they do on x86
    without VNNI."""
    model = onnx.load(path)
    given = {value.name: given[value.name] for value in model.graph.input if value.name in given}
    return ReferenceEvaluator(model).run(None, given)


def off(expected, found):
    """The largest difference as a part of the largest value; 0 for what is equal, infinite for
    what cannot be compared."""
    worst = 0.0
    for a, b in zip(expected, found):
        if not isinstance(a, np.ndarray) or a.dtype.kind not in "fiub":
            if repr(a) != repr(b):
                return np.inf
            continue
        if a.shape != b.shape or a.dtype != b.dtype:
            return np.inf
        if a.size == 0:
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        both = np.isfinite(a)
        if not (np.isfinite(b) == both).all():
            return np.inf
        if both.any():
            largest = np.abs(a[both]).max()
            worst = max(worst, np.abs(a[both] - b[both]).max() / (largest or 1.0))
    return worst


def baked(model, given, keep):
    """`model` with the inputs from number `keep` on as initializers."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    names = [value.name for value in model.graph.input][keep:]
    gone = {name for name in names if name in given}
    if not gone:
        return None
    left = [value for value in changed.graph.input if value.name not in gone]
    if changed.ir_version < 4:
        changed.ir_version = 4
    del changed.graph.input[:]
    changed.graph.input.extend(left)
    for name in sorted(gone):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(given[name])
        tensor.name = name
        changed.graph.initializer.append(tensor)
    return changed


class Tally:
    def __init__(self):
        self.counts = collections.Counter()
        self.refused = collections.Counter()
        self.broken = []
        self.examples = {}

    def refuse(self, message, what):
        message = re.sub(r"`[^`]*`", "`…`", message)
        message = re.sub(r"\d+", "N", message)
        self.refused[message] += 1
        self.examples.setdefault(message, what)


def try_one(program, scheme, path, given, expected, scratch, tally, what):
    target = os.path.join(scratch, "out.onnx")
    for old in glob.glob(f"{target}*"):
        os.remove(old)
    tally.counts["runs before"] += expected is not None
    command = [program, "onnx-quantize", scheme, path, target, "--allow-nothing", "--min-elements", "1"]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode not in (0, 4):
        tally.broken.append((what, scheme, f"exit {ended.returncode}: {ended.stderr[-200:]}"))
        return
    if ended.returncode == 4:
        reason = re.sub(r"^.*?error: ", "", ended.stderr, flags=re.S).split("\nhint")[0]
        tally.refuse(reason.replace(path, "…").strip()[-220:], what)
        tally.counts["refused"] += 1
        tally.counts["refused of those that run"] += expected is not None
        return
    tally.counts["written"] += 1
    quantized = int(re.search(r"^(\d+) weights of", ended.stdout, re.M).group(1))
    tally.counts["with INT8"] += quantized > 0
    tally.counts["weights stored"] += quantized
    if expected is None:
        return
    try:
        found = run(target, given)
    except Exception as error:
        tally.broken.append((what, scheme, f"does not run: {str(error)[:200]}"))
        return
    distance = off(expected, found)
    near = distance == 0.0 if quantized == 0 else distance <= NEAR
    if not near and quantized and scheme == "linear-int8":
        try:
            distance = off(expected, exactly(target, given))
            near = distance <= NEAR
            tally.counts["of these where products do not saturate"] += near
        except Exception as error:
            print(f"{what}: the reference evaluator says {str(error)[:100]}", file=sys.stderr)
    tally.counts["near" if near else "far"] += 1
    if not near:
        tally.broken.append((what, scheme, f"off by {distance:.3g} with {quantized} weights"))


def main():
    program = sys.argv[1]
    here = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
    root = sys.argv[2] if len(sys.argv) > 2 else here
    paths = sorted(glob.glob(f"{root}/**/model.onnx", recursive=True))
    forms = {"as it is": None, "all inputs but the first baked": 1, "all inputs baked": 0}
    tallies = {(form, scheme): Tally() for form in forms for scheme in SCHEMES}
    with tempfile.TemporaryDirectory() as scratch:
        for path in paths:
            folder = os.path.dirname(path)
            model = onnx.load(path, load_external_data=False)
            tensors = inputs(folder, model)
            for form, keep in forms.items():
                source, given = path, {}
                if tensors is not None:
                    given = {name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
                if keep is not None:
                    changed = baked(model, tensors, keep) if tensors else None
                    if changed is None:
                        continue
                    source = os.path.join(scratch, "in.onnx")
                    onnx.save(changed, source)
                try:
                    expected = run(source, given)
                except Exception:
                    expected = None
                for scheme in SCHEMES:
                    tally = tallies[form, scheme]
                    tally.counts["models"] += 1
                    what = os.path.relpath(folder, root)
                    try_one(program, scheme, source, given, expected, scratch, tally, what)
    columns = ["models", "runs before", "written", "refused", "refused of those that run", "with INT8", "weights stored", "near"]
    columns += ["of these where products do not saturate", "far"]
    print("| form | scheme | " + " | ".join(columns) + " | broken |")
    print("|---" * (len(columns) + 3) + "|")
    for (form, scheme), tally in tallies.items():
        figures = " | ".join(str(tally.counts[column]) for column in columns)
        print(f"| {form} | {scheme} | {figures} | {len(tally.broken)} |")
    broken = 0
    for (form, scheme), tally in tallies.items():
        for message, count in tally.refused.most_common():
            print(f"refused, {form}, {scheme}: {count} × {message} (such as {tally.examples[message]})")
        for what, _, message in tally.broken:
            print(f"BROKEN, {form}, {scheme}: {what}: {message}")
            broken += 1
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()

"""Holds `cargo xtask inspect --provider coreml` against the check that ONNX Runtime's Python package ships.

    pip install onnx onnxruntime==1.26.0
    python xtask/tests/coreml_agreement.py MODEL.onnx...

The check is `onnxruntime/tools/mobile_helpers/usability_checker.py`. It is given the graph that `inspect` predicts of, as ONNX
Runtime folds it, and of that the main graph alone. Compared are, for both formats, the nodes taken and the nodes of each
partition, in order:

  by the lists   what `inspect` says is listed, with what the check makes of the lists beside it
  predicted      the partitions of `inspect`, with those that the check makes of the nodes that our rules take

Prints a row of the table in docs/MEASUREMENTS.md for each model, and on standard error what differs. Exit code 1 if anything
does. `--inspect` takes another command than `cargo xtask inspect`, such as a built binary's.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

import onnx
import onnxruntime
from onnxruntime.tools.mobile_helpers import usability_checker
from onnxruntime.tools.onnx_model_utils import get_producer_consumer_maps

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTS = pathlib.Path(usability_checker.__file__).parent
FORMATS = ["mlprogram", "neuralnetwork"]
# What the check asks of a Transpose by its lists, as `check_coreml_partitions` sets it.
MOST_DIMENSIONS = 5


class Taken:
    """Answers the check as its list of operators would, with the nodes that our rules take."""

    def __init__(self, left):
        self.left = left

    def is_op_supported(self, node):
        # `inspect` names a node by the first output that has a name.
        return next(filter(None, node.output), "") not in self.left


def inspect(command, model, folder):
    """What `inspect` predicts of the model, and the graph that it folded for that."""
    path = pathlib.Path(folder) / "folded.onnx"
    options = [model.resolve(), "--provider", "coreml", "--json", "--folded", path]
    done = subprocess.run([*command, *options], cwd=ROOT, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"`{shlex.join(command)}` could not predict for `{model}`, exit code {done.returncode}")
    coreml = json.loads(done.stdout)["coreml"]
    if coreml["rules"] != onnxruntime.__version__:
        sys.exit(f"expected onnxruntime {coreml['rules']}, whose rules `inspect` has, found {onnxruntime.__version__}")
    return coreml, onnx.load(path).graph


class Check:
    """The check's code on a main graph. Ours does not go into sub-graphs, as the provider does not by default."""

    def __init__(self, graph):
        self.graph = graph
        self.producers, consumers = get_producer_consumer_maps(graph)
        # They are sets of nodes hashed by address: visited as they are, no two runs need have the same partitions.
        place = {id(node): index for index, node in enumerate(graph.node)}
        by_place = lambda nodes: sorted(nodes, key=lambda node: place.get(id(node), len(place)))
        self.consumers = {node: by_place(readers) for node, readers in consumers.items()}

    def partitions(self, supported, most_dimensions):
        """The nodes of each partition, without regard to shapes."""
        info = usability_checker._check_partitioning_for_graph(
            self.graph, self.producers, self.consumers, supported, set(), False, {}, most_dimensions
        )
        sizes = [len(group) for group in info.supported_groups]
        assert sum(sizes) == info.num_supported_nodes
        return sizes


def compare(command, model):
    """The row of the table, and what differs."""
    with tempfile.TemporaryDirectory() as folder:
        coreml, graph = inspect(command, model, folder)
    check, listed, predicted, differences = Check(graph), [], [], []

    def held(what, ours, theirs):
        if ours != theirs:
            differences.append(f"{model}: {what}: expected {theirs} of the check, found {ours}")

    held("nodes", coreml["nodes"], len(graph.node))
    for name, coverage in zip(FORMATS, coreml["formats"], strict=True):
        assert coverage["format"] == name
        lists = usability_checker._SupportedOpsChecker(LISTS / f"coreml_supported_{name}_ops.md")
        ours, theirs = coverage["listed"]["partitions"], check.partitions(lists, MOST_DIMENSIONS)
        held(f"{name}, by the lists, nodes", coverage["listed"]["taken"], sum(theirs))
        held(f"{name}, by the lists", ours, theirs)
        listed.append(f"{coverage['listed']['taken']} / {len(ours)} · {sum(theirs)} / {len(theirs)}")

        left = {output for group in coverage["left"] for output in group["outputs"]}
        ours, theirs = coverage["partitions"], check.partitions(Taken(left), sys.maxsize)
        held(f"{name}, predicted, nodes", coverage["taken"], sum(theirs))
        held(f"{name}, predicted", ours, theirs)
        predicted.append(f"{coverage['taken']} / {len(ours)} · {len(theirs)}")
    return [str(model), f"{coreml['nodes']:,}", *listed, *predicted], differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", metavar="MODEL.onnx", nargs="+", type=pathlib.Path)
    parser.add_argument("--inspect", metavar="COMMAND", default="cargo xtask inspect")
    arguments = parser.parse_args()
    command = shlex.split(arguments.inspect)

    differing = 0
    for model in arguments.models:
        row, differences = compare(command, model)
        print(f"| {' | '.join(row)} |", flush=True)
        for difference in differences:
            print(difference, file=sys.stderr)
        differing += bool(differences)
    if differing:
        sys.exit(f"{differing} of {len(arguments.models)} models differ")


if __name__ == "__main__":
    main()

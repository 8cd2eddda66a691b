"""Measures kokoro-say beside other packages that speak with Kokoro-82M: interleaved, one process each, in one run.

    pip install kokoro-onnx numpy onnx       (into the Python that --python names)
    cargo build --release --package kokoro-say
    python3 benches/peers/run.py --ours target/release/kokoro-say --model BASE.onnx --voices FOLDER \\
        --python VENV/bin/python --onnxruntime libonnxruntime.so --work FOLDER

The peers get the base model and the voices in the form that each wants (prepare.py); kokoro-say has everything inside.
All Rust peers need a C compiler and OpenSSL's headers to build. Their `ort` opens the library of --onnxruntime instead
of downloading one to link: kokoro-micro and kokoro-en need 1.27 or later, which is in the package onnxruntime that
kokoro-onnx brings along. kokoro-en and kokorox build eSpeak NG: with CMake, libclang, and git, which downloads the
library sonic; an installed `espeak-ng` is called by kokoro-en besides. kokoro-micro and kokorox download a Japanese
dictionary while they are built; where that cannot be had, `DOCS_RS=yes` in the environment builds them with an empty
one, and their programs are smaller than a user's.

Printed for each contestant, as median (least to most) over the rounds that follow one for warming up:

    cold start   from starting the process until the first sample of the short text is in hand, as seen from outside;
                 the files are in the system's page cache
    RTF          time for the long text over the length of its audio. A peer speaks it after the short text in the
                 same process, warm; kokoro-say in a process of its own, by its own clock, from the loaded model on
    peak memory  the larger of its processes, as the operating system accounts for it
    program      size of the executable, and of ONNX Runtime beside it
    given        size of model and voices that the process was handed

Threads: --threads for kokoro-say. None of the peers has an option of its own, so that ONNX Runtime takes a thread for
each physical core; measure on a machine with as many cores as --threads.
"""

import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SHORT = "Hello there."
LONG = (
    "The harbour was quiet in the early morning, and the fishermen who had been out all night were mending their "
    "nets beside the wall while gulls walked between the baskets."
)
# Seconds after which a process is stopped: some of the crates wait for ever where the library cannot be loaded.
LIMIT = 120
# The model and the voices that each peer wants; see prepare.py. `None` is the base as it is.
RUST_PEERS = {
    "kokoro-tts": (None, "voices.bincode"),
    "kokoro-micro": (None, "voices.npz"),
    "kokoro-en": ("input_ids.onnx", "voices"),
    "kokorox": ("input_ids.onnx", "voices.npz"),
}
PREPARED = ("input_ids.onnx", "voices", "voices.bincode", "voices.npz")

Sample = collections.namedtuple("Sample", "cold_start rtf audio memory")
Contestant = collections.namedtuple("Contestant", "name measure program given")


def main():
    arguments = parse()
    if not all((arguments.work / name).exists() for name in PREPARED):
        command = [arguments.python, HERE / "prepare.py", arguments.model, arguments.voices, arguments.work]
        subprocess.run(command, check=True)
    contestants = [ours(arguments), *(rust_peer(name, arguments) for name in RUST_PEERS), python_peer(arguments)]

    samples = collections.defaultdict(list)
    for round in range(arguments.rounds + 1):
        # Each round begins with another contestant, so that none is always behind the same neighbour.
        for at in range(len(contestants)):
            contestant = contestants[(round + at) % len(contestants)]
            try:
                sample = contestant.measure()
            except Failure as failure:
                print(f"{contestant.name}: {failure}", file=sys.stderr)
                continue
            print(f"round {round}: {contestant.name}: {sample}", file=sys.stderr)
            if round > 0:
                samples[contestant.name].append(sample)
    library = arguments.onnxruntime.name
    print(f"{arguments.rounds} rounds, {os.cpu_count()} processors; the Rust peers with `{library}`\n")
    print_table(contestants, samples)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", type=absolute, required=True, help="the executable kokoro-say")
    parser.add_argument("--model", type=absolute, required=True, help="the base model, float32")
    parser.add_argument("--voices", type=absolute, required=True, help="a folder that has `af_heart.bin` and others")
    parser.add_argument("--python", type=absolute, required=True, help="a Python that has kokoro-onnx, numpy and onnx")
    parser.add_argument("--onnxruntime", type=absolute, required=True, help="the shared library for the Rust peers")
    parser.add_argument("--work", type=absolute, required=True, help="a folder for all that is built and made")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (default: 5)")
    parser.add_argument("--threads", type=int, default=2, help="for kokoro-say (default: 2)")
    return parser.parse_args()


def absolute(path):
    # Not resolved: the Python of a virtual environment is a link, and knows its packages by where the link is.
    return pathlib.Path(path).absolute()


class Failure(Exception):
    """A contestant did not do what it was asked for; the others go on."""


def ours(arguments):
    program = [arguments.ours, "--voice", "af_heart", "--threads", str(arguments.threads), "--json"]

    def measure():
        with Process([*program, "--stream", SHORT]) as process:
            process.stdout.read(1)
            cold_start = process.elapsed()
            process.stdout.read()
        short_memory = process.memory
        with tempfile.TemporaryDirectory() as folder:
            with Process([*program, "--output", f"{folder}/long.wav", LONG]) as process:
                timings = json.loads(process.stdout.read())
        rtf = timings["real_time_factor"]
        return Sample(cold_start, rtf, timings["audio"], max(short_memory, process.memory))

    return Contestant("kokoro-say", measure, size(arguments.ours), 0)


def rust_peer(name, arguments):
    target = arguments.work / "target"
    manifest = HERE / name / "Cargo.toml"
    command = ["cargo", "build", "--release", "--manifest-path", manifest, "--target-dir", target]
    if subprocess.run(command).returncode:
        return Contestant(name, not_built, None, 0)
    program = target / "release" / f"peer-{name}"
    model, voices = RUST_PEERS[name]
    model = arguments.work / model if model else arguments.model
    environment = {"ORT_DYLIB_PATH": str(arguments.onnxruntime)}
    total = size(program) + size(arguments.onnxruntime)
    return peer(name, [program], model, arguments.work / voices, total, environment)


def not_built():
    raise Failure("could not be built; cargo said why")


def python_peer(arguments):
    command = [arguments.python, HERE / "python.py"]
    return peer("kokoro-onnx (Python)", command, arguments.model, arguments.work / "voices.npz", None, {})


def peer(name, command, model, voices, program, environment):
    def measure():
        spoken = []
        with Process([*command, model, voices, SHORT, LONG], environment) as process:
            for line in process.stdout:
                # Some of the crates print lines of their own.
                if line.startswith(b'{"first_sample_s"'):
                    spoken.append((process.elapsed(), json.loads(line)["seconds"]))
        if len(spoken) != 2:
            raise Failure(f"spoke {len(spoken)} of 2 texts")
        (short_at, _), (long_at, audio) = spoken
        return Sample(short_at, (long_at - short_at) / audio, audio, process.memory)

    return Contestant(name, measure, program, size(model) + size(voices))


class Process:
    """A process with its standard output, its clock, and in the end its peak memory in bytes."""

    def __init__(self, command, environment={}):
        self.command = [str(argument) for argument in command]
        # Nobody is to be slowed down by a library that looks for a network.
        self.environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1"} | environment
        self.errors = tempfile.TemporaryFile()

    def __enter__(self):
        self.started = time.monotonic()
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=pipe, stderr=self.errors)
        self.stdout = self.process.stdout
        self.limit = threading.Timer(LIMIT, self.process.kill)
        self.limit.start()
        return self

    def elapsed(self):
        return time.monotonic() - self.started

    def __exit__(self, kind, *_):
        _, status, usage = os.wait4(self.process.pid, 0)
        self.limit.cancel()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.stdout.close()
        self.memory = usage.ru_maxrss * 1024
        if status and kind in (None, json.JSONDecodeError):
            self.errors.seek(0)
            tail = self.errors.read()[-500:].decode(errors="replace")
            raise Failure(f"exit code {self.process.returncode}: {tail}")


def size(path):
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def print_table(contestants, samples):
    print("| | cold start to first sample, s | RTF | peak memory, MB | program, MB | given, MB | audio, s |")
    print("|---|---|---|---|---|---|---|")
    for contestant in contestants:
        cells = ["could not be run"] + [""] * 5
        if taken := samples[contestant.name]:
            cells = [
                spread([sample.cold_start for sample in taken], 2),
                spread([sample.rtf for sample in taken], 3),
                spread([sample.memory / 1e6 for sample in taken], 0),
                f"{contestant.program / 1e6:.1f}" if contestant.program else "–",
                f"{contestant.given / 1e6:.0f}",
                f"{taken[0].audio:.2f}",
            ]
        print(f"| {contestant.name} | {' | '.join(cells)} |")


def spread(values, digits):
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:.{digits}f} ({least:.{digits}f}–{most:.{digits}f})"


if __name__ == "__main__":
    main()

"""Speaks through the Python package kokoro-onnx: the same arguments and output as the programs of the Rust peers.

    pip install kokoro-onnx
    python3 benches/peers/python.py MODEL VOICES TEXT...

VOICES is an archive of NumPy arrays. Silence at both ends is left in, as the others leave it: else the same work would
be divided by less audio.
"""

import time

STARTED = time.monotonic()  # Before the imports: they are part of what a user waits for.

import json
import sys

from kokoro_onnx import Kokoro


def main(model, voices, *texts):
    kokoro = Kokoro(model, voices)
    for text in texts:
        samples, rate = kokoro.create(text, voice="af_heart", speed=1.0, lang="en-us", trim=False)
        first_sample = time.monotonic() - STARTED
        print(json.dumps({"first_sample_s": round(first_sample, 4), "seconds": len(samples) / rate}), flush=True)


main(*sys.argv[1:])

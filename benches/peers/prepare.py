"""Gives every peer the same model and voices, in the form in which it wants them.

    pip install numpy onnx
    python3 benches/peers/prepare.py BASE.onnx VOICES FOLDER

VOICES is searched for files such as `af_heart.bin`: little-endian float32, shape [510, 1, 256], as Kokoro's own
repository has them; the cache that `cargo xtask fetch` fills will do. Writes below FOLDER:

    input_ids.onnx   the base with its `tokens` and `audio` named `input_ids` and `waveform`, as in other exports
                     (kokoro-en, kokorox); all else stays, and the other peers get the base itself
    voices.npz       all voices as NumPy arrays (kokoro-micro, kokorox, kokoro-onnx)
    voices.bincode   a map from names to nested vectors of floats (kokoro-tts)
    voices/          a file for each voice (kokoro-en)
"""

import pathlib
import shutil
import struct
import sys

import numpy
import onnx

SHAPE = (510, 1, 256)
OTHER_NAMES = {"tokens": "input_ids", "audio": "waveform"}


def main(base, voices, folder):
    folder = pathlib.Path(folder)
    (folder / "voices").mkdir(parents=True, exist_ok=True)
    styles = {}
    for path in sorted(pathlib.Path(voices).rglob("[a-z][fm]_*.bin"), key=lambda path: path.name):
        styles[path.stem] = numpy.fromfile(path, "<f4").reshape(SHAPE)
        shutil.copyfile(path, folder / "voices" / path.name)
    if "af_heart" not in styles:
        sys.exit(f"`af_heart.bin` is not below `{voices}`")
    with open(folder / "voices.npz", "wb") as file:
        numpy.savez(file, **styles)
    (folder / "voices.bincode").write_bytes(bincode(styles))
    onnx.save(renamed(onnx.load(base)), folder / "input_ids.onnx")


def bincode(styles):
    """`HashMap<String, Vec<Vec<Vec<f32>>>>` in the standard configuration of bincode 2."""
    encoded = bytearray(length(len(styles)))
    for name, style in styles.items():
        encoded += length(len(name)) + name.encode() + length(len(style))
        for row in style:
            encoded += length(len(row))
            for vector in row:
                encoded += length(len(vector)) + vector.tobytes()
    return encoded


def length(count):
    """An integer of variable length, up to 65,535: the byte 251 announces two more."""
    return bytes([count]) if count <= 250 else b"\xfb" + struct.pack("<H", count)


def renamed(model):
    for value in [*model.graph.input, *model.graph.output]:
        value.name = OTHER_NAMES.get(value.name, value.name)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [OTHER_NAMES.get(name, name) for name in names]
    onnx.checker.check_model(model)
    return model


if len(sys.argv) != 4:
    sys.exit(__doc__)
main(*sys.argv[1:])

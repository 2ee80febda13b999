"""Makes the data of 'recurrent experiment speech': strings of 3 to 7 digits, spoken by espeak-ng.

A voice is one of espeak-ng's variants (of the throat, so to speak) with an English accent. espeak-ng ignores some
variants and accents without a word, so every voice speaks a word first, and of voices with equal samples only one is
used. Variants that have equal samples in any accent are one family, and so are variants whose names differ only in a
number. Each family belongs to one part of the data, so that the validation and the held-out part are spoken by voices
that the training part does not have. Speed, pitch and a quiet noise are drawn for each string.

The features are the logarithms of a mel spectrum: windows of 25 ms every 10 ms, 24 bands from 100 to 8000 Hz. Three
windows next to each other are one step of 72 features. Each string's features are shifted and scaled to a mean of 0 and
a standard deviation of 1 in each band. So that few voices teach what many would, the training part is varied: each
string's bands are moved up or down by a factor, as if the throat were shorter or longer (Jaitly and Hinton 2013), and
an echo is added, as of a room (Ko and others 2017).

The file is a safetensors file: features [steps of all strings, 72], and for each string its steps, its count of digits,
its voice and its part (0 training, 1 validation, 2 held out); the digits of all strings; the names of the voices.
"""

import argparse
import concurrent.futures
import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

try:
    import numpy as np
except ImportError:
    sys.exit("speech_data.py needs NumPy: Scripts/speech-data installs it")

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
# "en" is British. With the name "en-gb", espeak-ng 1.51 ignores the variant, and its "en-us-nyc" sounds like "en-us".
ACCENTS = ["en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029"]
PARTS = ["training", "validation", "held-out"]
BANDS, STACKED, WINDOW, HOP, LOWEST, HIGHEST = 24, 3, 0.025, 0.010, 100, 8000


def speak(text, voice, speed, pitch):
    """The samples, from -1 to 1, and their rate."""
    wave = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    if wave[:4] != b"RIFF" or len(wave) < 1000:
        sys.exit(f"espeak-ng gave {len(wave)} bytes for the voice {voice}, expected a WAV file with speech")
    # The sizes in the header of a stream are not known, so the samples are all that follows it.
    rate = int.from_bytes(wave[24:28], "little")
    return np.frombuffer(wave[44 : len(wave) // 2 * 2], "<i2").astype(np.float64) / 32768, rate


@functools.cache
def mel_filters(rate, size, warp):
    """[bands, size / 2 + 1]: triangles of equal widths on the mel scale, whose frequencies are multiplied by warp."""
    to_mel = lambda frequency: 2595 * np.log10(1 + frequency / 700)
    mels = np.linspace(to_mel(LOWEST), to_mel(HIGHEST), BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1) * warp
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


def features(samples, rate, warp):
    """[steps, STACKED * BANDS]"""
    window, hop = round(WINDOW * rate), round(HOP * rate)
    size = 1 << (window - 1).bit_length()
    count = 1 + (len(samples) - window) // hop
    frames = samples[np.arange(count)[:, None] * hop + np.arange(window)] * np.hanning(window)
    power = np.abs(np.fft.rfft(frames, size)) ** 2
    logs = np.log(power @ mel_filters(rate, size, warp).T + 1e-10)
    logs = (logs - logs.mean(0)) / np.maximum(logs.std(0), 1e-3)
    steps = count // STACKED
    return logs[: steps * STACKED].reshape(steps, STACKED * BANDS).astype("<f2")


def utterance(job):
    """The features of a job of `draw`."""
    samples, rate = speak(" ".join(WORDS[digit] for digit in job["digits"]), job["voice"], job["speed"], job["pitch"])
    delay = round(job["delay"] * rate)
    samples[delay:] += job["echo"] * samples[:-delay]
    noise = np.random.default_rng(job["noise_seed"]).standard_normal(len(samples))
    return features(samples + noise * job["noise"] * np.sqrt(np.mean(samples**2)), rate, job["warp"])


@contextlib.contextmanager
def workers():
    """A thread for each core, which runs espeak-ng. After an error, work that has not begun is dropped."""
    pool = concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def sound(voice):
    """A hash of a word that a voice speaks at a fixed speed and pitch."""
    return hashlib.sha256(speak("seven", voice, 160, 50)[0].tobytes()).hexdigest()


def families():
    """The voices that sound different, by the families of their variants."""
    listed = subprocess.run(["espeak-ng", "--voices=variant"], stdout=subprocess.PIPE, check=True, text=True).stdout
    # A file's name may have spaces. Other languages may follow it, in parentheses.
    variants = sorted(re.findall(r"!v/(.+?)(?:\s{2,}|\s*\(|\s*$)", listed, re.MULTILINE))
    voices = [(accent, variant) for accent in ACCENTS for variant in variants]
    with workers() as pool:
        sounds = list(pool.map(sound, map("+".join, voices)))
    # A variant belongs to the family of its name without a number, and families with an equal sound are united.
    family = {variant: re.sub(r"\d+$", "", variant).lower() for variant in variants}
    voice_of, members = {}, {}
    for voice, heard in zip(voices, sounds):
        known, new = family[voice_of.setdefault(heard, voice)[1]], family[voice[1]]
        if known != new:
            family = {variant: known if name == new else name for variant, name in family.items()}
    for accent, variant in voice_of.values():
        members.setdefault(family[variant], []).append(f"{accent}+{variant}")
    print(f"{len(voice_of)} of {len(voices)} voices sound different, {len(members)} families")
    return [members[name] for name in sorted(members)]


def draw(counts, seed):
    """What is spoken: all that is random is drawn here, in a fixed order."""
    random, all_families = np.random.default_rng(seed), families()
    if len(all_families) < 10:
        sys.exit(f"espeak-ng has {len(all_families)} families of voices, expected at least 10")
    order = random.permutation(len(all_families))
    cuts = [0, *(round(len(order) * part) for part in (0.7, 0.8)), len(order)]
    jobs = []
    for part, count in enumerate(counts):
        voices = [voice for family in order[cuts[part] : cuts[part + 1]] for voice in all_families[family]]
        for _ in range(count):
            jobs.append(
                {
                    "part": part,
                    "digits": random.integers(0, 10, random.integers(3, 8)).tolist(),
                    "voice": str(random.choice(voices)),
                    "speed": int(random.integers(120, 221)),
                    "pitch": int(random.integers(15, 86)),
                    "warp": round(float(np.exp(random.uniform(-0.35, 0.35))), 2) if part == 0 else 1,
                    "delay": float(random.uniform(0.02, 0.2)),
                    "echo": float(random.uniform(0, 0.8)) if part == 0 else 0,
                    "noise": float(10 ** -random.uniform(1, 2)),
                    "noise_seed": int(random.integers(1 << 32)),
                }
            )
    return jobs


def write(path, tensors, metadata):
    """A safetensors file (github.com/huggingface/safetensors)."""
    types = {"<f2": "F16", "<f4": "F32"}
    header, end = {"__metadata__": metadata}, 0
    for name, values in tensors.items():
        header[name] = {
            "dtype": types[values.dtype.str],
            "shape": list(values.shape),
            "data_offsets": [end, end + values.nbytes],
        }
        end += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in tensors.values():
            file.write(np.ascontiguousarray(values).tobytes())


def main():
    parser = argparse.ArgumentParser(
        prog="Scripts/speech-data",
        description="Writes digits that espeak-ng speaks, for 'recurrent experiment speech'.",
    )
    parser.add_argument("file", help="the safetensors file to write")
    for part, count in zip(PARTS, (6000, 300, 600)):
        parser.add_argument(f"--{part}", type=int, default=count, metavar="K", help=f"strings, {count} by default")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal data, 1 by default")
    options = parser.parse_args()
    counts = [options.training, options.validation, options.held_out]
    for part, count in zip(PARTS, counts):
        if count < 1:
            parser.error(f"--{part} is {count}, expected at least 1")
    if shutil.which("espeak-ng") is None:
        sys.exit("speech_data.py needs espeak-ng: Scripts/speech-data or 'apt-get install espeak-ng' installs it")
    # A link stays a link. A device is not a place for a file.
    path = os.path.realpath(options.file)
    if os.path.exists(path) and not os.path.isfile(path):
        sys.exit(f"cannot write {options.file}: it is not a regular file")
    # The data replace an older file only when they are complete. If the file cannot be written, this fails before
    # minutes of work are done.
    part_path = path + ".part"
    try:
        with open(part_path, "wb"):
            pass
        make(part_path, counts, options.seed)
        os.replace(part_path, path)
    except BaseException as error:
        if os.path.exists(part_path):
            os.remove(part_path)
        if isinstance(error, OSError):
            sys.exit(f"cannot make {options.file}: {error.strerror}")
        if isinstance(error, KeyboardInterrupt):
            sys.exit(130)
        raise
    print(f"wrote {options.file}")


def make(path, counts, seed):
    """Speaks `counts` strings for the parts, and writes the file."""
    jobs = draw(counts, seed)
    all_features = []
    with workers() as pool:
        for index, steps in enumerate(pool.map(utterance, jobs)):
            all_features.append(steps)
            if sys.stderr.isatty():
                print(f"\r{index + 1} of {len(jobs)} strings", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    names = sorted({job["voice"] for job in jobs})
    number = {name: index for index, name in enumerate(names)}
    write(
        path,
        {
            "features": np.concatenate(all_features),
            "steps": np.array([len(steps) for steps in all_features], "<f4"),
            "digit_counts": np.array([len(job["digits"]) for job in jobs], "<f4"),
            "digits": np.array([digit for job in jobs for digit in job["digits"]], "<f4"),
            "voices": np.array([number[job["voice"]] for job in jobs], "<f4"),
            "parts": np.array([job["part"] for job in jobs], "<f4"),
        },
        {"format": "swift-recurrent speech 1", "voices": "\n".join(names), "seed": str(seed)},
    )
    for part, name in enumerate(PARTS):
        voices = {job["voice"] for job in jobs if job["part"] == part}
        steps = sum(len(all_features[index]) for index, job in enumerate(jobs) if job["part"] == part)
        seconds = steps * STACKED * HOP
        print(f"{name}: {counts[part]} strings, {seconds / 60:.0f} minutes of {len(voices)} voices")


if __name__ == "__main__":
    main()

//! The program as its users run it: what it writes where, and how it ends.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

mod common;

use common::{HELLO, Room, names_in, run_with, succeeded, text};

/// The samples of a WAV file, and a look at its format.
fn samples(wav: &[u8]) -> Vec<i16> {
    let mut reader = hound::WavReader::new(wav).unwrap();
    let format = reader.spec();
    assert_eq!((format.channels, format.sample_rate, format.bits_per_sample), (1, 24_000, 16));
    reader.samples().map(Result::unwrap).collect()
}

#[test]
fn every_way_of_writing_gives_the_same_sound() {
    let room = Room::new();
    let file = room.path("hello.wav");
    let output = succeeded(room.say().args(["--phonemes", HELLO, "--json", "-o"]).arg(&file));
    let from_file = fs_err::read(&file).unwrap();
    let spoken = samples(&from_file);
    assert!(spoken.len() > 12_000, "{} samples are no sentence", spoken.len());
    assert!(spoken.iter().any(|sample| sample.unsigned_abs() > 1_000), "silence");
    assert_eq!(room.names(), ["hello.wav", "home"], "a partial file was left behind");

    let timings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| timings[key].as_f64().unwrap_or_else(|| panic!("no `{key}` in {timings}"));
    assert!(number("load") > 0.0 && number("first_sample") > number("load"), "{timings}");
    assert!((number("audio") - spoken.len() as f64 / 24_000.0).abs() < 1e-6, "{timings}");
    assert!((number("real_time_factor") - number("synthesis") / number("audio")).abs() < 1e-9, "{timings}");
    assert_eq!(timings["utterances"], 1);

    let output = succeeded(room.say().args(["--phonemes", HELLO, "--json"]));
    assert!(output.stdout == from_file, "the file on standard output differs");
    assert!(text(&output.stderr).starts_with("{\"load\":"), "{}", text(&output.stderr));

    // The input from the other side, too, as a line.
    let output = room.say_to(&["--phonemes", "--stream"], format!("{HELLO}\n").as_bytes());
    let streamed: Vec<_> =
        output.stdout.as_chunks().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect();
    assert!(streamed == spoken, "the streamed sound differs");
}

#[test]
fn subtitles_and_words_are_written_beside_the_sound() {
    let room = Room::new();
    let mut say = room.say();
    say.args(["It cost $5.3 billion. Up 10%!", "--json", "-o"]).arg(room.path("a.wav"));
    say.arg("--srt").arg(room.path("a.srt")).arg("--vtt").arg(room.path("a.vtt"));
    let output = succeeded(&mut say);
    assert_eq!(room.names(), ["a.srt", "a.vtt", "a.wav", "home"]);
    let srt = fs_err::read_to_string(room.path("a.srt")).unwrap();
    let lines: Vec<_> = srt.lines().collect();
    assert_eq!(
        [lines[0], lines[2], lines[3], lines[4], lines[6]],
        ["1", "It cost $5.3 billion.", "", "2", "Up 10%!"]
    );
    let vtt = fs_err::read_to_string(room.path("a.vtt")).unwrap();
    assert!(vtt.starts_with("WEBVTT\n\n00:00:0"), "{vtt}");

    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let words = json["words"].as_array().unwrap();
    let texts: Vec<_> = words.iter().map(|word| word["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["It", "cost", "$5.3 billion", "Up", "10%"]);
    let time = |index: usize, key: &str| words[index][key].as_f64().unwrap();
    assert!((0..4).all(|index| time(index, "end") <= time(index + 1, "start")), "{json}");
    assert!(time(4, "end") < json["audio"].as_f64().unwrap());
    assert_eq!(words[0]["phonemes"][0]["start"], words[0]["start"]);
    // The first cue is the first sentence, to the millisecond.
    let stamp = |seconds: f64| format!("00:00:{seconds:06.3}").replace('.', ",");
    assert_eq!(lines[1], format!("{} --> {}", stamp(time(0, "start")), stamp(time(2, "end"))));
}

#[test]
fn rate_and_format_are_chosen_and_notices_told() {
    let room = Room::new();
    let file = room.path("hello.wav");
    let lexicon = room.path("names.txt");
    fs_err::write(&lexicon, "Kokoro kˈOkəɹO\n").unwrap();
    let mut say = room.say();
    say.args([
        "Kokoro ☃ is 50% off.",
        "--rate",
        "8000",
        "--float",
        "--trim",
        "--loudness",
        "-20",
        "--lexicon",
    ]);
    let output = succeeded(say.arg(&lexicon).arg("-o").arg(&file));
    assert_eq!(text(&output.stderr), "notice: line 1, column 8: `☃` has no known reading\n");
    let mut reader = hound::WavReader::open(&file).unwrap();
    let format = reader.spec();
    assert_eq!((format.sample_rate, format.bits_per_sample), (8_000, 32));
    assert_eq!(format.sample_format, hound::SampleFormat::Float);
    let samples: Vec<f32> = reader.samples().map(Result::unwrap).collect();
    assert!(samples.len() > 8_000, "{} samples are no sentence", samples.len());
    let rms = (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt();
    assert!((0.03..0.3).contains(&rms), "{rms}");
    assert_eq!(room.names(), ["hello.wav", "home", "names.txt"]);
}

#[test]
fn text_is_spoken_in_a_mix_of_voices() {
    let room = Room::new();
    let chapter = "It was late. The rain had stopped, and nobody was in the street.";
    let output = room.say_to(&["--voice", "af_heart+am_adam:0.3"], chapter.as_bytes());
    let seconds = samples(&output.stdout).len() as f64 / 24_000.0;
    assert!((2.0..12.0).contains(&seconds), "{seconds} s");
}

#[test]
fn what_cannot_be_said_ends_with_2_and_no_file() {
    let room = Room::new();
    let file = room.path("hello.wav");
    for (arguments, expected) in [
        (&["--voice", "af_hart", "Hello"][..], "af_heart"),
        (&["--voice", "af_heart:much", "Hello"], "much"),
        (&["--speed", "0", "Hello"], "`0`"),
        (&["--speed", "-1", "Hello"], "`-1`"),
        (&["--speed", "NaN", "Hello"], "`NaN`"),
        (&["--speed", "fast", "Hello"], "fast"),
        (&[""], "error: "),
        (&["🎉🎉"], "hint: give a text"),
        (&["--strict", "One 🎉, two ☃."], "line 1, column 12: `☃`"),
        (&["--voice", "ff_siwis", "Bonjour."], "`--phonemes`"),
        (&["--rate", "96000", "Hello"], "96000"),
        (&["--loudness", "5", "Hello"], "`5`"),
        (&["--lexicon", "/nowhere/at/all", "Hello"], "/nowhere/at/all"),
        (&["--phonemes", "həlˈO #"], "`#`"),
        (&["--phonemes", ""], "error: "),
    ] {
        let output = room.say().args(arguments).arg("-o").arg(&file).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        let error = said.lines().find(|line| !line.starts_with("notice: ")).unwrap_or_default();
        assert!(error.starts_with("error: ") && said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("Synthesizer::"), "a hint speaks of Rust: {said}");
        assert_eq!(room.names(), ["home"], "{arguments:?}");
    }
    let missing = room.path("missing").join("hello.wav");
    let output = room.say().arg("Hello").arg("-o").arg(&missing).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(&missing.display().to_string()), "{}", text(&output.stderr));
    let output = run_with(room.say().arg("--stream"), &[0xff, 0xfe, b'a']);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("UTF-8"), "{}", text(&output.stderr));
}

#[test]
fn a_library_that_is_none_ends_with_3() {
    let room = Room::new();
    let library = room.path("libonnxruntime.so");
    let run = || room.say().args(["--phonemes", HELLO]).env("KOKORO_ONNXRUNTIME", &library).output().unwrap();
    for (what, content) in [("missing", None), ("text", Some("this is no library"))] {
        if let Some(content) = content {
            fs_err::write(&library, content).unwrap();
        }
        let output = run();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{what}");
        assert!(text(&output.stderr).contains("libonnxruntime.so"), "{what}: {}", text(&output.stderr));
    }
}

#[cfg(unix)]
#[test]
fn telemetry_is_off_before_a_library_is_loaded() {
    let room = Room::new();
    let (library, source) = (room.path("libonnxruntime.so"), room.path("library.c"));
    // It runs as soon as it is loaded, and is refused after: it is no ONNX Runtime.
    let code = "#include <stdio.h>\n#include <stdlib.h>\n\
        __attribute__((constructor)) static void loaded(void) {\n\
        const char *value = getenv(\"ORT_DISABLE_TELEMETRY\");\n\
        fprintf(stderr, \"loaded with `%s`\\n\", value ? value : \"\");\n}\n";
    fs_err::write(&source, code).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("this test needs a C compiler named `cc`").success());
    let run = || {
        let mut command = room.say();
        command.args(["--phonemes", HELLO]).env("KOKORO_ONNXRUNTIME", &library);
        command
    };
    for (value, expected) in [(None, "loaded with `1`"), (Some("0"), "loaded with `0`")] {
        let output = run().envs(value.map(|value| ("ORT_DISABLE_TELEMETRY", value))).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let said = text(&output.stderr);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn the_voices_are_listed_in_a_table() {
    let output = succeeded(Room::new().say().arg("--list-voices"));
    let table = text(&output.stdout);
    let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 55, "{table}");
    assert_eq!(lines[0], ["VOICE", "LANGUAGE", "GENDER"]);
    assert!(lines.iter().all(|line| line.len() == 3), "{table}");
    assert!(lines.iter().any(|line| line == &["bm_george", "en-gb", "male"]), "{table}");
}

#[test]
fn the_options_are_explained_and_completed() {
    let room = Room::new();
    let help = text(&succeeded(room.say().arg("--help")).stdout);
    for part in ["Examples:", "Environment:", "Exit codes:", "--list-voices", "KOKORO_ONNXRUNTIME"] {
        assert!(help.contains(part), "{part} is not in:\n{help}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&succeeded(room.say().args(["--completions", shell])).stdout);
        assert!(script.contains("kokoro-say") && script.contains("list-voices"), "{shell}: {script}");
    }
}

#[test]
fn sound_is_not_written_to_a_terminal() {
    let room = Room::new();
    // `script` runs a command on a terminal of its own.
    let command = format!("{} --phonemes {HELLO:?}", env!("CARGO_BIN_EXE_kokoro-say"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).stdin(Stdio::null());
    let Ok(output) = script.output() else {
        println!("skipped: this machine has no `script`");
        return;
    };
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains("not written to a terminal"), "{}", text(&output.stdout));
    assert_eq!(room.names(), ["home"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let room = Room::new();
    let long = [HELLO; 6].join(" ");
    let mut child = room
        .say()
        .args(["--phonemes", "--stream", &long])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    let mut reader = child.stdout.take().unwrap();
    reader.read_exact(&mut first).unwrap();
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    use std::os::unix::process::ExitStatusExt as _;

    // Not the signal of Ctrl-C: a job in the background starts with that one ignored, and so do its children.
    const TERMINATE: i32 = 15;
    let room = Room::new();
    let long = [HELLO; 20].join(" ");
    let mut command = room.say();
    command.args(["--phonemes", &long, "-o"]).arg(room.path("long.wav"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    // The library is unpacked: from then on it loads and speaks for seconds.
    while room.libraries().is_empty() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().signal(), Some(TERMINATE));
    // What was spoken until then may be there, but never under the name of the whole.
    let others: Vec<_> = room.names().into_iter().filter(|name| name != "home").collect();
    assert!(
        others.len() <= 1
            && others.iter().all(|name| Path::new(name).extension().is_some_and(|it| it == "part")),
        "{others:?}"
    );
}

#[test]
fn two_processes_that_unpack_at_once_both_speak() {
    let room = Room::new();
    let spawn = |name: &str| {
        let mut command = room.say();
        command.args(["--phonemes", HELLO, "--threads", "1", "-o"]).arg(room.path(name));
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = [spawn("a.wav"), spawn("b.wav")];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert!(fs_err::read(room.path("a.wav")).unwrap() == fs_err::read(room.path("b.wav")).unwrap());
    let library: [PathBuf; 1] = room.libraries().try_into().unwrap();
    assert_eq!(names_in(library[0].parent().unwrap()).len(), 2, "the library and the lock");
}

#[test]
fn a_planted_library_is_replaced() {
    let room = Room::new();
    let speak = || succeeded(room.say().args(["--phonemes", HELLO]));
    let first = speak();
    let [library]: [PathBuf; 1] = room.libraries().try_into().unwrap();
    let good = fs_err::read(&library).unwrap();
    let mut planted = good.clone();
    planted[good.len() / 2] ^= 1;
    fs_err::write(&library, &planted).unwrap();
    assert!(speak().stdout == first.stdout);
    assert!(fs_err::read(&library).unwrap() == good, "the planted library is still there");
}

/// Runs the program where `folder` is on a file system that cannot be written to, not even by root. `None` where this
/// machine allows no such thing.
fn with_read_only(folder: &Path, command: &Command) -> Option<Output> {
    let mut shell = Command::new("unshare");
    shell.args([
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        "mount -t tmpfs -o ro none \"$0\" || exit 99; exec \"$@\"",
    ]);
    shell.arg(folder).arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    let output = shell.env("PATH", std::env::var_os("PATH")?).output().ok()?;
    let refused = output.status.code() == Some(99) || text(&output.stderr).starts_with("unshare: ");
    (!refused).then_some(output)
}

#[test]
fn a_read_only_cache_does_not_keep_it_from_speaking() {
    let room = Room::new();
    let mut command = room.say();
    command.args(["--phonemes", HELLO]);
    let Some(output) = with_read_only(&room.path("home"), &command) else {
        println!("skipped: `unshare --mount` is not allowed here");
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(samples(&output.stdout).len() > 12_000);
    assert_eq!(room.libraries(), Vec::<PathBuf>::new());
}

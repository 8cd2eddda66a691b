//! `kokoro-say`: speaks text from one executable.

use std::io::{self, Read as _};
use std::process::ExitCode;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser as _};
use kokoro_model::{METADATA, Runtime, Synthesizer, SynthesizerOptions, phonemize};

use arguments::Arguments;
use failure::{Usage, exit_code, is_broken_pipe};
use output::Output;
use timings::Clock;

mod arguments;
mod failure;
mod output;
mod telemetry;
mod timings;
mod voices;

fn main() -> ExitCode {
    let clock = Clock::start();
    let arguments = Arguments::parse();
    match run(&arguments, clock) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has had enough of it.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

fn run(arguments: &Arguments, clock: Clock) -> Result<()> {
    if let Some(shell) = arguments.completions {
        clap_complete::generate(shell, &mut Arguments::command(), "kokoro-say", &mut io::stdout());
        return Ok(());
    }
    if arguments.list_voices {
        return voices::list(io::stdout().lock());
    }
    let output = Output::choose(arguments)?;
    // Before standard input is read: what is read is gone for the program that takes the place of this one.
    telemetry::switch_off()?;
    let mut text = match &arguments.text {
        Some(text) => text.clone(),
        None => read_text()?,
    };
    if arguments.phonemes {
        // The model has no symbol for the end of a line, and every line of a file has one.
        text = text.lines().collect::<Vec<_>>().join(" ");
    }
    speak(arguments, &text, output, clock)
}

fn speak(arguments: &Arguments, text: &str, mut output: Output, mut clock: Clock) -> Result<()> {
    let speaker = &arguments.voice;
    let styles = speaker.styles()?;
    // The dictionaries are read while the model is: each takes one core some tenths of a second. Should they fail, so
    // will the stream, which tells why.
    let language = speaker.language();
    let dictionaries = (!arguments.phonemes).then(|| std::thread::spawn(move || phonemize("", language)));
    let runtime = Runtime::load()?;
    let options = SynthesizerOptions::for_artifact(&METADATA).threads(arguments.threads);
    let mut synthesizer = Synthesizer::embedded_with(&runtime, &options)?;
    drop(dictionaries.map(JoinHandle::join));
    clock.loaded();
    let utterances = if arguments.phonemes {
        synthesizer.stream_phonemes(text, &styles, arguments.speed)?
    } else {
        synthesizer.stream(text, speaker.clone(), arguments.speed)?
    };
    for utterance in utterances {
        let utterance = utterance?;
        clock.spoke(&utterance.audio);
        output.take(utterance.audio)?;
    }
    let shows_audio = output.is_standard_output();
    output.finish()?;
    if arguments.json {
        clock.print(shows_audio)?;
    }
    Ok(())
}

fn read_text() -> Result<String> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
    String::from_utf8(bytes).context("the text on standard input is not UTF-8").context(Usage)
}

//! `kokoro-say`: speaks text from one executable.
//!
//! There is no signal handler: a file has its name only when it is whole, so a run may be killed at
//! any moment.

use std::io::{self, Read as _};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser as _};
use kokoro_model::{
    Delivery, Error, ErrorKind, Lexicon, METADATA, Reader, Runtime, Script, Synthesizer, SynthesizerOptions,
    Unknown,
};

use arguments::Arguments;
use failure::{Usage, exit_code, is_broken_pipe, shown};
use output::Output;
use progress::Progress;
use subtitles::{Form, Subtitles};
use timings::Clock;

mod arguments;
mod failure;
mod output;
mod progress;
mod subtitles;
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
            eprintln!("{}", shown(&error));
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
    let subtitles = subtitles(arguments)?;
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
    speak(arguments, &text, output, subtitles, clock)
}

/// The subtitle files that the command line asks for.
fn subtitles(arguments: &Arguments) -> Result<Vec<Subtitles>> {
    let files = [(&arguments.srt, Form::Srt), (&arguments.vtt, Form::Vtt)];
    files.into_iter().filter_map(|(path, form)| Some(Subtitles::new(path.as_ref()?, form))).collect()
}

fn speak(
    arguments: &Arguments,
    text: &str,
    mut output: Output,
    mut subtitles: Vec<Subtitles>,
    mut clock: Clock,
) -> Result<()> {
    let speaker = &arguments.voice;
    let mut delivery = Delivery::new(arguments.speed).trim(arguments.trim);
    if let Some(lufs) = arguments.loudness {
        delivery = delivery.loudness(lufs);
    }
    delivery.check()?;
    if text.trim().is_empty() {
        return Err(Error::from(ErrorKind::NothingToSay).into());
    }
    // Styles of a mix, and that there are voices inside.
    speaker.styles()?;
    let reader = reader(arguments)?;
    // The dictionaries are read while the model is: each takes one core some tenths of a second. What is wrong with the text is
    // known before the model is there.
    let (phonemes, given) = (arguments.phonemes, text.to_owned());
    let read = move || if phonemes { Script::from_phonemes(&given) } else { reader.read(&given) };
    let reading = thread::spawn(read);
    let threads = arguments.threads;
    let loading = thread::spawn(move || {
        let runtime = Runtime::load()?;
        let options = SynthesizerOptions::for_artifact(&METADATA).threads(threads);
        Synthesizer::embedded_with(&runtime, &options)
    });
    let script = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    for notice in script.notices() {
        eprintln!("notice: {notice}");
    }
    let loaded = loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let mut synthesizer = loaded?;
    clock.loaded();
    let mut progress = Progress::new(&output);
    let mut utterances = synthesizer.speak(script, speaker.clone(), delivery)?;
    while let Some(utterance) = utterances.next() {
        let utterance = utterance?;
        // Before its sound, so that none is written if there are no times.
        for file in &mut subtitles {
            file.take(text, utterance.words()?, clock.audio().as_secs_f64())?;
        }
        if arguments.json
            && let Ok(words) = utterance.words()
        {
            clock.list(words);
        }
        clock.spoke(&utterance.audio);
        output.take(&utterance.audio)?;
        progress.show(utterances.progress(), &clock);
    }
    progress.end();
    let shows_audio = output.is_standard_output();
    output.finish()?;
    subtitles.into_iter().try_for_each(Subtitles::finish)?;
    if arguments.json {
        clock.print(shows_audio)?;
    }
    Ok(())
}

/// How the text is to be read.
fn reader(arguments: &Arguments) -> Result<Reader> {
    let unknown = if arguments.strict { Unknown::Error } else { Unknown::Skip };
    let reader = Reader::new(arguments.voice.language()).unknown(unknown);
    let Some(path) = &arguments.lexicon else { return Ok(reader) };
    let named = || format!("cannot take the lexicon `{}`", path.display());
    let text = fs_err::read_to_string(path).with_context(named).context(Usage)?;
    let lexicon: Lexicon = text.parse().with_context(named)?;
    Ok(reader.lexicon(lexicon))
}

fn read_text() -> Result<String> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
    String::from_utf8(bytes).context("the text on standard input is not UTF-8").context(Usage)
}

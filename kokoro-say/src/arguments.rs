//! The command line.

use std::path::PathBuf;

use clap::Parser;
use clap_complete::Shell;
use kokoro_model::{SAMPLE_RATE, Speaker};

/// Speaks text: a WAV file, or sound for a player, from one executable
///
/// The speech model Kokoro-82M, its voices and ONNX Runtime are inside: nothing is downloaded, and nothing needs to
/// be installed.
#[derive(Debug, Parser)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[command(version, max_term_width = 100, after_help = EXAMPLES, after_long_help = LONG)]
pub struct Arguments {
    /// What to say; without it, standard input is read to its end
    #[arg(value_name = "TEXT")]
    pub text: Option<String>,

    /// The WAV file to write; `-` is standard output, which is also taken without this option
    ///
    /// Mono, 16-bit PCM and 24,000 samples per second unless told otherwise. It is written while it is spoken, and appears under
    /// its name only when it is whole: until then it ends in `.part`.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// A voice, or several mixed by weight such as `af_heart+am_adam:0.3`
    ///
    /// A voice without a weight has what the others leave of 1; where all have one, their relation counts. The
    /// language is that of the first voice: text in American or British English, phonemes in any.
    #[arg(short, long, value_name = "VOICE", default_value = "af_heart")]
    pub voice: Speaker,

    /// How fast to speak, from 0.1 to 10
    #[arg(short, long, value_name = "FACTOR", default_value_t = 1.0, allow_negative_numbers = true)]
    pub speed: f32,

    /// How many threads to use; 0 is one for each physical core
    #[arg(short, long, value_name = "COUNT", default_value_t = 0)]
    pub threads: usize,

    /// Take the input as phonemes (the symbols of the model, mostly IPA), not as text
    #[arg(long)]
    pub phonemes: bool,

    /// Refuse text with words or symbols of which no reading is known, instead of leaving them out with a notice
    #[arg(long)]
    pub strict: bool,

    /// A file of words and their phonemes, one a line, such as `Kokoro kˈOkəɹO`
    ///
    /// They hold before the dictionaries. Behind a tab, a word may have spaces in it; lines that begin with `# ` say nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "phonemes")]
    pub lexicon: Option<PathBuf>,

    /// Take off the silence before the first and behind the last sound
    #[arg(long)]
    pub trim: bool,

    /// Bring the speech to this loudness in LUFS, such as -16 for podcasts
    #[arg(long, value_name = "LUFS", allow_negative_numbers = true)]
    pub loudness: Option<f32>,

    /// Samples per second, from 8000 to 48000
    #[arg(long, value_name = "HERTZ", default_value_t = SAMPLE_RATE)]
    pub rate: u32,

    /// Write samples as floats of 32 bits, not as integers of 16
    #[arg(long)]
    pub float: bool,

    /// Write raw sound to standard output, sentence by sentence: little-endian, mono, signed 16-bit and 24 kHz unless told otherwise
    #[arg(long, conflicts_with = "output")]
    pub stream: bool,

    /// A file of subtitles to write, as `SubRip` has them
    #[arg(long, value_name = "FILE")]
    pub srt: Option<PathBuf>,

    /// A file of subtitles to write, as `WebVTT` has them
    #[arg(long, value_name = "FILE")]
    pub vtt: Option<PathBuf>,

    /// Print how long everything took and when each word is said, as JSON, to standard output, or to standard error if that is
    /// taken by sound
    #[arg(long)]
    pub json: bool,

    /// List the voices with language and gender
    #[arg(long, conflicts_with_all = ["text", "output", "stream", "completions"])]
    pub list_voices: bool,

    /// Print a script that completes the options of this program in a shell
    #[arg(long, value_name = "SHELL", conflicts_with_all = ["text", "output", "stream"])]
    pub completions: Option<Shell>,
}

const EXAMPLES: &str = "\
Examples:
  kokoro-say \"Hello there\" -o hello.wav
  kokoro-say --voice af_heart+am_adam:0.3 < chapter.txt > chapter.wav
  kokoro-say --stream < chapter.txt | aplay -t raw -f S16_LE -c 1 -r 24000";

const LONG: &str = "\
Examples:
  Say a sentence:
      kokoro-say \"Hello there\" -o hello.wav
  Read a chapter with a mix of two voices:
      kokoro-say --voice af_heart+am_adam:0.3 < chapter.txt > chapter.wav
  Hear it while it is being spoken, with the player of ALSA, SoX or FFmpeg:
      kokoro-say --stream < chapter.txt | aplay -t raw -f S16_LE -c 1 -r 24000
      kokoro-say --stream < chapter.txt | play -t raw -e signed -b 16 -c 1 -r 24000 -
      kokoro-say --stream < chapter.txt | ffplay -nodisp -autoexit -f s16le -ar 24000 -
  Say phonemes, slowly, and see how long it took:
      kokoro-say --phonemes \"həlˈO wˈɜɹld.\" --speed 0.8 --json -o hello.wav
  Complete the options in bash, for this session:
      source <(kokoro-say --completions bash)

Text, beside words:
  numbers, dates, times, money, units, addresses and marks of Markdown are read as a reader would,
  as American or British English by the voice. What no reading is known for is left out, and told
  with its line and column on standard error
      [Kokoro](/kˈOkəɹO/)   the phonemes of a word
      [pause 0.5s]          a pause

Timings of --json, in seconds:
  load              from the start of the program until the model was ready
  first_sample      from the start of the program until the first sentence was spoken
  synthesis         spent speaking
  audio             how long the speech lasts
  real_time_factor  synthesis over audio; less than 1 is faster than speech
  words             text, start and end of each word in the sound, and its phonemes with theirs

Environment:
  KOKORO_ONNXRUNTIME     a library of ONNX Runtime to use instead of the one inside
  KOKORO_MODEL_CACHE     the folder below which the library inside is unpacked; else `kokoro-model`
                         in the user's cache folder. If nothing can be unpacked there, it is loaded
                         from memory (Linux) or from a temporary folder
  ORT_DISABLE_TELEMETRY  if it is not set, this program starts itself again with 1 in it

Exit codes:
  0  done, also when the reader of standard output went away
  2  the command line or the input asks for what cannot be: an unknown voice, a speed out of range,
     empty text, a phoneme that the model does not know; with --strict, what has no known reading
  3  ONNX Runtime was not found, is damaged, or could not be loaded
  4  no model inside, or one that is not what it should be
  5  anything else, such as a full disk";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_options_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_line_of_the_help_is_wider_than_a_page() {
        for line in LONG.lines().chain(EXAMPLES.lines()) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

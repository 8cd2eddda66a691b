//! The smoke gate: the model speaks, and refuses what it cannot say.

mod refusals;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use kokoro_model::{Audio, MAX_PHONEMES, Runtime, Synthesizer, tokenize};
use serde::{Deserialize, Serialize};

use super::{Check, Gate, Progress, Report, Sound, Subject, Utterance};
use crate::recipe::SmokeRecipe;

/// The shortest input: an open vowel, which is voiced and so audible in every voice.
const ONE_PHONEME: &str = "ɑ";

/// Seconds that a voice may take to begin and to fade, however short the input.
const START_AND_END: f64 = 1.0;

/// Phonemes above which a sentence is spoken at its own speed only: at the others it would take most of the gate's
/// time.
const LONG: usize = 200;

/// How much the smoke gate has a model say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A single phoneme, every sentence at its own speed, all but the long ones at the other speeds of the recipe too,
    /// and the longest input there is.
    Full,
    /// The same but for the long sentences; the other speeds are those of the shortest sentence, and the longest input
    /// is said at the highest speed.
    Short,
    /// The sentences that are not long, at their own speeds.
    Sentences,
}

/// What the smoke gate says, and what it heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smoke {
    /// The verdict.
    pub report: Report,
    /// Everything that was spoken, in order.
    pub spoken: Vec<Spoken>,
}

/// One piece of speech, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spoken {
    /// The id of the sentence, or `one-phoneme`, or `longest`.
    pub id: String,
    /// The name of the voice.
    pub voice: String,
    /// The speed it was spoken at.
    pub speed: f32,
    /// How many phonemes, without padding.
    pub phonemes: usize,
    /// How long it plays.
    pub seconds: f64,
    /// What can be told from its samples.
    pub sound: Sound,
}

impl Spoken {
    fn of(utterance: &Utterance, audio: &Audio) -> Self {
        Self {
            id: utterance.id.clone(),
            voice: utterance.voice.clone(),
            speed: utterance.speed,
            phonemes: utterance.ids.len(),
            seconds: audio.duration().as_secs_f64(),
            sound: Sound::of(&audio.samples),
        }
    }

    /// Seconds that it would play at speed 1.
    fn seconds_at_speed_1(&self) -> f64 {
        self.seconds * f64::from(self.speed)
    }

    fn place(&self) -> String {
        format!("sentence `{}`, voice `{}`, speed {}", self.id, self.voice, self.speed)
    }
}

/// Gives `subject` bad input, then has it say what belongs to the `extent`.
///
/// `audio` is the folder of the sentences as WAV files, `<subject>-<id>.wav`, each at its own speed; a folder
/// that is not there is made. A sentence with samples that are not finite has no file.
///
/// # Errors
/// No sentences; a WAV file cannot be written. What the model does wrong is a failed check.
pub fn smoke_gate(
    runtime: &Runtime,
    subject: &Subject,
    recipe: &SmokeRecipe,
    sentences: &[Utterance],
    extent: Extent,
    audio: &Path,
    progress: Progress,
) -> Result<Smoke> {
    ensure!(!sentences.is_empty(), "no sentence of the corpus is tagged `smoke`");
    let mut synthesizer = match subject.load(runtime, &subject.options) {
        Ok((synthesizer, _)) => synthesizer,
        Err(error) => {
            let check = Check::at_most("not_loaded", 1.0, 0.0, "models").with_detail(format!("{error:#}"));
            return Ok(Smoke { report: Report::new(Gate::Smoke, vec![check]), spoken: Vec::new() });
        }
    };
    fs_err::create_dir_all(audio)?;

    // Before anything is spoken: a refusal must not harm what comes after.
    let accepted = refusals::accepted(&mut synthesizer, subject, &sentences[0]);
    let plan = plan(sentences, recipe, extent)?;
    let mut steps = progress.start(&format!("smoke `{}`", subject.name), plan.len());
    let (mut spoken, mut failed) = (Vec::new(), Vec::new());
    for Planned { utterance, keep } in &plan {
        match speak(&mut synthesizer, utterance, keep.then_some((audio, subject.name.as_str())))? {
            Ok(one) => {
                steps.step(&format!("{}, {:.1} s", one.place(), one.seconds));
                spoken.push(one);
            }
            Err(message) => {
                steps.step(&message);
                failed.push(message);
            }
        }
    }
    let mut checks = vec![
        collected("accepted_bad_input", "inputs", &accepted),
        collected("unspoken", "sentences", &failed),
    ];
    checks.extend(judge(&spoken, recipe));
    Ok(Smoke { report: Report::new(Gate::Smoke, checks), spoken })
}

/// Something to say, and whether its audio is kept.
struct Planned {
    utterance: Utterance,
    keep: bool,
}

/// Whether a sentence of so many phonemes is spoken at its own speed only.
pub fn is_long(phonemes: usize) -> bool {
    phonemes > LONG
}

fn plan(sentences: &[Utterance], recipe: &SmokeRecipe, extent: Extent) -> Result<Vec<Planned>> {
    let first = &sentences[0];
    let one = tokenize(ONE_PHONEME).context("the shortest input cannot be made")?;
    let all: Vec<i64> = sentences.iter().flat_map(|sentence| sentence.ids.iter().copied()).collect();
    let longest = all.into_iter().cycle().take(MAX_PHONEMES).collect();
    let made = |id: &str, ids, speed| Utterance { id: id.to_owned(), speed, ids, ..first.clone() };
    let full = extent == Extent::Full;
    let shortest = sentences.iter().map(|sentence| sentence.ids.len()).min();

    let mut plan = Vec::new();
    if extent != Extent::Sentences {
        plan.push(Planned { utterance: made("one-phoneme", one, 1.0), keep: false });
    }
    for sentence in sentences.iter().filter(|it| full || !is_long(it.ids.len())) {
        plan.push(Planned { utterance: sentence.clone(), keep: true });
        let at_all_speeds = match extent {
            Extent::Full => !is_long(sentence.ids.len()),
            Extent::Short => Some(sentence.ids.len()) == shortest,
            Extent::Sentences => false,
        };
        let others = recipe.speeds.iter().filter(|&&speed| at_all_speeds && speed != sentence.speed);
        plan.extend(
            others.map(|&speed| Planned { utterance: Utterance { speed, ..sentence.clone() }, keep: false }),
        );
    }
    if extent != Extent::Sentences {
        let highest = recipe.speeds.iter().copied().fold(1.0, f32::max);
        let speed = if full { 1.0 } else { highest };
        plan.push(Planned { utterance: made("longest", longest, speed), keep: false });
    }
    Ok(plan)
}

/// Speaks and measures. The outer error is ours, the inner one what the model did.
fn speak(
    synthesizer: &mut Synthesizer,
    utterance: &Utterance,
    keep: Option<(&Path, &str)>,
) -> Result<Result<Spoken, String>> {
    let audio = match utterance.speak(synthesizer) {
        Ok(audio) => audio,
        Err(error) => {
            let error = anyhow::Error::from(error);
            return Ok(Err(format!("sentence `{}` at speed {}: {error:#}", utterance.id, utterance.speed)));
        }
    };
    let spoken = Spoken::of(utterance, &audio);
    if let Some((folder, subject)) = keep
        && spoken.sound.not_finite == 0
    {
        audio.write_wav(utterance.wav(folder, subject))?;
    }
    Ok(Ok(spoken))
}

/// A check that a list is empty; the detail is its first entry.
fn collected(name: &str, unit: &'static str, found: &[String]) -> Check {
    let check = Check::at_most(name, found.len() as f64, 0.0, unit);
    match found {
        [] => check,
        [first] => check.with_detail(first),
        [first, others @ ..] => check.with_detail(format!("{first}; and {} more", others.len())),
    }
}

/// One check for each measure: the worst of everything that was spoken, and where that was.
fn judge(spoken: &[Spoken], recipe: &SmokeRecipe) -> Vec<Check> {
    type Measure<'a> = (&'static str, &'static str, f64, fn(&Spoken) -> f64);
    let at_most: [Measure<'_>; 5] = [
        ("not_finite", "samples", 0.0, |it| it.sound.not_finite as f64),
        ("clipped", "", recipe.max_clipped, |it| it.sound.clipped),
        ("longest_at_rail", "samples", recipe.max_at_rail as f64, |it| it.sound.longest_at_rail as f64),
        ("dc", "", recipe.max_dc, |it| it.sound.dc.abs()),
        ("longest_phoneme", "s", recipe.max_seconds_per_phoneme, |it| {
            (it.seconds_at_speed_1() - START_AND_END).max(0.0) / it.phonemes as f64
        }),
    ];
    let at_least: [Measure<'_>; 2] = [
        ("rms", "", recipe.min_rms, |it| it.sound.rms),
        ("shortest_phoneme", "s", recipe.min_seconds_per_phoneme, |it| {
            it.seconds_at_speed_1() / it.phonemes as f64
        }),
    ];
    let by = |measure: fn(&Spoken) -> f64| move |a: &&Spoken, b: &&Spoken| measure(a).total_cmp(&measure(b));
    let most = at_most.into_iter().filter_map(|(name, unit, threshold, measure)| {
        let worst = spoken.iter().max_by(by(measure))?;
        Some(Check::at_most(name, measure(worst), threshold, unit).with_detail(worst.place()))
    });
    let least = at_least.into_iter().filter_map(|(name, unit, threshold, measure)| {
        let worst = spoken.iter().min_by(by(measure))?;
        Some(Check::at_least(name, measure(worst), threshold, unit).with_detail(worst.place()))
    });
    most.chain(least).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kokoro_model::VoiceStyles;

    use super::*;

    fn recipe() -> SmokeRecipe {
        SmokeRecipe {
            min_rms: 0.005,
            max_clipped: 0.001,
            max_at_rail: 99,
            max_dc: 0.05,
            min_seconds_per_phoneme: 0.02,
            max_seconds_per_phoneme: 0.35,
            speeds: vec![1.0, 0.7, 1.6],
        }
    }

    fn utterance(ids: Vec<i64>, speed: f32) -> Utterance {
        let styles = Arc::new(VoiceStyles::from_bytes(&vec![0; VoiceStyles::BYTES]).unwrap());
        Utterance { id: "held-1".into(), voice: "af_heart".into(), speed, ids, styles }
    }

    /// A 200 Hz tone of amplitude 0.1.
    fn tone(seconds: f64) -> Vec<f32> {
        let samples = (seconds * 24_000.0) as usize;
        (0..samples).map(|i| 0.1 * (i as f32 * 200.0 / 24_000.0 * std::f32::consts::TAU).sin()).collect()
    }

    /// The names of the checks that 20 phonemes at `speed` fail with such samples.
    fn failed(samples: Vec<f32>, speed: f32) -> Vec<String> {
        let audio = Audio { samples, sample_rate: 24_000 };
        let spoken = Spoken::of(&utterance(vec![1; 20], speed), &audio);
        let failed = judge(&[spoken], &recipe()).into_iter().filter(|check| !check.pass);
        failed.map(|check| check.name).collect()
    }

    #[test]
    fn speech_passes_and_each_defect_is_refused_by_its_own_measure() {
        let changed = |change: fn(usize, f32) -> f32| {
            tone(2.0).into_iter().enumerate().map(|(i, sample)| change(i, sample)).collect::<Vec<_>>()
        };
        for (what, samples, speed, expected) in [
            ("a tone", tone(2.0), 1.0, &[][..]),
            ("one NaN", changed(|i, x| if i == 7 { f32::NAN } else { x }), 1.0, &["not_finite"]),
            ("one infinity", changed(|i, x| if i == 7 { f32::INFINITY } else { x }), 1.0, &["not_finite"]),
            ("silence", vec![0.0; 48_000], 1.0, &["rms"]),
            ("all NaN", vec![f32::NAN; 48_000], 1.0, &["not_finite", "rms"]),
            ("pinned", vec![1.0; 48_000], 1.0, &["clipped", "longest_at_rail", "dc"]),
            ("clicks at the rail", changed(|i, x| if i % 900 == 0 { -1.0 } else { x }), 1.0, &["clipped"]),
            // 100 of 168,000 samples: too few for the share, too many in a row.
            (
                "a burst at the rail",
                {
                    let mut samples = tone(7.0);
                    samples[500..600].fill(1.0);
                    samples
                },
                1.0,
                &["longest_at_rail"],
            ),
            ("an offset", changed(|_, x| x + 0.06), 1.0, &["dc"]),
            ("a negative offset", changed(|_, x| x - 0.06), 1.0, &["dc"]),
            ("too short", tone(0.3), 1.0, &["shortest_phoneme"]),
            ("too long", tone(8.1), 1.0, &["longest_phoneme"]),
            // At half the speed the same 8.1 seconds are in order, and at twice the speed 0.3 seconds are.
            ("long because slow", tone(8.1), 0.5, &[]),
            ("short because fast", tone(0.3), 2.0, &[]),
        ] {
            assert_eq!(failed(samples, speed), expected, "{what}");
        }
    }

    #[test]
    fn the_worst_of_all_is_judged_and_named() {
        let quiet = Audio { samples: vec![0.001; 24_000], sample_rate: 24_000 };
        let loud = Audio { samples: tone(1.0), sample_rate: 24_000 };
        let spoken = [(1.0, &loud), (1.6, &quiet), (0.7, &loud)]
            .map(|(speed, audio)| Spoken::of(&utterance(vec![1; 20], speed), audio));
        let rms = judge(&spoken, &recipe()).into_iter().find(|check| check.name == "rms").unwrap();
        assert!(!rms.pass);
        assert_eq!(rms.detail.as_deref(), Some("sentence `held-1`, voice `af_heart`, speed 1.6"));
    }

    #[test]
    fn nothing_spoken_is_no_pass() {
        let checks = vec![collected("unspoken", "sentences", &["a".into(), "b".into()])];
        let report = Report::new(Gate::Smoke, [checks, judge(&[], &recipe())].concat());
        assert_eq!(
            report.failures("x"),
            [
                "smoke gate, `x`: `unspoken` is 2 sentences, expected at most 0 sentences, missed by 2 sentences: a; and 1 more"
            ]
        );
    }

    #[test]
    fn the_plan_has_every_speed_and_both_ends_of_the_length() {
        let sentences =
            [utterance(vec![43; 30], 0.9), utterance(vec![44; 12], 1.0), utterance(vec![45; LONG + 1], 1.0)];
        let of = |extent| plan(&sentences, &recipe(), extent).unwrap();
        let lengths = |plan: &[Planned]| {
            plan.iter().map(|it| (it.utterance.ids.len(), it.utterance.speed)).collect::<Vec<_>>()
        };
        let short = [(1, 1.0), (30, 0.9), (12, 1.0), (12, 0.7), (12, 1.6), (510, 1.6)];
        assert_eq!(lengths(&of(Extent::Short)), short);
        assert_eq!(lengths(&of(Extent::Sentences)), [(30, 0.9), (12, 1.0)]);
        let plan = of(Extent::Full);
        let short = [(30, 0.9), (30, 1.0), (30, 0.7), (30, 1.6), (12, 1.0), (12, 0.7), (12, 1.6)];
        assert_eq!(lengths(&plan), [&[(1, 1.0)][..], &short, &[(201, 1.0), (510, 1.0)]].concat());
        let kept: Vec<_> = plan.iter().filter(|it| it.keep).map(|it| it.utterance.speed).collect();
        assert_eq!(kept, [0.9, 1.0, 1.0]);
        assert_eq!(plan[9].utterance.ids[29..43], [&[43][..], &[44; 12], &[45]].concat());
    }
}

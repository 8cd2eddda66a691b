//! The bench gate: the base and its candidates, one call after another, so that whatever slows the machine
//! slows all of them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kokoro_model::{Runtime, Synthesizer};
use serde::{Deserialize, Serialize};

use super::{Check, Gate, Interval, Progress, Report, Subject, Summary, Utterance, median_interval};
use crate::failure::Failure;
use crate::recipe::{BenchRecipe, Thresholds};

/// The confidence that an interval of the median ratio is asked for.
const CONFIDENCE: f64 = 0.95;

/// The threads of a session keep spinning for a moment after a call, in the hope of another one. Without a pause
/// they would take a core from the next model's call.
const PAUSE: Duration = Duration::from_millis(5);

/// Models measured against each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Threads of each model; 0 is the runtime's own choice.
    pub threads: usize,
    /// Rounds before those that count.
    pub warm_up: usize,
    /// Rounds that count: each model says each sentence once in a round.
    pub rounds: usize,
    /// The base first, then the candidates.
    pub models: Vec<Benchmark>,
}

/// How fast one model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    /// The name of the subject.
    pub name: String,
    /// Milliseconds from the bytes in memory to a session.
    pub load_ms: f64,
    /// How many calls were timed.
    pub runs: usize,
    /// All timed calls, a call being one sentence.
    pub summary: Summary,
    /// Real-time factor: seconds of computation for one second of sound, over all timed calls.
    pub rtf: f64,
    /// Each sentence for itself, in the order of the corpus.
    pub sentences: Vec<SentenceTime>,
    /// How many times as fast as the base: the median of the base's time over this model's, for the same sentence
    /// in the same round, with its confidence interval. `None` for the base.
    pub speed_ratio: Option<Interval>,
}

/// How fast one model says one sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentenceTime {
    /// The id of the sentence.
    pub id: String,
    /// How long it plays, as this model says it.
    pub audio_s: f64,
    /// The median over the rounds.
    pub p50_ms: f64,
    /// The median real-time factor.
    pub rtf: f64,
    /// Every timed call, in the order of the rounds.
    pub times_ms: Vec<f64>,
}

/// One timed call.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Call {
    seconds: f64,
    audio_s: f64,
}

/// Times the first of `subjects`, the base, and the candidates behind it, all loaded at once, on all
/// `sentences`. `recipe` says how many rounds and threads.
///
/// # Errors
/// [`Failure::Usage`] for no rounds; [`Failure::Model`] for a model that does not load or fails while it speaks.
pub fn compare(
    runtime: &Runtime,
    subjects: &[&Subject],
    sentences: &[Utterance],
    recipe: &BenchRecipe,
    progress: Progress,
) -> Result<Comparison> {
    ensure!(!subjects.is_empty(), "no model to measure");
    ensure!(!sentences.is_empty(), "no sentence of the corpus is tagged `bench`");
    if recipe.runs == 0 {
        return Err(anyhow::anyhow!("runs: expected at least 1, found 0").context(Failure::Usage));
    }
    let mut loaded = Vec::new();
    for subject in subjects {
        let options = subject.options.clone().threads(recipe.threads);
        let (synthesizer, time) = subject.load(runtime, &options)?;
        loaded.push(Loaded { synthesizer, load: time, calls: vec![Vec::new(); sentences.len()] });
    }
    let rounds = recipe.warm_up + recipe.runs;
    let mut steps = progress.start("bench", rounds * sentences.len() * subjects.len());
    let mut turn = 0;
    for round in 0..rounds {
        for (index, sentence) in sentences.iter().enumerate() {
            for at in order(subjects.len(), turn) {
                std::thread::sleep(PAUSE);
                let call = timed(&mut loaded[at].synthesizer, sentence)
                    .with_context(|| format!("`{}` cannot be measured", subjects[at].name))
                    .context(Failure::Model)?;
                if round >= recipe.warm_up {
                    loaded[at].calls[index].push(call);
                }
                steps.small_step(&format!("`{}` {:.0} ms", subjects[at].name, 1000.0 * call.seconds));
            }
            turn += 1;
        }
        // With an even number of turns in a round each sentence would meet the same order in every round.
        turn += usize::from(sentences.len().is_multiple_of(subjects.len()));
    }
    let models = subjects
        .iter()
        .zip(&loaded)
        .enumerate()
        .map(|(at, (subject, model))| {
            let base = (at > 0).then_some(&loaded[0].calls[..]);
            benchmark(&subject.name, model.load, &model.calls, sentences, base)
        })
        .collect::<Option<_>>()
        .context("a model was not timed")?;
    Ok(Comparison { threads: recipe.threads, warm_up: recipe.warm_up, rounds: recipe.runs, models })
}

impl Comparison {
    /// What was measured of the subject called `name`.
    pub fn model(&self, name: &str) -> Option<&Benchmark> {
        self.models.iter().find(|model| model.name == name)
    }
}

/// Holds the median ratio of a candidate against the threshold of its scheme.
///
/// # Errors
/// `candidate` is the base, which has no ratio.
pub fn speed_gate(candidate: &Benchmark, thresholds: &Thresholds) -> Result<Report> {
    Ok(ratio_gate(candidate.speed_ratio.context("the base has no speed ratio")?, thresholds))
}

/// Holds the median of a ratio against the threshold of a scheme.
pub fn ratio_gate(ratio: Interval, thresholds: &Thresholds) -> Report {
    let Interval { count, median, low, high, confidence } = ratio;
    let check = Check::at_least("speed_ratio", median, thresholds.min_speed_ratio, "").with_detail(format!(
        "median of {count} pairs, {:.1} % interval {low:.3} to {high:.3}",
        100.0 * confidence
    ));
    Report::new(Gate::Bench, vec![check])
}

/// How many times as fast as `base` a model is that was timed in the same rounds; `None` if they have no call in common.
pub fn ratio(base: &Benchmark, model: &Benchmark) -> Option<Interval> {
    let times = |of: &Benchmark| of.sentences.iter().flat_map(|it| it.times_ms.clone()).collect::<Vec<_>>();
    let ratios: Vec<f64> = times(base).iter().zip(times(model)).map(|(base, own)| base / own).collect();
    median_interval(&ratios, CONFIDENCE)
}

struct Loaded {
    synthesizer: Synthesizer,
    load: Duration,
    /// Per sentence, per round.
    calls: Vec<Vec<Call>>,
}

fn timed(synthesizer: &mut Synthesizer, sentence: &Utterance) -> Result<Call> {
    let start = Instant::now();
    let audio = sentence.speak(synthesizer)?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Call { seconds, audio_s: audio.duration().as_secs_f64() })
}

/// Who goes when: each goes first, second, … equally often, and every other cycle runs backwards, so that nobody
/// always follows the same neighbour.
fn order(count: usize, turn: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).map(|at| (at + turn) % count).collect();
    if count > 2 && (turn / count) % 2 == 1 {
        order.reverse();
    }
    order
}

fn benchmark(
    name: &str,
    load: Duration,
    calls: &[Vec<Call>],
    sentences: &[Utterance],
    base: Option<&[Vec<Call>]>,
) -> Option<Benchmark> {
    let all: Vec<_> = calls.iter().flatten().copied().collect();
    let milliseconds = |calls: &[Call]| -> Vec<f64> { calls.iter().map(|it| 1000.0 * it.seconds).collect() };
    let sentences = calls
        .iter()
        .zip(sentences)
        .map(|(calls, sentence)| {
            let times_ms = milliseconds(calls);
            let p50_ms = Summary::of(&times_ms)?.p50_ms;
            let audio_s = calls.first()?.audio_s;
            let rtf = p50_ms / 1000.0 / audio_s;
            Some(SentenceTime { id: sentence.id.clone(), audio_s, p50_ms, rtf, times_ms })
        })
        .collect::<Option<_>>()?;
    let speed_ratio = match base {
        Some(base) => {
            let pairs = base.iter().flatten().zip(&all);
            let ratios: Vec<_> = pairs.map(|(base, candidate)| base.seconds / candidate.seconds).collect();
            Some(median_interval(&ratios, CONFIDENCE)?)
        }
        None => None,
    };
    let (seconds, audio_s) =
        all.iter().fold((0.0, 0.0), |sum, call| (sum.0 + call.seconds, sum.1 + call.audio_s));
    Some(Benchmark {
        name: name.to_owned(),
        load_ms: 1000.0 * load.as_secs_f64(),
        runs: all.len(),
        summary: Summary::of(&milliseconds(&all))?,
        rtf: seconds / audio_s,
        sentences,
        speed_ratio,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use kokoro_model::VoiceStyles;

    use super::*;

    fn sentence(id: &str) -> Utterance {
        let styles = Arc::new(VoiceStyles::from_bytes(&vec![0; VoiceStyles::BYTES]).unwrap());
        Utterance { id: id.into(), voice: "af_heart".into(), speed: 1.0, ids: vec![43], styles }
    }

    fn calls(seconds: [[f64; 3]; 2]) -> Vec<Vec<Call>> {
        let audio = [2.0, 4.0];
        let of = |(seconds, audio_s): (&[f64; 3], f64)| {
            seconds.iter().map(|&seconds| Call { seconds, audio_s }).collect()
        };
        seconds.iter().zip(audio).map(of).collect()
    }

    #[test]
    fn pairs_are_of_one_sentence_and_one_round() {
        let sentences = [sentence("a"), sentence("b")];
        let base = calls([[0.2, 0.4, 0.2], [0.8, 0.8, 1.6]]);
        // A slow second round and a slow third one cancel in the pairs: 2, 2, 2, 1, 1, 1.25.
        let candidate = calls([[0.1, 0.2, 0.1], [0.8, 0.8, 1.28]]);
        let load = Duration::from_millis(500);
        let measured = benchmark("x", load, &candidate, &sentences, Some(&base)).unwrap();
        let ratio = measured.speed_ratio.unwrap();
        assert_eq!((ratio.count, ratio.median), (6, 1.625));
        assert_eq!((ratio.low, ratio.high), (1.0, 2.0));
        assert_eq!((measured.runs, measured.load_ms), (6, 500.0));
        // 3.28 s of computation for 3 · 2 + 3 · 4 s of sound.
        assert!((measured.rtf - 3.28 / 18.0).abs() < 1e-12);
        assert_eq!(measured.sentences[0].p50_ms, 100.0);
        assert_eq!(measured.sentences[1].rtf, 0.2);
        assert_eq!(measured.sentences[1].times_ms, [800.0, 800.0, 1280.0]);
        assert!((measured.summary.throughput_qps - 6.0 / 3.28).abs() < 1e-9);
        let base = benchmark("base", load, &base, &sentences, None).unwrap();
        assert!(base.speed_ratio.is_none());
        let again = super::ratio(&base, &measured).unwrap();
        assert!((again.median - ratio.median).abs() < 1e-12 && again.count == ratio.count, "{again:?}");
    }

    #[test]
    fn everyone_takes_every_place_equally_often() {
        assert_eq!([order(2, 0), order(2, 1), order(2, 2)], [[0, 1], [1, 0], [0, 1]]);
        for count in 1..=4 {
            let mut places = BTreeMap::new();
            let mut neighbours = BTreeMap::new();
            for turn in 0..4 * count {
                let order = order(count, turn);
                for (place, model) in order.iter().enumerate() {
                    *places.entry((place, *model)).or_insert(0) += 1;
                }
                for pair in order.windows(2) {
                    *neighbours.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            assert_eq!(places.len(), count * count);
            assert!(places.values().all(|&times| times == 4), "{count} models: {places:?}");
            // Whoever precedes another also follows it, just as often.
            for ((a, b), times) in &neighbours {
                assert_eq!(neighbours.get(&(*b, *a)), Some(times), "{count} models, {a} before {b}");
            }
        }
    }

    #[test]
    fn the_gate_is_on_the_median_ratio() {
        let thresholds = |least: f64| -> Thresholds {
            toml::from_str(&format!(
                "max_mib = 1\nmax_nodes = {{}}\nmax_executed = {{}}\nfidelity = {{}}\nmin_speed_ratio = {least}"
            ))
            .unwrap()
        };
        let sentences = [sentence("a"), sentence("b")];
        let base = calls([[0.9, 0.9, 0.9], [0.9, 0.9, 0.9]]);
        let slower = calls([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]);
        let measured = benchmark("slow", Duration::ZERO, &slower, &sentences, Some(&base)).unwrap();
        assert!(speed_gate(&measured, &thresholds(0.9)).unwrap().pass);
        let report = speed_gate(&measured, &thresholds(0.97)).unwrap();
        assert_eq!(
            report.failures("slow"),
            ["bench gate, `slow`: `speed_ratio` is 0.9, expected at least 0.97, missed by 0.07 (7.216 %): \
              median of 6 pairs, 96.9 % interval 0.900 to 0.900"]
        );
        let base = benchmark("base", Duration::ZERO, &base, &sentences, None).unwrap();
        assert!(speed_gate(&base, &thresholds(0.9)).is_err());
    }
}

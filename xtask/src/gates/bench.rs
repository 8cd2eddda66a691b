//! The bench gate: the base and its candidates, one call after another, so that whatever slows the machine
//! slows all of them.
//!
//! A busy machine makes the interval of a ratio wide, and a process that was stopped leaves a pair that says nothing. So
//! rounds are added while the interval of a candidate has its threshold inside, up to a limit, and it is the interval
//! that is judged. One pair of six at a hundredth of the others makes it wide, and three more rounds narrow again.
//!
//! A short run refuses what is shown to be too slow, its upper end below the threshold, so that a
//! process that is stopped for minutes refuses nothing. A full run, and with it a proof, wants the
//! lower end above.

use std::collections::BTreeMap;
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

/// How often models are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    /// Calls of each model before those that count, of the longest sentence: they bring its memory.
    pub warm_up: usize,
    /// Rounds at least: each model says each sentence once in a round.
    pub least: usize,
    /// Rounds at most, where a ratio is undecided.
    pub most: usize,
    /// Threads of each model; 0 is the runtime's own choice.
    pub threads: usize,
}

impl Rounds {
    /// What the recipe has for a `full` run, or for a short one.
    pub fn of(recipe: &BenchRecipe, full: bool) -> Self {
        let BenchRecipe { runs, most_runs, warm_up, threads, ref short } = *recipe;
        let (least, most) = if full { (runs, most_runs) } else { (short.runs, short.most_runs) };
        Self { warm_up, least, most, threads }
    }
}

/// What is timed, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Timing<'a> {
    /// What is said.
    pub sentences: &'a [Utterance],
    /// How often.
    pub rounds: Rounds,
    /// The least ratio of a model, by its name. Rounds are added for those that are here.
    pub least: &'a BTreeMap<&'a str, f64>,
    /// The models, by name, that are timed in the first round only: shown, and judged by nothing.
    pub once: &'a [&'a str],
}

/// What an interval has to say of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// All of it has to be on the good side.
    Shown,
    /// Some of it has to be: what the noise of a busy machine leaves open is no reason to refuse.
    NotDisproved,
}

/// One timed call.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Call {
    seconds: f64,
    audio_s: f64,
}

/// Times the first of `subjects`, the base, and the candidates behind it, all loaded at once.
///
/// # Errors
/// [`Failure::Usage`] for no rounds; [`Failure::Model`] for a model that does not load or fails while it speaks.
pub fn compare(
    runtime: &Runtime,
    subjects: &[&Subject],
    Timing { sentences, rounds, least, once }: Timing<'_>,
    progress: Progress,
) -> Result<Comparison> {
    ensure!(!subjects.is_empty(), "no model to measure");
    ensure!(!sentences.is_empty(), "no sentence of the corpus is tagged `bench`");
    if rounds.least == 0 {
        return Err(anyhow::anyhow!("runs: expected at least 1, found 0").context(Failure::Usage));
    }
    let mut loaded = Vec::new();
    for subject in subjects {
        let options = subject.options.clone().threads(rounds.threads);
        loaded.push(subject.load(runtime, &options)?);
    }
    let (mut synthesizers, loads): (Vec<_>, Vec<_>) = loaded.into_iter().unzip();
    let asked: Vec<_> = subjects
        .iter()
        .map(|it| Asked {
            least: least.get(it.name.as_str()).copied(),
            once: once.contains(&it.name.as_str()),
        })
        .collect();
    let longest = (0..sentences.len()).max_by_key(|&at| sentences[at].ids.len()).unwrap_or(0);
    let in_each = subjects.len() - once.len();
    let later = (rounds.least - 1) * in_each * sentences.len();
    let steps = rounds.warm_up * subjects.len() + subjects.len() * sentences.len() + later;
    let mut steps = progress.start("bench", steps);
    let mut timed = |model: usize, sentence: usize| {
        if steps.are_done() {
            // Another round, because a ratio is undecided.
            steps.more(in_each * sentences.len());
        }
        // Between two calls, so that the threads of the one before have gone to sleep.
        std::thread::sleep(PAUSE);
        let call = timed(&mut synthesizers[model], &sentences[sentence])
            .with_context(|| format!("`{}` cannot be measured", subjects[model].name))
            .context(Failure::Model)?;
        steps.small_step(&format!("`{}` {:.0} ms", subjects[model].name, 1000.0 * call.seconds));
        Ok(call)
    };
    for _ in 0..rounds.warm_up {
        for model in 0..subjects.len() {
            timed(model, longest)?;
        }
    }
    let calls = all_rounds(sentences.len(), rounds, &asked, timed)?;
    let counted = calls[0].first().map_or(0, Vec::len);
    let models = subjects.iter().zip(loads).zip(&calls).enumerate().map(|(at, ((subject, load), model))| {
        let base = (at > 0).then_some(&calls[0][..]);
        benchmark(&subject.name, load, model, sentences, base)
    });
    let models = models.collect::<Option<_>>().context("a model was not timed")?;
    Ok(Comparison { threads: rounds.threads, warm_up: rounds.warm_up, rounds: counted, models })
}

/// What is asked of a model's times.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// The least ratio, if there is one.
    least: Option<f64>,
    /// Whether the first round is enough.
    once: bool,
}

/// Every call that counts, by model, sentence and round. `timed` makes a call of a model and a sentence.
fn all_rounds(
    sentences: usize,
    rounds: Rounds,
    asked: &[Asked],
    mut timed: impl FnMut(usize, usize) -> Result<Call>,
) -> Result<Vec<Vec<Vec<Call>>>> {
    let mut calls = vec![vec![Vec::new(); sentences]; asked.len()];
    let mut turn = 0;
    let mut round = 0;
    while round < rounds.least || (round < rounds.most && is_undecided(&calls, asked)) {
        let models: Vec<usize> = (0..asked.len()).filter(|&it| round == 0 || !asked[it].once).collect();
        let order_of = |turn| order(models.len(), turn).into_iter().map(|at| models[at]);
        for (sentence, turn) in (0..sentences).zip(turn..) {
            for model in order_of(turn) {
                calls[model][sentence].push(timed(model, sentence)?);
            }
        }
        turn += sentences;
        // With an even number of turns in a round each sentence would meet the same order in every round.
        turn += usize::from(sentences.is_multiple_of(models.len()));
        round += 1;
    }
    Ok(calls)
}

/// Whether the interval of a ratio has the least that is asked for inside.
fn is_undecided(calls: &[Vec<Vec<Call>>], asked: &[Asked]) -> bool {
    let spans = |(model, asked): (&Vec<Vec<Call>>, &Asked)| {
        let interval = interval(&calls[0], model).filter(|it| it.confidence >= CONFIDENCE);
        asked.least.is_some_and(|least| interval.is_none_or(|it| it.low < least && least <= it.high))
    };
    calls.iter().zip(asked).any(spans)
}

/// How many times as fast as `base` a model is, pair by pair of calls of one sentence in one round.
fn interval(base: &[Vec<Call>], model: &[Vec<Call>]) -> Option<Interval> {
    let pairs = base.iter().zip(model).flat_map(|(base, own)| base.iter().zip(own));
    let ratios: Vec<f64> = pairs.map(|(base, own)| base.seconds / own.seconds).collect();
    median_interval(&ratios, CONFIDENCE)
}

impl Comparison {
    /// What was measured of the subject called `name`.
    pub fn model(&self, name: &str) -> Option<&Benchmark> {
        self.models.iter().find(|model| model.name == name)
    }
}

/// Holds the ratio of a candidate against the threshold of its scheme.
///
/// # Errors
/// `candidate` is the base, which has no ratio.
pub fn speed_gate(candidate: &Benchmark, thresholds: &Thresholds, evidence: Evidence) -> Result<Report> {
    Ok(ratio_gate(candidate.speed_ratio.context("the base has no speed ratio")?, thresholds, evidence))
}

/// Holds the interval of a ratio against the threshold of a scheme, by the end that the `evidence` asks for.
pub fn ratio_gate(ratio: Interval, thresholds: &Thresholds, evidence: Evidence) -> Report {
    let Interval { count, median, low, high, confidence } = ratio;
    let (end, value) = match evidence {
        Evidence::Shown => ("lower", low),
        Evidence::NotDisproved => ("upper", high),
    };
    let least = thresholds.min_speed_ratio;
    let check = Check::at_least("speed_ratio", value, least, "").with_detail(format!(
        "{end} end of the {:.1} % interval {low:.3} to {high:.3}; median {median:.3} of {count} pairs",
        100.0 * confidence
    ));
    Report::new(Gate::Bench, vec![check])
}

/// How many times as fast as `base` a model is that was timed in the same rounds; `None` if they have no call in common.
pub fn ratio(base: &Benchmark, model: &Benchmark) -> Option<Interval> {
    let sentences = base.sentences.iter().zip(&model.sentences);
    let pairs = sentences.flat_map(|(base, own)| base.times_ms.iter().zip(&own.times_ms));
    let ratios: Vec<f64> = pairs.map(|(base, own)| base / own).collect();
    median_interval(&ratios, CONFIDENCE)
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
        Some(base) => Some(interval(base, calls)?),
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

    fn thresholds(least: f64) -> Thresholds {
        toml::from_str(&format!(
            "max_mib = 1\nmax_nodes = {{}}\nmax_executed = {{}}\nfidelity = {{}}\nmin_speed_ratio = {least}"
        ))
        .unwrap()
    }

    #[test]
    fn the_gate_is_on_the_interval() {
        let interval = |low, high| Interval { count: 6, median: 0.95, low, high, confidence: 0.96875 };
        for (low, high, least, shown, not_disproved) in [
            (0.93, 0.98, 0.9, true, true),
            (0.88, 1.02, 0.9, false, true),
            (0.9, 1.02, 0.9, true, true),
            (0.8, 0.9, 0.9, false, true),
            (0.8, 0.89, 0.9, false, false),
        ] {
            let pass = |evidence| ratio_gate(interval(low, high), &thresholds(least), evidence).pass;
            let found = (pass(Evidence::Shown), pass(Evidence::NotDisproved));
            assert_eq!(found, (shown, not_disproved), "{low} to {high}");
        }
        let report = ratio_gate(interval(0.8, 0.89), &thresholds(0.9), Evidence::NotDisproved);
        assert_eq!(
            report.failures("slow"),
            ["bench gate, `slow`: `speed_ratio` is 0.89, expected at least 0.9, missed by 0.01 (1.111 %): \
              upper end of the 96.9 % interval 0.800 to 0.890; median 0.950 of 6 pairs"]
        );
        let base = calls([[0.9, 0.9, 0.9], [0.9, 0.9, 0.9]]);
        let sentences = [sentence("a"), sentence("b")];
        let base = benchmark("base", Duration::ZERO, &base, &sentences, None).unwrap();
        assert!(speed_gate(&base, &thresholds(0.9), Evidence::NotDisproved).is_err());
    }

    /// Seconds of the base and of a candidate, pair by pair, as two processes on both cores and one stop of the
    /// candidate for minutes made them: the second of six pairs is at 0.013 times.
    const STALLED: [[f64; 6]; 2] =
        [[1.31, 1.38, 1.62, 1.29, 2.05, 1.33], [1.30, 106.2, 1.41, 1.36, 1.71, 1.44]];
    /// The rounds after these, with the stall over.
    const BUSY: [[f64; 6]; 2] = [[1.40, 1.66, 1.35, 1.93, 1.29, 1.48], [1.37, 1.51, 1.49, 1.83, 1.33, 1.40]];

    /// What the recorded times measure in rounds of six sentences, the candidate `slower` than it was.
    fn recorded(slower: f64, least: f64, most: usize) -> (usize, Interval) {
        let rounds = Rounds { warm_up: 0, least: 1, most, threads: 2 };
        let mut made = [[0_usize; 6]; 2];
        let timed = |model: usize, sentence: usize| {
            let round = made[model][sentence];
            made[model][sentence] += 1;
            let of_round = if round == 0 { &STALLED } else { &BUSY };
            let seconds = of_round[model][sentence] * if model == 1 { slower } else { 1.0 };
            Ok(Call { seconds, audio_s: 4.0 })
        };
        let asked = [None, Some(least)].map(|least| Asked { least, once: false });
        let calls = all_rounds(6, rounds, &asked, timed).unwrap();
        (calls[0][0].len(), interval(&calls[0], &calls[1]).unwrap())
    }

    #[test]
    fn a_stall_adds_rounds_and_refuses_nothing() {
        // Of six pairs the interval is all of them, the stall among them.
        let (rounds, ratio) = recorded(1.0, 0.85, 1);
        assert!(rounds == 1 && ratio.low < 0.02, "{ratio:?}");
        let (rounds, ratio) = recorded(1.0, 0.85, 6);
        assert_eq!(rounds, 2, "{ratio:?}");
        assert!(ratio_gate(ratio, &thresholds(0.85), Evidence::Shown).pass, "{ratio:?}");

        // A candidate that is slower by a third is refused on such a day as well.
        let (rounds, ratio) = recorded(1.5, 0.85, 6);
        assert_eq!(rounds, 1, "{ratio:?}");
        assert!(!ratio_gate(ratio, &thresholds(0.85), Evidence::NotDisproved).pass, "{ratio:?}");

        // What stays undecided costs no more rounds than there may be.
        let (rounds, ratio) = recorded(1.17, 0.87, 4);
        assert!(rounds == 4 && ratio.low < 0.87 && ratio.high > 0.87, "{rounds} {ratio:?}");
    }

    #[test]
    fn where_nothing_is_asked_no_round_is_added_and_some_take_part_in_one() {
        let mut made = [0; 3];
        let timed = |model: usize, sentence: usize| {
            made[model] += 1;
            // The third sentence takes longest, and the last model twice as long as the base.
            Ok(Call { seconds: (1 + sentence) as f64 * if model == 2 { 2.0 } else { 1.0 }, audio_s: 1.0 })
        };
        let rounds = Rounds { warm_up: 0, least: 2, most: 9, threads: 0 };
        let asked = [false, false, true].map(|once| Asked { least: None, once });
        let calls = all_rounds(3, rounds, &asked, timed).unwrap();
        assert_eq!(made, [6, 6, 3]);
        let ratio = interval(&calls[0], &calls[2]).unwrap();
        assert_eq!((ratio.count, ratio.low, ratio.high), (3, 0.5, 0.5), "pairs are of one sentence");
    }
}

//! All gates over all candidates, and the results they make together.

mod contestants;
mod providers;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::{BaseKind, Runtime};

use self::contestants::Entrant;
use crate::artifacts::Artifact;
use crate::base::Base;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fetch::{Fetcher, RuntimeLibrary};
use crate::fidelity::{DnsmosModels, Fidelity, Ruler, Setting, fidelity_gate};
use crate::gates::{
    Comparison, Evidence, Extent, Gate, Progress, Report, Rounds, Smoke, Subject, Timing, Utterance, compare,
    is_long, provider_gate, smoke_gate, speed_gate, utterances,
};
use crate::host::Host;
use crate::proof::{Proved, ProvedBase};
use crate::providers::{Asked, ProviderArgs};
use crate::recipe::Recipe;
use crate::results::{
    BaseResult, BenchmarkSetting, CandidateResult, GateResults, ProviderBenchmarks, Results, RuntimeResult,
    SentenceText,
};
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// How much is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// What a user waits for: what the committed proof has is taken from there, what it does not have is judged on the
    /// quick sentences; a short smoke gate and a short benchmark.
    #[default]
    Quick,
    /// What a proof is made of: all held-out sentences, all speeds, more rounds, and the contestants.
    Full,
}

/// What is asked of a judge.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The gates to run; empty means those required.
    pub only: &'a [Gate],
    /// How much is measured.
    pub scope: Scope,
    /// What the committed proof has of the base.
    pub proof: Option<&'a ProvedBase>,
    /// Whether the proof has every candidate, so that none is listened to.
    pub all_proved: bool,
}

/// Everything that judging takes: the engine, the base, the sentences with their voices.
pub struct Judge<'a> {
    recipe: &'a Recipe,
    engine: Engine,
    base: Subject,
    base_kind: BaseKind,
    sentences: Sentences,
    dnsmos: Option<DnsmosModels>,
    contestants: Vec<Entrant>,
    question: Question<'a>,
    gates: Vec<Gate>,
    providers: Vec<Asked>,
    folders: Folders,
    progress: Progress,
}

/// What runs models.
struct Engine {
    runtime: Runtime,
    library: RuntimeLibrary,
}

/// What models are to say, by gate.
struct Sentences {
    smoke: Vec<Utterance>,
    held_out: Vec<Utterance>,
    bench: Vec<Utterance>,
    /// The ids of those that models also say of their own accord.
    quick: Vec<String>,
    /// Those of which recordings are left.
    heard: Vec<SentenceText>,
    corpus_sha256: Digest,
}

impl Sentences {
    fn is_quick(&self, utterance: &Utterance) -> bool {
        self.quick.contains(&utterance.id)
    }
}

/// Where a judge writes.
struct Folders {
    audio: PathBuf,
    profile: PathBuf,
    said: PathBuf,
}

/// What all gates say of all candidates.
pub struct Judged {
    /// The results, with nothing chosen yet.
    pub results: Results,
    /// The candidates that a gate refused.
    pub failures: Vec<Refusal>,
}

/// A candidate that a gate refused.
pub struct Refusal {
    /// Its scheme.
    pub scheme: SchemeName,
    /// Threshold, measurement and miss, a line for each failed check.
    pub lines: Vec<String>,
}

/// A candidate, and what the committed proof has of it.
pub struct Candidate<'a> {
    /// The scheme that made it.
    pub scheme: SchemeName,
    /// Its file.
    pub artifact: &'a Artifact,
    /// What the gates measured of the same bytes, where the proof has that.
    pub proved: Option<&'a Proved>,
}

/// A candidate on its way through the gates.
struct One<'a> {
    scheme: SchemeName,
    artifact: &'a Artifact,
    proved: Option<&'a Proved>,
    subject: Subject,
    gates: GateResults,
    fidelity: Option<Fidelity>,
}

impl One<'_> {
    /// What does not run or does not speak can be neither measured nor timed.
    fn runs(&self) -> bool {
        [&self.gates.provider, &self.gates.smoke].into_iter().flatten().all(|report| report.pass)
    }
}

impl<'a> Judge<'a> {
    /// Fetches and loads what the gates need.
    ///
    /// # Errors
    /// [`Failure::Fetch`] for ONNX Runtime or a voice, [`Failure::Usage`] for the corpus, [`Failure::Model`]
    /// for a base that looks up no tokens.
    pub fn new(
        workspace: &Workspace,
        recipe: &'a Recipe,
        fetcher: &Fetcher,
        base: &Base,
        question: Question<'a>,
    ) -> Result<Self> {
        let only = question.only;
        let gates = if only.is_empty() { Gate::REQUIRED.to_vec() } else { only.to_vec() };
        let full = question.scope == Scope::Full;
        let listens = gates.contains(&Gate::Fidelity) && !question.all_proved;
        let measures = full && [Gate::Fidelity, Gate::Bench].iter().any(|gate| gates.contains(gate));
        let dnsmos = if listens { workspace.dnsmos(fetcher, recipe)? } else { None };
        let sentences = sentences(workspace, recipe, fetcher, full, listens)?;
        let (runtime, library) = workspace.runtime(fetcher)?;
        let artifacts = workspace.artifacts();
        Ok(Self {
            recipe,
            engine: Engine { runtime, library },
            base: Subject::of_base(base)?,
            base_kind: base.kind,
            sentences,
            dnsmos,
            contestants: if measures { contestants::entrants(recipe, fetcher, base) } else { Vec::new() },
            question,
            gates,
            providers: Vec::new(),
            folders: Folders {
                audio: artifacts.audio(),
                profile: artifacts.scratch("profile"),
                said: artifacts.fidelity(),
            },
            progress: Progress::stderr(workspace.environment().redraws()),
        })
    }

    /// The same, on these execution providers too.
    ///
    /// # Errors
    /// Those of [`ProviderArgs::obtain`].
    pub fn on(self, providers: &ProviderArgs, workspace: &Workspace, fetcher: &Fetcher) -> Result<Self> {
        if !providers.asks_for_others() {
            return Ok(self);
        }
        let providers = providers.obtain(&self.engine.runtime, fetcher, &workspace.provider_recipe())?;
        Ok(Self { providers, ..self })
    }

    /// Judges every candidate; a refusal is no error.
    ///
    /// # Errors
    /// [`Failure::Model`] when the base itself does not speak, or a candidate's file changed.
    pub fn all<'c>(mut self, candidates: impl Iterator<Item = Candidate<'c>>) -> Result<Judged> {
        let mut contestants = std::mem::take(&mut self.contestants);
        let mut judged = Vec::new();
        for Candidate { scheme, artifact, proved } in candidates {
            let subject = Subject::of_artifact(artifact)?;
            if subject.sha256 != artifact.sha256()? {
                return Err(anyhow!("`{}` changed since it was made", artifact.path.display())
                    .context(Failure::Model));
            }
            let gates = GateResults::default();
            judged.push(One { scheme, artifact, proved, subject, gates, fidelity: None });
        }
        if self.gates.contains(&Gate::Smoke) {
            let smoke = self.hear(&self.base, self.base_extent())?;
            smoke
                .report
                .into_result(&self.base.name)
                .context("the base itself does not speak")
                .context(Failure::Model)?;
        }
        for one in &mut judged {
            self.one(one)?;
        }
        if self.gates.contains(&Gate::Fidelity) {
            self.fidelity(&mut judged, &mut contestants)?;
        }
        let mut comparison = None;
        if self.gates.contains(&Gate::Bench) && judged.iter().any(One::runs) {
            let measured = self.compare(&judged, &mut contestants)?;
            for one in judged.iter_mut().filter(|one| one.runs()) {
                let benchmark = measured.model(&one.subject.name).context("a model was not measured")?;
                let thresholds = one.scheme.thresholds(self.recipe);
                one.gates.bench = Some(speed_gate(benchmark, thresholds, self.evidence())?);
            }
            comparison = Some(measured);
        }
        let coreml = self.coreml(&judged)?;
        let on_providers = self.on_providers(&self.providers, &judged)?;
        let mut judged = self.results(judged, contestants, comparison.as_ref());
        judged.results.coreml = coreml;
        for (name, found) in on_providers {
            judged.results.add_provider(name, found);
        }
        Ok(judged)
    }

    /// How far from the base each candidate is: by the proof where that has it, else by ear.
    fn fidelity(&self, judged: &mut [One<'_>], contestants: &mut [Entrant]) -> Result<()> {
        for one in judged.iter_mut().filter(|one| one.runs()) {
            let Some(proved) = one.proved else { continue };
            one.gates.fidelity = proved.report(Gate::Fidelity);
            one.fidelity = Some(proved.fidelity.clone());
        }
        let unheard = |one: &&mut One<'_>| one.runs() && one.fidelity.is_none();
        if !judged.iter_mut().any(|one| unheard(&one)) {
            return Ok(());
        }
        let ruler = self.ruler()?;
        for one in judged.iter_mut().filter(unheard) {
            let free = |it: &Utterance| self.sentences.is_quick(it);
            let fidelity = ruler.measure(&one.subject, free, &self.folders.audio)?;
            let limits = &one.scheme.thresholds(self.recipe).fidelity;
            one.gates.fidelity = Some(fidelity_gate(&fidelity, limits));
            one.fidelity = Some(fidelity);
        }
        // Nobody's choice hangs on these, and the published file takes three times as long as the base.
        let ruler = ruler.only(|it| self.sentences.is_quick(it));
        for entrant in contestants {
            let Ok(subject) = &entrant.subject else { continue };
            match ruler.measure(subject, |_| true, &self.folders.audio) {
                Ok(fidelity) => entrant.fidelity = Some(fidelity),
                Err(error) => entrant.note(&error),
            }
        }
        Ok(())
    }

    /// Times the base, the candidates, and the contestants if they can be.
    fn compare(&self, judged: &[One<'_>], contestants: &mut [Entrant]) -> Result<Comparison> {
        let least: BTreeMap<&str, f64> = judged
            .iter()
            .map(|one| (one.subject.name.as_str(), one.scheme.thresholds(self.recipe).min_speed_ratio))
            .collect();
        let own: Vec<&Subject> = std::iter::once(&self.base)
            .chain(judged.iter().filter(|one| one.runs()).map(|one| &one.subject))
            .collect();
        let compare = |subjects: &[&Subject]| {
            let rounds = Rounds::of(&self.recipe.gates.bench, self.question.scope == Scope::Full);
            let once: Vec<&str> = subjects[own.len()..].iter().map(|it| it.name.as_str()).collect();
            let sentences = &self.sentences.bench;
            let timing = Timing { sentences, rounds, least: &least, once: &once };
            compare(&self.engine.runtime, subjects, timing, self.progress)
        };
        let others = contestants.iter().filter_map(|entrant| entrant.subject.as_ref().ok());
        let all: Vec<&Subject> = own.iter().copied().chain(others).collect();
        match compare(&all) {
            Err(error) if all.len() > own.len() => {
                for entrant in contestants.iter_mut() {
                    entrant.note(&error);
                }
                compare(&own)
            }
            outcome => outcome,
        }
    }

    fn one(&self, one: &mut One<'_>) -> Result<()> {
        if self.gates.contains(&Gate::Provider) {
            one.gates.provider = Some(match one.proved.and_then(|proved| proved.report(Gate::Provider)) {
                Some(report) => report,
                None => self.operators(one)?,
            });
        }
        if self.gates.contains(&Gate::Smoke) {
            let smoke = self.hear(&one.subject, self.extent(one))?;
            one.gates.smoke = Some(smoke.report);
            one.gates.spoken = smoke.spoken;
        }
        Ok(())
    }

    /// The provider gate, run here.
    fn operators(&self, one: &One<'_>) -> Result<Report> {
        // Which kernels run does not depend on the length, and a profiled call takes memory by its length.
        let shortest = self.sentences.smoke.iter().min_by_key(|sentence| sentence.ids.len());
        let sentence = shortest.context("no sentence of the corpus is tagged `smoke`")?;
        let thresholds = one.scheme.thresholds(self.recipe);
        let (runtime, folder) = (&self.engine.runtime, &self.folders.profile);
        provider_gate(runtime, &one.subject, thresholds, sentence, folder, self.progress)
    }

    /// The longest input takes as long as all else together, so of what is proved only the candidate that the recipe would
    /// have first says it.
    fn extent(&self, one: &One<'_>) -> Extent {
        let first = self.recipe.choose.first().is_some_and(|name| name == one.scheme.as_str());
        match self.question.scope {
            Scope::Full => Extent::Full,
            Scope::Quick if one.proved.is_some() && !first => Extent::Sentences,
            Scope::Quick => Extent::Short,
        }
    }

    /// A base that the recipe knows by its digest is heard for the recordings; one of the user's own is judged.
    fn base_extent(&self) -> Extent {
        match (self.question.scope, self.base_kind) {
            (Scope::Full, _) => Extent::Full,
            (Scope::Quick, BaseKind::Local) => Extent::Short,
            (Scope::Quick, _) => Extent::Sentences,
        }
    }

    /// What a proof says has to be shown; elsewhere it is enough that the contrary is not.
    fn evidence(&self) -> Evidence {
        if self.question.scope == Scope::Full { Evidence::Shown } else { Evidence::NotDisproved }
    }

    /// The held-out sentences as the base says them.
    fn ruler(&self) -> Result<Ruler<'_>> {
        let setting = Setting {
            runtime: &self.engine.runtime,
            runtime_sha256: self.engine.library.sha256,
            probe: &self.recipe.probe,
            dnsmos: self.dnsmos.as_ref(),
            threads: self.recipe.gates.fidelity.threads,
            progress: self.progress,
        };
        let held_out = self.sentences.held_out.clone();
        let ruler = Ruler::new(setting, &self.base, held_out, &self.folders.said)?;
        ruler.with_floor(|it| self.sentences.is_quick(it))
    }

    fn hear(&self, subject: &Subject, extent: Extent) -> Result<Smoke> {
        let (runtime, recipe) = (&self.engine.runtime, &self.recipe.gates.smoke);
        let (sentences, audio) = (&self.sentences.smoke, &self.folders.audio);
        smoke_gate(runtime, subject, recipe, sentences, extent, audio, self.progress)
    }

    fn results(
        self,
        judged: Vec<One<'_>>,
        contestants: Vec<Entrant>,
        comparison: Option<&Comparison>,
    ) -> Judged {
        let (mut candidates, mut failures) = (BTreeMap::new(), Vec::new());
        let heard = judged.iter().any(|one| one.fidelity.is_some() && one.proved.is_none());
        let asks = |gate| self.gates.contains(&gate);
        for One { scheme, artifact, proved, subject, gates, fidelity } in judged {
            let lines: Vec<String> =
                gates.reports().flat_map(|report| report.failures(&subject.name)).collect();
            if !lines.is_empty() {
                failures.push(Refusal { scheme, lines });
            }
            let benchmark = comparison.and_then(|comparison| comparison.model(&subject.name));
            let file = artifact.metadata.name.to_string();
            let mut result = CandidateResult::new(file, &self.base, &subject, gates, fidelity, benchmark);
            let proved = proved.filter(|_| asks(Gate::Provider) || asks(Gate::Fidelity));
            result.proved = proved.map(|proved| proved.measured_on.clone());
            candidates.insert(scheme.as_str().to_owned(), result);
        }
        let Engine { runtime, library } = &self.engine;
        let base_benchmark = comparison.and_then(|comparison| comparison.models.first());
        let results = Results {
            original_model_mb: self.base.mib(),
            quant_model_mb: None,
            size_reduction_percent: None,
            original_benchmark: base_benchmark.map(ProviderBenchmarks::new),
            quant_benchmark: None,
            chosen: None,
            chosen_for: BTreeMap::new(),
            base: BaseResult::new(&self.base, self.base_kind),
            candidates,
            providers: BTreeMap::new(),
            coreml: BTreeMap::new(),
            contestants: match self.question {
                Question { scope: Scope::Quick, proof: Some(proof), .. } => proof.contestant.clone(),
                _ => contestants::results(contestants, &self.base, comparison),
            },
            sentences: self.sentences.heard,
            benchmark: comparison.map(|comparison| BenchmarkSetting {
                threads: comparison.threads,
                warm_up: comparison.warm_up,
                rounds: comparison.rounds,
            }),
            full: self.question.scope == Scope::Full,
            fidelity_threads: heard.then_some(self.recipe.gates.fidelity.threads),
            host: Host::here(),
            runtime: RuntimeResult {
                // The runtime itself tells only major and minor.
                version: library.version.clone().unwrap_or_else(|| runtime.version().to_owned()),
                sha256: library.sha256,
                origin: library.origin.to_string(),
            },
            corpus_sha256: self.sentences.corpus_sha256,
            recipe_sha256: self.recipe.sha256,
        };
        Judged { results, failures }
    }
}

/// The sentences of the gates with their voices. Those held out are loaded where a gate `listens`: all of them for a
/// `full` judgement, else the quick ones.
fn sentences(
    workspace: &Workspace,
    recipe: &Recipe,
    fetcher: &Fetcher,
    full: bool,
    listens: bool,
) -> Result<Sentences> {
    let corpus = workspace.corpus(recipe)?;
    let voice = |name: &str| workspace.voice(fetcher, recipe, name);
    let mut held_out = if listens { workspace.held_out(fetcher, recipe, &corpus)? } else { Vec::new() };
    let quick: Vec<String> = corpus.tagged("quick").map(|sentence| sentence.id.clone()).collect();
    held_out.retain(|sentence| full || quick.contains(&sentence.id));
    // Of what the fidelity gate listens to, more is said than the smoke gate has said.
    let heard: Vec<SentenceText> = if listens {
        corpus.tagged("quick").map(SentenceText::of).collect()
    } else {
        corpus.tagged("smoke").filter(|it| full || !is_long(it.tokens.len())).map(SentenceText::of).collect()
    };
    let bench = if full {
        utterances(corpus.tagged("bench"), voice)?
    } else {
        let short = &recipe.gates.bench.short.sentences;
        let mut sentences: Vec<_> = corpus.held_out().filter(|it| short.contains(&it.id)).collect();
        if sentences.is_empty() {
            // A corpus of the user's own.
            sentences = corpus.tagged("bench").take(short.len()).collect();
        }
        utterances(sentences, voice)?
    };
    Ok(Sentences {
        smoke: utterances(corpus.tagged("smoke"), voice)?,
        held_out,
        bench,
        quick,
        heard,
        corpus_sha256: corpus.sha256(),
    })
}

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
    Comparison, Gate, Progress, Subject, Utterance, compare, provider_gate, smoke_gate, speed_gate,
    utterances,
};
use crate::host::Host;
use crate::providers::{Asked, ProviderArgs};
use crate::recipe::Recipe;
use crate::results::{
    BaseResult, BenchmarkSetting, CandidateResult, GateResults, ProviderBenchmarks, Results, RuntimeResult,
    SentenceText,
};
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// Everything that judging takes: the runtime, the base, the sentences with their voices.
pub struct Judge<'a> {
    recipe: &'a Recipe,
    runtime: Runtime,
    library: RuntimeLibrary,
    base: Subject,
    base_kind: BaseKind,
    smoke: Vec<Utterance>,
    held_out: Vec<Utterance>,
    dnsmos: Option<DnsmosModels>,
    quick: Vec<String>,
    heard: Vec<SentenceText>,
    contestants: Vec<Entrant>,
    bench: Vec<Utterance>,
    corpus_sha256: Digest,
    gates: Vec<Gate>,
    providers: Vec<Asked>,
    audio: PathBuf,
    scratch: PathBuf,
    said: PathBuf,
    progress: Progress,
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

/// A candidate on its way through the gates.
struct One<'a> {
    scheme: SchemeName,
    artifact: &'a Artifact,
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
    /// Fetches and loads what the gates need. `only` names the gates to run; empty means those required.
    ///
    /// # Errors
    /// [`Failure::Fetch`] for ONNX Runtime or a voice, [`Failure::Usage`] for the corpus, [`Failure::Model`]
    /// for a base that looks up no tokens.
    pub fn new(
        workspace: &Workspace,
        recipe: &'a Recipe,
        fetcher: &Fetcher,
        base: &Base,
        only: &[Gate],
    ) -> Result<Self> {
        let corpus = workspace.corpus(recipe)?;
        let voice = |name: &str| workspace.voice(fetcher, recipe, name);
        let smoke = utterances(corpus.tagged("smoke"), voice)?;
        let bench = utterances(corpus.tagged("bench"), voice)?;
        let gates = if only.is_empty() { Gate::REQUIRED.to_vec() } else { only.to_vec() };
        let (held_out, dnsmos) = if gates.contains(&Gate::Fidelity) {
            (workspace.held_out(fetcher, recipe, &corpus)?, workspace.dnsmos(fetcher, recipe)?)
        } else {
            (Vec::new(), None)
        };
        // The sentences that the models leave as WAV files: the fidelity gate says more of them.
        let heard = if gates.contains(&Gate::Fidelity) { "quick" } else { "smoke" };
        let measures = [Gate::Fidelity, Gate::Bench].iter().any(|gate| gates.contains(gate));
        let (runtime, library) = workspace.runtime(fetcher)?;
        Ok(Self {
            recipe,
            runtime,
            library,
            base: Subject::of_base(base)?,
            base_kind: base.kind,
            smoke,
            held_out,
            dnsmos,
            quick: corpus.tagged("quick").map(|sentence| sentence.id.clone()).collect(),
            heard: corpus.tagged(heard).map(SentenceText::of).collect(),
            contestants: if measures { contestants::entrants(recipe, fetcher, base) } else { Vec::new() },
            bench,
            corpus_sha256: corpus.sha256(),
            gates,
            providers: Vec::new(),
            audio: workspace.artifacts().audio(),
            scratch: workspace.artifacts().staged().join("profile"),
            said: workspace.artifacts().fidelity(),
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
        let providers = providers.obtain(&self.runtime, fetcher, &workspace.provider_recipe())?;
        Ok(Self { providers, ..self })
    }

    /// Judges every candidate; a refusal is no error.
    ///
    /// # Errors
    /// [`Failure::Model`] when the base itself does not speak, or a candidate's file changed.
    pub fn all<'c>(mut self, candidates: impl Iterator<Item = (SchemeName, &'c Artifact)>) -> Result<Judged> {
        let mut contestants = std::mem::take(&mut self.contestants);
        let mut judged = Vec::new();
        for (scheme, artifact) in candidates {
            let subject = Subject::of_artifact(artifact)?;
            if subject.sha256 != artifact.sha256()? {
                return Err(anyhow!("`{}` changed since it was made", artifact.path.display())
                    .context(Failure::Model));
            }
            judged.push(One { scheme, artifact, subject, gates: GateResults::default(), fidelity: None });
        }
        if self.gates.contains(&Gate::Smoke) {
            let smoke = self.hear(&self.base)?;
            smoke
                .report
                .into_result(&self.base.name)
                .context("the base itself does not speak")
                .context(Failure::Model)?;
        }
        for one in &mut judged {
            self.one(one)?;
        }
        if self.gates.contains(&Gate::Fidelity) && judged.iter().any(One::runs) {
            let ruler = self.ruler()?;
            for one in judged.iter_mut().filter(|one| one.runs()) {
                let fidelity = ruler.measure(&one.subject, |it| self.quick.contains(&it.id), &self.audio)?;
                let limits = &one.scheme.thresholds(self.recipe).fidelity;
                one.gates.fidelity = Some(fidelity_gate(&fidelity, limits));
                one.fidelity = Some(fidelity);
            }
            // Nobody's choice hangs on these, and the published file takes three times as long as the base.
            let ruler = ruler.only(|it| self.quick.contains(&it.id));
            for entrant in &mut contestants {
                let Ok(subject) = &entrant.subject else { continue };
                match ruler.measure(subject, |it| self.quick.contains(&it.id), &self.audio) {
                    Ok(fidelity) => entrant.fidelity = Some(fidelity),
                    Err(error) => entrant.note(&error),
                }
            }
        }
        let mut comparison = None;
        if self.gates.contains(&Gate::Bench) && judged.iter().any(One::runs) {
            let measured = self.compare(&judged, &mut contestants)?;
            for one in judged.iter_mut().filter(|one| one.runs()) {
                let benchmark = measured.model(&one.subject.name).context("a model was not measured")?;
                one.gates.bench = Some(speed_gate(benchmark, one.scheme.thresholds(self.recipe))?);
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

    /// Times the base, the candidates, and the contestants if they can be.
    fn compare(&self, judged: &[One<'_>], contestants: &mut [Entrant]) -> Result<Comparison> {
        let compare = |subjects: &[&Subject]| {
            compare(&self.runtime, subjects, &self.bench, &self.recipe.gates.bench, self.progress)
        };
        let own: Vec<&Subject> = std::iter::once(&self.base)
            .chain(judged.iter().filter(|one| one.runs()).map(|one| &one.subject))
            .collect();
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

    fn one(&self, One { scheme, subject, gates, .. }: &mut One<'_>) -> Result<()> {
        if self.gates.contains(&Gate::Provider) {
            // Which kernels run does not depend on the length, and a profiled call takes memory by its length.
            let shortest = self.smoke.iter().min_by_key(|sentence| sentence.ids.len());
            let sentence = shortest.context("no sentence of the corpus is tagged `smoke`")?;
            let thresholds = scheme.thresholds(self.recipe);
            gates.provider = Some(provider_gate(
                &self.runtime,
                subject,
                thresholds,
                sentence,
                &self.scratch,
                self.progress,
            )?);
        }
        if self.gates.contains(&Gate::Smoke) {
            let smoke = self.hear(subject)?;
            gates.smoke = Some(smoke.report);
            gates.spoken = smoke.spoken;
        }
        Ok(())
    }

    /// The held-out sentences as the base says them.
    fn ruler(&self) -> Result<Ruler<'_>> {
        let setting = Setting {
            runtime: &self.runtime,
            runtime_sha256: self.library.sha256,
            probe: &self.recipe.probe,
            dnsmos: self.dnsmos.as_ref(),
            threads: self.recipe.gates.fidelity.threads,
            progress: self.progress,
        };
        let ruler = Ruler::new(setting, &self.base, self.held_out.clone(), &self.said)?;
        ruler.with_floor(|it| self.quick.contains(&it.id))
    }

    fn hear(&self, subject: &Subject) -> Result<crate::gates::Smoke> {
        smoke_gate(&self.runtime, subject, &self.recipe.gates.smoke, &self.smoke, &self.audio, self.progress)
    }

    fn results(
        self,
        judged: Vec<One<'_>>,
        contestants: Vec<Entrant>,
        comparison: Option<&Comparison>,
    ) -> Judged {
        let (mut candidates, mut failures) = (BTreeMap::new(), Vec::new());
        for One { scheme, artifact, subject, gates, fidelity } in judged {
            let lines: Vec<String> =
                gates.reports().flat_map(|report| report.failures(&subject.name)).collect();
            if !lines.is_empty() {
                failures.push(Refusal { scheme, lines });
            }
            let benchmark = comparison.and_then(|comparison| comparison.model(&subject.name));
            let file = artifact.metadata.name.to_string();
            let result = CandidateResult::new(file, &self.base, &subject, gates, fidelity, benchmark);
            candidates.insert(scheme.as_str().to_owned(), result);
        }
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
            contestants: contestants::results(contestants, &self.base, comparison),
            sentences: self.heard,
            benchmark: comparison.map(|comparison| BenchmarkSetting {
                threads: comparison.threads,
                warm_up: comparison.warm_up,
                rounds: comparison.rounds,
            }),
            host: Host::here(),
            runtime: RuntimeResult {
                // The runtime itself tells only major and minor.
                version: self.library.version.clone().unwrap_or_else(|| self.runtime.version().to_owned()),
                sha256: self.library.sha256,
                origin: self.library.origin.to_string(),
            },
            corpus_sha256: self.corpus_sha256,
            recipe_sha256: self.recipe.sha256,
        };
        Judged { results, failures }
    }
}

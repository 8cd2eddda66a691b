//! All gates over all candidates, and the results they make together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::{BaseKind, Runtime};

use crate::artifacts::Artifact;
use crate::base::Base;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fetch::{Fetcher, RuntimeLibrary};
use crate::gates::{
    Comparison, Gate, Progress, Subject, Utterance, compare, provider_gate, smoke_gate, speed_gate,
    utterances,
};
use crate::host::Host;
use crate::recipe::Recipe;
use crate::results::{
    BaseResult, BenchmarkSetting, CandidateResult, GateResults, ProviderBenchmarks, Results, RuntimeResult,
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
    bench: Vec<Utterance>,
    corpus_sha256: Digest,
    gates: Vec<Gate>,
    audio: PathBuf,
    scratch: PathBuf,
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

impl<'a> Judge<'a> {
    /// Fetches and loads what the gates need. `only` names the gates to run; empty means all.
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
        let (runtime, library) = workspace.runtime(fetcher)?;
        Ok(Self {
            recipe,
            runtime,
            library,
            base: Subject::of_base(base)?,
            base_kind: base.kind,
            smoke,
            bench,
            corpus_sha256: corpus.sha256(),
            gates: if only.is_empty() { Gate::ALL.to_vec() } else { only.to_vec() },
            audio: workspace.artifacts().audio(),
            scratch: workspace.artifacts().staged().join("profile"),
            progress: Progress::stderr(workspace.environment().redraws()),
        })
    }

    /// Judges every candidate; a refusal is no error.
    ///
    /// # Errors
    /// [`Failure::Model`] when the base itself does not speak, or a candidate's file changed.
    pub fn all<'c>(&self, candidates: impl Iterator<Item = (SchemeName, &'c Artifact)>) -> Result<Judged> {
        let mut judged = Vec::new();
        for (scheme, artifact) in candidates {
            let subject = Subject::of_artifact(artifact)?;
            if subject.sha256 != artifact.sha256()? {
                return Err(anyhow!("`{}` changed since it was made", artifact.path.display())
                    .context(Failure::Model));
            }
            judged.push((scheme, artifact, subject, GateResults::default()));
        }
        if self.gates.contains(&Gate::Smoke) {
            let smoke = self.hear(&self.base)?;
            smoke
                .report
                .into_result(&self.base.name)
                .context("the base itself does not speak")
                .context(Failure::Model)?;
        }
        for (scheme, _, subject, gates) in &mut judged {
            self.one(*scheme, subject, gates)?;
        }
        let mut comparison = None;
        // What does not run cannot be timed.
        let runs = |gates: &GateResults| gates.provider.as_ref().is_none_or(|report| report.pass);
        if self.gates.contains(&Gate::Bench) && judged.iter().all(|(_, _, _, gates)| runs(gates)) {
            let subjects: Vec<&Subject> =
                std::iter::once(&self.base).chain(judged.iter().map(|(_, _, subject, _)| subject)).collect();
            let measured =
                compare(&self.runtime, &subjects, &self.bench, &self.recipe.gates.bench, self.progress)?;
            for (scheme, _, subject, gates) in &mut judged {
                let benchmark = measured.model(&subject.name).context("a model was not measured")?;
                gates.bench = Some(speed_gate(benchmark, scheme.thresholds(self.recipe))?);
            }
            comparison = Some(measured);
        }
        Ok(self.results(judged, comparison.as_ref()))
    }

    fn one(&self, scheme: SchemeName, subject: &Subject, gates: &mut GateResults) -> Result<()> {
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

    fn hear(&self, subject: &Subject) -> Result<crate::gates::Smoke> {
        smoke_gate(&self.runtime, subject, &self.recipe.gates.smoke, &self.smoke, &self.audio, self.progress)
    }

    fn results(
        &self,
        judged: Vec<(SchemeName, &Artifact, Subject, GateResults)>,
        comparison: Option<&Comparison>,
    ) -> Judged {
        let (mut candidates, mut failures) = (BTreeMap::new(), Vec::new());
        for (scheme, artifact, subject, gates) in judged {
            let lines: Vec<String> =
                gates.reports().flat_map(|report| report.failures(&subject.name)).collect();
            if !lines.is_empty() {
                failures.push(Refusal { scheme, lines });
            }
            let benchmark = comparison.and_then(|comparison| comparison.model(&subject.name));
            let file = artifact.metadata.name.to_string();
            let result = CandidateResult::new(file, &self.base, &subject, gates, benchmark);
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
            base: BaseResult::new(&self.base, self.base_kind),
            candidates,
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

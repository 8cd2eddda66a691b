//! The gates on execution providers other than the CPU: the base and every candidate that runs, held against the base on the
//! CPU.
//!
//! Invariant: nothing that a provider does or lacks is an error or changes what the CPU's gates said of a candidate. It
//! is a failed check of that provider instead.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kokoro_model::Provider;

use super::{Judge, One, Scope};
use crate::base::decode;
use crate::coreml;
use crate::fidelity::{Fidelity, Ruler, fidelity_gate};
use crate::gates::{
    Benchmark, Check, Evidence, ExecutionProvider, Extent, Gate, Report, Rounds, Subject, Timing, compare,
    ratio, ratio_gate,
};
use crate::providers::Asked;
use crate::recipe::Thresholds;
use crate::results::{
    CoremlResult, GateResults, Measured, ProviderGates, ProviderModel, ProviderResult, Unavailable,
};
use crate::scheme::SchemeName;

/// A model on a provider.
struct OnProvider<'r> {
    /// What the results call it.
    name: String,
    /// What it is held against: a candidate against the thresholds of its scheme, the base against those of the scheme that the
    /// recipe likes best.
    thresholds: Option<&'r Thresholds>,
    subject: Subject,
    gates: GateResults,
    fidelity: Option<Fidelity>,
}

impl OnProvider<'_> {
    fn speaks(&self) -> bool {
        self.gates.smoke.as_ref().is_none_or(|report| report.pass)
    }
}

impl Judge<'_> {
    /// What was found on each provider that was asked for, but for the CPU.
    pub(super) fn on_providers(
        &self,
        asked: &[Asked],
        judged: &[One<'_>],
    ) -> Result<Vec<(ExecutionProvider, ProviderResult)>> {
        let others = asked.iter().filter(|asked| asked.name != ExecutionProvider::Cpu);
        let on = |Asked { name, provider }: &Asked| {
            let found = match provider {
                Ok(provider) => ProviderResult::Available(self.on_provider(*name, provider, judged)?),
                Err(reason) => {
                    self.progress.say(&format!("no `{name}` here: {reason}"));
                    ProviderResult::Unavailable(Unavailable::new(reason))
                }
            };
            Ok((*name, found))
        };
        others.map(on).collect()
    }

    /// What CoreML would take of the base and of every candidate that runs, where the provider gate is asked for.
    pub(super) fn coreml(&self, judged: &[One<'_>]) -> Result<BTreeMap<String, CoremlResult>> {
        if !self.gates.contains(&Gate::Provider) {
            return Ok(BTreeMap::new());
        }
        let proved = |one: &One<'_>| one.proved.map(|proved| proved.coreml.clone());
        let candidates = judged.iter().filter(|one| one.runs()).map(|one| (&one.subject, proved(one)));
        let base = self.question.proof.map(|proof| proof.coreml.clone());
        let predicted = |(subject, known): (&Subject, Option<CoremlResult>)| -> Result<_> {
            if let Some(known) = known {
                return Ok((subject.name.clone(), known));
            }
            let folded = coreml::fold(&self.engine.runtime, decode(&subject.name, &subject.model)?)?;
            let from = coreml::decoder(&self.recipe.probe, &folded)?;
            let prediction = coreml::predict(&folded, coreml::Options::default(), &from)?;
            Ok((subject.name.clone(), CoremlResult::of(&prediction)))
        };
        let named = |one: (&Subject, _)| {
            let name = one.0.name.clone();
            predicted(one).with_context(|| format!("`{name}`"))
        };
        std::iter::once((&self.base, base)).chain(candidates).map(named).collect()
    }

    fn on_provider(
        &self,
        name: ExecutionProvider,
        provider: &Provider,
        judged: &[One<'_>],
    ) -> Result<ProviderGates> {
        let best = self.recipe.choose.first().and_then(|name| SchemeName::parse(name));
        let model = |of: &Subject, scheme: Option<SchemeName>| -> Result<_> {
            Ok(OnProvider {
                name: of.name.clone(),
                thresholds: scheme.map(|scheme| scheme.thresholds(self.recipe)),
                subject: of.on(name, provider)?,
                gates: GateResults::default(),
                fidelity: None,
            })
        };
        let candidates =
            judged.iter().filter(|one| one.runs()).map(|one| model(&one.subject, Some(one.scheme)));
        let models: Result<Vec<_>> = std::iter::once(model(&self.base, best)).chain(candidates).collect();
        let mut models = models?;
        if self.gates.contains(&Gate::Smoke) {
            for model in &mut models {
                let smoke = self.hear(&model.subject, Extent::Full)?;
                model.gates.smoke = Some(smoke.report);
                model.gates.spoken = smoke.spoken;
            }
        }
        if self.gates.contains(&Gate::Fidelity) && models.iter().any(OnProvider::speaks) {
            let ruler = self.ruler()?;
            for model in models.iter_mut().filter(|model| model.speaks()) {
                self.fidelity_on(&ruler, model);
            }
        }
        let times = if self.gates.contains(&Gate::Bench) { self.times_on(&mut models) } else { Vec::new() };
        let setting = match provider {
            Provider::Plugin(plugin) => format!("{}, {}", provider.name(), plugin.device()),
            Provider::OpenVino => {
                format!("{}, built in, CPU, FP32, the shape of the STFT declared", provider.name())
            }
            Provider::CoreMl { format, units } => format!("{}, {format:?}, {units:?}", provider.name()),
            _ => provider.name().to_owned(),
        };
        let models: BTreeMap<_, _> =
            models.into_iter().map(|model| result(&self.base, model, &times)).collect();
        Ok(ProviderGates { available: true, setting, models })
    }

    fn fidelity_on(&self, ruler: &Ruler<'_>, model: &mut OnProvider<'_>) {
        match ruler.measure(&model.subject, |_| false, &self.folders.audio) {
            Ok(fidelity) => {
                model.gates.fidelity = model.thresholds.map(|it| fidelity_gate(&fidelity, &it.fidelity));
                model.fidelity = Some(fidelity);
            }
            Err(error) => model.gates.fidelity = Some(not_done(Gate::Fidelity, &error)),
        }
    }

    /// The base on the CPU, then all models that speak on the provider, timed in the same rounds; nothing if one of them
    /// cannot be timed, which each is told of.
    fn times_on(&self, models: &mut [OnProvider<'_>]) -> Vec<Benchmark> {
        let speaking = || models.iter().filter(|model| model.speaks()).map(|model| &model.subject);
        if speaking().next().is_none() {
            return Vec::new();
        }
        let subjects: Vec<&Subject> = std::iter::once(&self.base).chain(speaking()).collect();
        let rounds = Rounds::of(&self.recipe.gates.bench, self.question.scope == Scope::Full);
        let sentences = &self.sentences.bench;
        let timing = Timing { sentences, rounds, least: &BTreeMap::new(), once: &[] };
        match compare(&self.engine.runtime, &subjects, timing, self.progress) {
            Ok(comparison) => comparison.models,
            Err(error) => {
                for model in models.iter_mut().filter(|model| model.speaks()) {
                    model.gates.bench = Some(not_done(Gate::Bench, &error));
                }
                Vec::new()
            }
        }
    }
}

/// What the results say of a model; `times` are those of all models that were timed.
fn result(base: &Subject, model: OnProvider<'_>, times: &[Benchmark]) -> (String, ProviderModel) {
    let OnProvider { name, thresholds, subject, mut gates, fidelity } = model;
    let of = |name: &str| times.iter().find(|benchmark| benchmark.name == name);
    let own = of(&subject.name);
    // Behind the base on the CPU comes that on the provider, if it speaks there.
    let base_here = subject.name.strip_prefix(&*name).and_then(|at| of(&format!("{}{at}", base.name)));
    let is_base = name == base.name;
    let speed_ratio = base_here.zip(own).filter(|_| !is_base).and_then(|(base, own)| ratio(base, own));
    if let (Some(ratio), Some(thresholds)) = (speed_ratio, thresholds) {
        gates.bench = Some(ratio_gate(ratio, thresholds, Evidence::NotDisproved));
    }
    let found = ProviderModel {
        sha256: subject.sha256,
        gates,
        fidelity,
        benchmark: own.map(Measured::of),
        speed_ratio,
        over_cpu: own.and_then(|own| own.speed_ratio),
    };
    (name, found)
}

/// A gate that could measure nothing, and why.
fn not_done(gate: Gate, error: &anyhow::Error) -> Report {
    let check = Check::at_most("not_measured", 1.0, 0.0, "models").with_detail(format!("{error:#}"));
    Report::new(gate, vec![check])
}

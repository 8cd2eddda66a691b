//! What the models say that others are measured against: the base, and its exact rewrite.

use anyhow::{Context as _, Result, anyhow};
use quantizer::{model, rewrite};

use super::kept::{Kept, Key, RatingKey};
use super::{Dnsmos, Scores, Setting, Speech};
use crate::crew::{jobs, share_out};
use crate::failure::Failure;
use crate::gates::{Subject, Utterance};
use crate::host::Host;
use crate::recipe::ProbeRecipe;

/// A model that others are measured against: the name that its speech is kept under, and the model itself, which is
/// made only if something has to be spoken.
pub(super) struct Measure<'s> {
    pub(super) name: &'s str,
    pub(super) subject: &'s dyn Fn() -> Result<Subject>,
}

/// What the model says of each sentence, as the reference beside it does if there is one: found, or spoken now and
/// kept. Either all sentences have a reference or none.
pub(super) fn speak_or_find(
    setting: &Setting<'_>,
    kept: &Kept,
    Measure { name, subject }: Measure<'_>,
    sentences: &[(&Utterance, Option<&Speech>)],
) -> Result<Vec<Speech>> {
    let host = Host::here();
    let ProbeRecipe { durations, f0, energy } = setting.probe;
    let keys = sentences.iter().map(|(utterance, reference)| Key {
        model: name,
        forced: reference.is_some(),
        probe: [durations, f0, energy],
        runtime: setting.runtime_sha256,
        threads: setting.threads,
        host: &host,
        ids: &utterance.ids,
        style: utterance.style().values(),
        speed: utterance.speed,
    });
    let keys: Vec<_> = keys.collect();
    let mut found: Vec<_> = keys.iter().map(|key| kept.find(key)).collect::<Result<_>>()?;
    let missing: Vec<_> = (0..found.len()).filter(|&index| found[index].is_none()).collect();
    if !missing.is_empty() {
        let subject = subject()?;
        let file = setting.open(&subject, sentences.iter().any(|(_, reference)| reference.is_some()))?;
        let what = format!("fidelity, `{}` as the measure", subject.name);
        let mut steps = setting.progress.start(&what, missing.len());
        let spoken = share_out(
            jobs(setting.threads),
            &missing,
            |&index| sentences[index].0.ids.len(),
            || file.load(setting.runtime),
            |opened, &index| {
                let (utterance, reference) = sentences[index];
                let spoken = opened.speak(utterance, reference).map_err(anyhow::Error::from);
                let spoken = spoken
                    .and_then(|spoken| finite(spoken, utterance))
                    .with_context(|| format!("`{}` cannot be a measure", subject.name))
                    .context(Failure::Model)?;
                kept.keep(&keys[index], &spoken)?;
                Ok(spoken)
            },
            |&index| steps.small_step(&sentences[index].0.id),
        )?;
        for (index, speech) in missing.into_iter().zip(spoken) {
            found[index] = Some(speech);
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// How each of the `sounds` is rated: found, or rated now and kept; `None` where nothing rates.
pub(super) fn rate_or_find(
    setting: &Setting<'_>,
    kept: &Kept,
    sounds: &[Speech],
) -> Result<Vec<Option<Scores>>> {
    let Some(models) = setting.dnsmos else { return Ok(vec![None; sounds.len()]) };
    let (host, digests) = (Host::here(), models.digests());
    let keys =
        sounds.iter().map(|speech| RatingKey::new(digests, setting.runtime_sha256, &host, &speech.audio));
    let keys: Vec<_> = keys.collect();
    let mut found: Vec<_> = keys.iter().map(|key| kept.find_rating(key)).collect::<Result<_>>()?;
    // Sounds that are the same are rated once: two workers would write the same file.
    let is_first = |index: usize| keys[..index].iter().all(|earlier| earlier.audio != keys[index].audio);
    let missing: Vec<_> =
        (0..found.len()).filter(|&index| found[index].is_none() && is_first(index)).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let mut steps = setting.progress.start("fidelity, ratings of the measure", missing.len());
    let rated = share_out(
        jobs(1),
        &missing,
        |&index| sounds[index].audio.len(),
        || Dnsmos::load(setting.runtime, models),
        |dnsmos, &index| {
            let scores = dnsmos.rate(&sounds[index].audio)?;
            kept.keep_rating(&keys[index], &scores)?;
            Ok(scores)
        },
        |_| steps.small_step(""),
    );
    for (index, scores) in missing.into_iter().zip(rated.context(Failure::Model)?) {
        found[index] = Some(scores);
    }
    for (found, key) in found.iter_mut().zip(&keys).filter(|(found, _)| found.is_none()) {
        *found = kept.find_rating(key)?;
    }
    Ok(found)
}

fn finite(speech: Speech, utterance: &Utterance) -> Result<Speech> {
    let Speech { durations, f0, energy, audio } = &speech;
    if [durations, f0, energy, audio].iter().all(|values| values.iter().all(|value| value.is_finite())) {
        return Ok(speech);
    }
    Err(anyhow!("sentence `{}`: expected finite durations, F0, energy and samples", utterance.id))
}

/// The exact rewrite of a base.
pub(super) fn rewritten(base: &Subject) -> Result<Subject> {
    let mut decoded = crate::base::decode(&base.name, &base.model)?;
    let graph = model::graph_mut(&mut decoded).context(Failure::Model)?;
    let count = rewrite::reassociate(graph).context(Failure::Model)?;
    if count == 0 {
        let message = format!("`{}` has no square or quotient to rewrite, so no noise floor", base.name);
        return Err(anyhow!(message).context(Failure::Model));
    }
    let mut bytes = Vec::with_capacity(base.model.len());
    model::encode(&decoded, &mut bytes)?;
    let name = format!("{}, rewritten", base.name);
    Ok(Subject { options: base.options.clone(), ..Subject::new(name, bytes.into(), None)? })
}

//! Calibration: runs the base over sentences, measures what its activations are, and makes a plan of that.
//!
//! Measuring happens inside of the graph: what a run returns is a few numbers for each channel. A first round finds
//! each channel's range, a second one how much of it is better clipped.

use anyhow::{Context as _, Result, ensure};
use kokoro_model::probe::{Probe, Tensor};
use kokoro_model::{Runtime, SynthesizerOptions};
use quantizer::calibration::{Channel, Edges, Errors, Point, Ranges, Selection, Statistics};
use quantizer::calibration::{expose_errors, expose_statistics, points, prepare};
use quantizer::model;
use quantizer::proto::{GraphProto, ModelProto};
use quantizer::rewrite::Pass;

use crate::base::Base;
use crate::describe::vocabulary_size;
use crate::failure::Failure;
use crate::gates::{Progress, Utterance};

/// How the base is run.
#[derive(Debug, Clone, Copy)]
pub struct Calibrator<'a> {
    /// The library that runs it.
    pub runtime: &'a Runtime,
    /// Threads of the model; 0 is the runtime's own choice.
    ///
    /// There is one model. A second one at its side would be a little faster, and take another gibibyte.
    pub threads: usize,
    /// Where progress goes.
    pub progress: Progress,
}

/// A base, how it is rewritten, and what there is to measure in it then.
pub struct Calibration<'a> {
    base: &'a Base,
    rewrites: Vec<&'static Pass>,
    vocabulary_size: u32,
    convolutions: Vec<String>,
    points: Vec<Point>,
}

impl<'a> Calibration<'a> {
    /// Rewrites a copy of `base`, and finds the convolutions that are `selected` in it; of those that have `edges`, only what
    /// lies between these is measured.
    ///
    /// # Errors
    /// [`Failure::Model`]: not a sound model, or a selected convolution that is not one over time with constant weights.
    pub fn new(
        base: &'a Base,
        rewrites: Vec<&'static Pass>,
        selected: &Selection,
        edges: &[Edges],
    ) -> Result<Self> {
        let decoded = rewritten(base, &rewrites)?;
        let graph = model::graph(&decoded).context(Failure::Model)?;
        let nodes = graph.node.iter().filter(|node| selected.selects(node));
        let mut convolutions: Vec<String> = nodes.map(|node| node.name().to_owned()).collect();
        convolutions.sort();
        let mut points = points(graph, selected, edges)
            .with_context(|| format!("`{}` cannot be calibrated", base.name))
            .context(Failure::Model)?;
        // ONNX Runtime begins with what is behind the last node that nothing reads. So a value is measured soon after it
        // is there, and need not be kept until the end of the sentence, which takes gibibytes of a long one.
        points.reverse();
        Ok(Self { base, rewrites, vocabulary_size: vocabulary_size(&decoded)?, convolutions, points })
    }

    /// The names of the convolutions, sorted.
    pub fn convolutions(&self) -> &[String] {
        &self.convolutions
    }

    /// Whether there is nothing to measure.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The ranges of everything there is to measure, each channel clipped to the best of `ratios`.
    ///
    /// # Errors
    /// [`Failure::Model`]: a sentence that the model does not say, or an activation that is not finite.
    pub fn measure(
        &self,
        calibrator: &Calibrator<'_>,
        utterances: &[Utterance],
        ratios: &[f32],
    ) -> Result<Ranges> {
        ensure!(!utterances.is_empty(), "no sentence to calibrate with");
        let mut ranges = self.statistics(calibrator, utterances, "ranges")?;
        let mut errors = Errors::default();
        self.run(
            calibrator,
            utterances,
            "clipping",
            |graph| expose_errors(graph, &self.points, &ranges, ratios),
            |point, output| errors.add(point, output),
        )?;
        ranges.choose(&errors, ratios).context(Failure::Model)?;
        Ok(ranges)
    }

    /// The share of the channels that go beyond `ranges` by more than a half.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub fn beyond(
        &self,
        calibrator: &Calibrator<'_>,
        utterances: &[Utterance],
        ranges: &Ranges,
    ) -> Result<f64> {
        let heard = self.statistics(calibrator, utterances, "whether ranges cover")?;
        let (mut beyond, mut all) = (0, 0);
        for (value, heard) in &heard.values {
            let known = ranges.of(value, heard.len()).context(Failure::Model)?;
            let is_beyond = |(heard, known): &(&Channel, &Channel)| {
                heard.low < 1.5 * known.low || heard.high > 1.5 * known.high
            };
            beyond += heard.iter().zip(known).filter(is_beyond).count();
            all += heard.len();
        }
        Ok(beyond as f64 / all.max(1) as f64)
    }

    fn statistics(
        &self,
        calibrator: &Calibrator<'_>,
        utterances: &[Utterance],
        what: &str,
    ) -> Result<Ranges> {
        let mut statistics = Statistics::default();
        self.run(
            calibrator,
            utterances,
            what,
            |graph| expose_statistics(graph, &self.points),
            |point, output| statistics.add(point, output),
        )?;
        Ok(statistics.ranges())
    }

    /// Says every sentence with the outputs that `expose` adds for the points, and hands them to `add`, sentence by
    /// sentence in their order.
    fn run(
        &self,
        calibrator: &Calibrator<'_>,
        utterances: &[Utterance],
        what: &str,
        expose: impl FnOnce(&mut GraphProto) -> quantizer::error::Result<Vec<String>>,
        mut add: impl FnMut(&Point, &[f32]) -> quantizer::error::Result<()>,
    ) -> Result<()> {
        let (outputs, mut probe) = self.open(calibrator, expose)?;
        let mut steps = calibrator.progress.start(&format!("calibrating, {what}"), utterances.len());
        for utterance in utterances {
            let Utterance { id, ids, speed, .. } = utterance;
            let probed = probe.run(ids, utterance.style(), *speed, &[]);
            let mut values =
                probed.with_context(|| format!("sentence `{id}`")).context(Failure::Model)?.values;
            for (point, output) in self.points.iter().zip(&outputs) {
                let Tensor { values, .. } = values.remove(output).unwrap_or_default();
                add(point, &values).with_context(|| format!("sentence `{id}`")).context(Failure::Model)?;
            }
            steps.small_step(id);
        }
        Ok(())
    }

    /// Loads the model with the outputs that `expose` adds, and returns their names and the model.
    fn open(
        &self,
        calibrator: &Calibrator<'_>,
        expose: impl FnOnce(&mut GraphProto) -> quantizer::error::Result<Vec<String>>,
    ) -> Result<(Vec<String>, Probe)> {
        let name = &self.base.name;
        let mut opened = rewritten(self.base, &self.rewrites)?;
        let exposed = model::graph_mut(&mut opened).and_then(expose);
        let outputs = exposed.with_context(|| format!("`{name}`")).context(Failure::Model)?;
        let mut bytes = Vec::with_capacity(self.base.bytes.len());
        model::encode(&opened, &mut bytes)?;
        drop(opened);
        // What goes through 8 bits and back is to be measured, not to be taken for a part of a quantized model.
        let options = SynthesizerOptions::default()
            .vocabulary_size(self.vocabulary_size)
            .threads(calibrator.threads)
            .session_option("session.disable_quant_qdq", "1");
        let probe = Probe::from_bytes(calibrator.runtime, &bytes, &options, &[])
            .with_context(|| format!("`{name}` does not load with its graph opened"))
            .context(Failure::Model)?;
        Ok((outputs, probe))
    }
}

/// A copy of `base`, rewritten, whose tensors are slices of the base's bytes but for what was folded.
fn rewritten(base: &Base, rewrites: &[&Pass]) -> Result<ModelProto> {
    let mut decoded = base.decode()?;
    prepare(&mut decoded, rewrites.iter().copied())
        .with_context(|| format!("`{}` cannot be rewritten", base.name))
        .context(Failure::Model)?;
    Ok(decoded)
}

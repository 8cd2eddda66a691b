//! `OnesidedSTFT`.

use std::ops::RangeInclusive;

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::Float32;

use super::node::{Node, deal, is_small};
use crate::kernels::{Kernels, Stft};

/// How many frames a thread takes at once.
const FRAMES: usize = 256;

/// `OnesidedSTFT`: real signals to the spectra of their frames.
pub(super) struct OnesidedStft(pub Kernels);

/// A node, ready to run.
pub(super) struct Run {
    node: Node,
    kernels: Kernels,
    step: usize,
}

impl Operator for OnesidedStft {
    type Kernel<'attr> = Run;

    fn name(&self) -> &'static str {
        "OnesidedSTFT"
    }

    fn versions(&self) -> RangeInclusive<u32> {
        1..=1
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [Float32; 2].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> ort::Result<Run> {
        let node = Node::new("OnesidedSTFT", context)?;
        let step = context.get::<i64>("frame_step");
        let Some(step) = step.and_then(|step| usize::try_from(step).ok()).filter(|&step| step > 0) else {
            let found = step.map_or("none of type int".to_owned(), |step| step.to_string());
            return Err(
                node.refused(format!("expected an attribute `frame_step` of 1 or more, found {found}"))
            );
        };
        Ok(Run { node, kernels: self.0, step })
    }
}

impl Kernel for Run {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let &mut Self { ref node, kernels, step } = self;
        let missing = |name: &str| node.refused(format!("expected an input `{name}`, found none"));
        let signal = context.input(0)?.ok_or_else(|| missing("signal"))?;
        let window = context.input(1)?.ok_or_else(|| missing("window"))?;
        let (dims, samples) = signal.try_extract_tensor::<f32>()?;
        let (window_dims, window) = window.try_extract_tensor::<f32>()?;
        let (&([batch, length] | [batch, length, 1]), [_]) = (&**dims, &**window_dims) else {
            return Err(node.refused(format!(
                "expected `signal` of [N, L] or [N, L, 1] and `window` of [F], found {:?} and {:?}",
                &**dims, &**window_dims
            )));
        };
        let length = usize::try_from(length).unwrap_or(0);
        if window.is_empty() || length < window.len() {
            return Err(node.refused(format!(
                "expected `signal` to be as long as `window` at least, and that not empty, found {length} and {}",
                window.len()
            )));
        }
        let stft = Stft::new(window);
        let (frames, numbers) = (stft.frames(length, step), stft.numbers());
        let shape = [batch, frames as i64, numbers as i64 / 2, 2];
        let missing = || node.refused("expected an output, found none");
        let mut output = context.output(0, shape)?.ok_or_else(missing)?;
        let (_, spectra) = output.try_extract_tensor_mut::<f32>()?;
        let is_small = is_small(spectra.len());
        let parts = samples.chunks_exact(length).zip(spectra.chunks_exact_mut(frames * numbers));
        let parts = parts.flat_map(|(signal, spectra)| {
            let parts = spectra.chunks_mut(FRAMES * numbers).enumerate();
            parts.map(move |(part, spectra)| (&signal[part * FRAMES * step..], spectra))
        });
        deal(context, parts, is_small, |(signal, spectra)| stft.transform(signal, step, spectra, kernels))
    }
}

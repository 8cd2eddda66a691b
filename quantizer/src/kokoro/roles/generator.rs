//! The modules of the generator.

use super::super::reach::{Nodes, behind, in_front};
use super::{Roles, unlike};
use crate::error::Result;

impl Roles<'_, '_> {
    /// The transposed convolutions of the generator, in order: those of the trunk that mix channels,
    /// but for the inverse transform behind everything that takes the style.
    pub(super) fn ups(&self) -> Result<Vec<usize>> {
        let view = self.facts.view;
        let is_up = |&index: &usize| {
            self.trunk[index]
                && self.convolves(index).is_some_and(|it| it.is_transposed && !it.is_grouped())
                && {
                    let behind = behind(view, &[&self.nodes[index].output[0]], &[]);
                    self.all().any(|later| behind[later] && self.conditioned[later])
                }
        };
        let ups: Vec<usize> = self.all().filter(is_up).collect();
        if ups.is_empty() { Err(unlike("a ConvTranspose in the generator")) } else { Ok(ups) }
    }

    /// What makes samples of what the decoder says and of F0.
    pub(super) fn generator(&mut self) -> Result<()> {
        let view = self.facts.view;
        let ups = self.ups()?;
        for (stage, &index) in ups.iter().enumerate() {
            self.put(index, format!("generator/ups.{stage}"));
        }
        let post = self.post(&ups)?;
        self.put(post, "generator/conv_post");
        let end = behind(view, &[&self.nodes[post].output[0]], &[]);
        let body = behind(view, &[&self.nodes[ups[0]].output[0]], &[]);
        let above: Vec<Nodes> =
            ups.iter().map(|&up| behind(view, &[&self.nodes[up].output[0]], &[])).collect();

        // Beside the trunk: the source, its transform, and what is made of that for each stage.
        let source: Vec<usize> = self
            .all()
            .filter(|&index| self.pitched[index] && !self.trunk[index] && self.found[index].is_none())
            .collect();
        let mixes = |index| self.convolves(index).is_some_and(|it| it.inputs > 1) && !self.styled[index];
        let noise: Vec<usize> = source.iter().copied().filter(|&index| mixes(index)).collect();
        for index in noise {
            let later = behind(view, &[&self.nodes[index].output[0]], &[]);
            // The stage that it joins the trunk in.
            let joint = self.all().find(|&at| later[at] && self.trunk[at]);
            let reached = joint.map_or(0, |at| above.iter().filter(|above| above[at]).count());
            let stage = reached.saturating_sub(1);
            let own: Vec<usize> =
                source.iter().copied().filter(|&at| later[at] && self.found[at].is_none()).collect();
            self.put(index, format!("generator/noise_convs.{stage}"));
            self.residual(&own, &format!("generator/noise_res.{stage}"));
        }
        for index in source {
            self.put(index, "generator/source");
        }

        // Residual blocks, several side by side in each stage, told apart by how far they reach.
        for stage in 0..ups.len() {
            let own: Vec<usize> = self
                .all()
                .filter(|&at| body[at] && !end[at] && above.iter().filter(|it| it[at]).count() == stage + 1)
                .filter(|&at| self.found[at].is_none())
                .collect();
            let mut kernels: Vec<usize> =
                own.iter().filter_map(|&at| self.convolves(at)).map(|it| it.kernel).collect();
            kernels.sort_unstable();
            kernels.dedup();
            let of_kernel = |index, kernel| self.convolves(index).is_some_and(|it| it.kernel == kernel);
            let before: Vec<Nodes> = kernels
                .iter()
                .map(|&kernel| {
                    let own = own.iter().filter(|&&at| of_kernel(at, kernel));
                    let inputs: Vec<&str> =
                        own.flat_map(|&at| self.nodes[at].input.iter().map(String::as_str)).collect();
                    in_front(view, &inputs, &[])
                })
                .collect();
            for (position, &kernel) in kernels.iter().enumerate() {
                let belongs = |&at: &usize| match self.convolves(at) {
                    Some(it) => it.kernel == kernel,
                    None => before.iter().enumerate().all(|(other, it)| it[at] == (other == position)),
                };
                let block: Vec<usize> = own.iter().copied().filter(belongs).collect();
                let number = stage * kernels.len() + position;
                self.residual(&block, &format!("generator/resblocks.{number}"));
            }
        }
        for index in self.all() {
            if end[index] {
                self.put(index, "generator/istft");
            } else if self.trunk[index] {
                self.put(index, "generator");
            }
        }
        Ok(())
    }

    /// The convolution that all sound goes through, behind everything that takes the style.
    fn post(&self, ups: &[usize]) -> Result<usize> {
        let view = self.facts.view;
        let behind_ups = behind(view, &[&self.nodes[ups[ups.len() - 1]].output[0]], &[]);
        let is_post = |&index: &usize| {
            if !behind_ups[index] || self.convolves(index).is_none() {
                return false;
            }
            let rest = in_front(view, &[&self.parts.audio], &[&self.nodes[index].output[0]]);
            !ups.iter().any(|&up| rest[up])
        };
        self.all().find(is_post).ok_or_else(|| unlike("a convolution behind all residual blocks"))
    }

    /// Names the convolutions of a residual block: two to each dilation.
    fn residual(&mut self, own: &[usize], role: &str) {
        let mut count = 0;
        for &index in own {
            if self.convolves(index).is_some() {
                self.put(index, format!("{role}/convs{}.{}", count % 2 + 1, count / 2));
                count += 1;
            } else {
                self.put(index, role);
            }
        }
    }
}

//! The convolution that computes edges, and how they come into what the other one gives.

use super::{Edged, Product};
use crate::graph::node;
use crate::proto::{NodeProto, TensorProto};
use crate::schemes::static_int8::convolution::Convolution;
use crate::schemes::static_int8::nodes::Nodes;

/// How the name of a convolution for edges ends; before that it is the name of the one for all of time.
pub const EDGES: &str = "/edges";

impl Edged {
    /// The nodes that bring the windows of a value to 8 bits, if there are any, given scales and zero points of the value.
    pub fn quantize(&mut self, value: &str, scales: &str, zeros: &str) -> Vec<NodeProto> {
        let Some(windows) = self.windows.get(value) else { return vec![] };
        let mut nodes = Nodes::new(&windows.prefix);
        let times = self.constants.float(windows.times);
        let scale = nodes.add("Mul", &[scales, &times], "scale");
        nodes.add("QuantizeLinear", &[&windows.value(), &scale, zeros], "levels");
        nodes.with("axis", 1);
        nodes.nodes
    }

    /// The nodes that compute the edges of `convolution` and put them into what `dequantize` gives, and the `bias` that they
    /// need; `None` where it has no edges. `convolve` is the convolution for all of time.
    pub fn convolve(
        &mut self,
        convolution: &Convolution<'_>,
        convolve: &NodeProto,
        dequantize: &mut NodeProto,
        bias: impl FnOnce(&str) -> TensorProto,
    ) -> Option<(Vec<NodeProto>, TensorProto)> {
        let ends = convolution.ends?;
        let windows = self.windows.get(convolution.input)?.clone();
        let root = self.roots.get(convolution.output)?.clone();
        let prefix = format!("edges/c{}", self.products.len());
        let mut nodes = Nodes::new(&prefix);
        let [before, after] = [windows.times, ends.times].map(|times| self.constants.float(times));
        let bias = bias(&nodes.name("bias"));

        // Inputs are levels, their scale and zero point, weights, their scales and zero points, scale and zero point of the
        // output, and the bias.
        let mut twin = convolve.clone();
        let product = nodes.name("product");
        twin.name = Some(format!("{}{EDGES}", convolve.name()));
        twin.output = vec![product.clone()];
        let others = [(0, windows.levels()), (1, before), (6, after.clone()), (8, bias.name().to_owned())];
        for (position, name) in others {
            twin.input[position] = name;
        }
        nodes.nodes.push(twin);
        let [first, last] = ["first", "last"].map(|what| nodes.name(what));
        nodes.nodes.push(node("Split", &first, &[&product], &[&first, &last]));
        nodes.with("axis", 0);
        nodes.with("num_outputs", 2);
        let [first, last] = self.ends(&first, &last, ends.positions, &mut nodes, "end");
        let levels = nodes.concat(&[&first, &last], 2, "ends");

        let [scale, zeros] = [1, 2].map(|position| dequantize.input[position].clone());
        let coarser = nodes.add("Mul", &[&scale, &after], "scale");
        let exact = nodes.add("DequantizeLinear", &[&levels, &coarser, &zeros], "exact");
        nodes.with("axis", 1);
        let places = self.places_of(&exact, convolution.outputs, &root, ends.positions, &mut nodes);
        let body = nodes.name("body");
        let name = nodes.name("ScatterElements");
        nodes.nodes.push(node("ScatterElements", name, &[&body, &places, &exact], &[convolution.output]));
        nodes.with("axis", 2);
        dequantize.output = vec![body];
        self.products.insert(convolve.output[0].clone(), Product { prefix, ends, root, zeros });
        Some((nodes.nodes, bias))
    }

    /// Where each element of `edges`, of so many `channels`, belongs.
    fn places_of(
        &mut self,
        edges: &str,
        channels: usize,
        root: &str,
        count: usize,
        nodes: &mut Nodes,
    ) -> String {
        let places = self.places(root, count, nodes);
        let all = format!("{root}/places.{count}.{channels}");
        if self.shared.insert(all.clone()) {
            let shape = nodes.add("Shape", &[edges], "shape");
            nodes.nodes.push(node("Expand", &all, &[&places, &shape], &[&all]));
        }
        all
    }

    /// Where the edges of what is as long as `root` are, int64 [1, 1, 2 · min(`count`, T)]: the last ones below 0, counted from
    /// the end.
    fn places(&mut self, root: &str, count: usize, nodes: &mut Nodes) -> String {
        let length = self.length(root, nodes);
        let places = format!("{root}/places.{count}");
        if self.shared.insert(places.clone()) {
            let [time, zero, end] = [2, 0, i64::MAX].map(|value| self.constants.integer(value));
            let up = self.constants.row(0, count);
            let down = self.constants.row(-(count as i64), count);
            let back = nodes.add("Neg", &[&length], "back");
            let up = nodes.add("Slice", &[&up, &zero, &length, &time], "up");
            let down = nodes.add("Slice", &[&down, &back, &end, &time], "down");
            nodes.nodes.push(node("Concat", &places, &[&up, &down], &[&places]));
            nodes.with("axis", 2);
        }
        places
    }

    /// T of a value [N, C, T], int64 [1].
    pub(super) fn length(&mut self, root: &str, nodes: &mut Nodes) -> String {
        let length = format!("{root}/length");
        if self.shared.insert(length.clone()) {
            nodes.nodes.push(node("Shape", &length, &[root], &[&length]));
            nodes.with("start", 2);
            nodes.with("end", 3);
        }
        length
    }

    /// 1 for each of the places of [`Self::places`], and 0 for those in the last ones that are in the first ones, too: float
    /// [1, 1, 2 · min(`count`, T)].
    pub(super) fn once(&mut self, root: &str, count: usize, nodes: &mut Nodes) -> String {
        let places = self.places(root, count, nodes);
        let length = self.length(root, nodes);
        let once = format!("{root}/once.{count}");
        if self.shared.insert(once.clone()) {
            let [zero, limit] = [0, count as i64].map(|value| self.constants.integer(value));
            let beyond = nodes.add("Sub", &[&length, &limit], "beyond");
            let behind = nodes.add("Add", &[&places, &beyond], "behind");
            let either = nodes.add("Max", &[&places, &behind], "either");
            let is_new = nodes.add("GreaterOrEqual", &[&either, &zero], "is_new");
            let float = nodes.cast(&is_new, crate::proto::tensor_proto::DataType::Float, "once");
            if let Some(cast) = nodes.nodes.last_mut() {
                cast.output = vec![once.clone()];
                debug_assert_eq!(cast.name(), float);
            }
        }
        once
    }
}

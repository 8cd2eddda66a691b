//! Edges where a table is indexed by bytes: what they add to mean and variance, and the argument in their windows.

use super::{Edged, Product};
use crate::proto::tensor_proto::DataType;
use crate::schemes::static_int8::nodes::Nodes;

/// A level of a convolution for edges as a level of the one for all of time, whose unit is smaller: `slope · level + start`.
struct Finer {
    slope: String,
    start: String,
}

impl Edged {
    /// The mean and the mean square of the levels `value` over time, and the norm's argument in its windows.
    ///
    /// What the edges make of the `sums` of all levels, each divided by T, is for each position `e − b` and
    /// `(e − b) · (e + b)`, where `e` is the level that is computed for the edge, which may be below 0 and beyond 255, and
    /// `b` the byte. So these are sums over what there really is, and the variance is not below 0 but for rounding.
    pub fn moments(
        &mut self,
        value: &str,
        [mean, square]: [&str; 2],
        nodes: &mut Nodes,
    ) -> Option<[String; 2]> {
        let Product { prefix, ends, root, .. } = self.products.get(value)?.clone();
        let finer = self.finer(value, nodes)?;
        let [first, last] = self.ends(value, value, ends.positions, nodes, "byte");
        let bytes = nodes.concat(&[&first, &last], 2, "bytes");
        let bytes = nodes.cast(&bytes, DataType::Float, "near");
        let levels = nodes.cast(&format!("{prefix}/ends"), DataType::Float, "far");
        let levels = nodes.add("Mul", &[&levels, &finer.slope], "far_rise");
        let levels = nodes.add("Add", &[&levels, &finer.start], "exact");

        let once = self.once(&root, ends.positions, nodes);
        let difference = nodes.add("Sub", &[&levels, &bytes], "off");
        let difference = nodes.add("Mul", &[&difference, &once], "off_once");
        let sum = nodes.add("Add", &[&levels, &bytes], "total");
        let squares = nodes.add("Mul", &[&difference, &sum], "off_square");
        let length = self.length(&root, nodes);
        let count = nodes.cast(&length, DataType::Float, "count");
        let time = self.constants.integer(2);
        let mut added = |values: &str, to: &str, what: &str| {
            let sum = nodes.add("ReduceSum", &[values, &time], &format!("{what}.sum"));
            let part = nodes.add("Div", &[&sum, &count], &format!("{what}.part"));
            nodes.add("Add", &[to, &part], what)
        };
        Some([added(&difference, mean, "mean.all"), added(&squares, square, "mean_square.all")])
    }

    /// The norm's result in the windows of `value`, where of a level it is `slope · level + start`, both [N, C, 1]. After
    /// [`Self::moments`].
    pub fn arguments(&mut self, value: &str, [slope, start]: [&str; 2], nodes: &mut Nodes) -> Option<String> {
        let windows = self.products.get(value)?.windows();
        let finer = self.finer(value, nodes)?;
        let shift = nodes.add("Mul", &[&finer.start, slope], "far_shift");
        let start = nodes.add("Add", &[start, &shift], "far_start");
        let slope = nodes.add("Mul", &[&finer.slope, slope], "far_slope");
        // Both windows of an element of the batch have the same norm.
        let slope = nodes.concat(&[&slope, &slope], 0, "far_slopes");
        let start = nodes.concat(&[&start, &start], 0, "far_starts");
        let levels = nodes.cast(&windows, DataType::Float, "far_levels");
        let rise = nodes.add("Mul", &[&levels, &slope], "far_rises");
        Some(nodes.add("Add", &[&rise, &start], "far_arguments"))
    }

    fn finer(&mut self, value: &str, nodes: &mut Nodes) -> Option<Finer> {
        let Product { prefix, ends, zeros, .. } = self.products.get(value)?.clone();
        let slope = self.constants.float(ends.times);
        let start = format!("{prefix}/start");
        // Both stand for 0 at the zero point.
        if self.shared.insert(start.clone()) {
            let [rest, rows] = [self.constants.float(1.0 - ends.times), self.constants.rows()];
            let zeros = nodes.cast(&zeros, DataType::Float, "zeros");
            let zeros = nodes.add("Reshape", &[&zeros, &rows], "zero_rows");
            nodes.nodes.push(crate::graph::node("Mul", &start, &[&zeros, &rest], &[&start]));
        }
        Some(Finer { slope, start })
    }
}

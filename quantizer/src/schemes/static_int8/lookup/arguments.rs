//! The index into a table, and the arguments of the function that its entries stand for.

use super::{Chain, FIRST, HALF, ROWS, Shared, TIME};
use crate::graph::attribute;
use crate::proto::tensor_proto::DataType;
use crate::schemes::static_int8::edges::Edged;
use crate::schemes::static_int8::nodes::Nodes;
use crate::tensor;

/// What a table is indexed by, and made of.
pub(super) struct Arguments {
    /// The index of each element.
    pub index: String,
    /// The argument that each entry stands for.
    pub entries: String,
    /// The arguments in the windows of the result.
    pub windows: Option<String>,
}

impl Chain<'_> {
    /// Index and arguments where the norm's input has 256 levels.
    ///
    /// With the mean `m` and the variance `v` of the levels `X`, whose unit `t` only counts against `ε`, the norm of
    /// level `i` with scale and bias is `γ · (i − m)/√(v + ε/t²) + β`.
    pub(super) fn of_levels(
        &self,
        value: &str,
        scales: &[f32],
        nodes: &mut Nodes,
        tensors: &mut Shared,
        edged: &mut Edged,
    ) -> Option<Arguments> {
        let epsilon =
            f64::from(attribute(self.norm, "epsilon").map_or(1e-5, crate::proto::AttributeProto::f));
        // Beyond what a float32 holds nothing else counts beside it.
        let smallest =
            |&scale: &f32| (epsilon / f64::from(scale).powi(2)).min(f64::from(f32::MAX) / 2.0) as f32;
        let epsilons: Vec<f32> = scales.iter().map(smallest).collect();
        let [x, scale, bias] = [value, &self.norm.input[1], &self.norm.input[2]];
        let ramp = tensors.ramp(256);
        let epsilon = nodes.name("epsilon");
        tensors.add(tensor::from_f32(&epsilon, &[1, epsilons.len(), 1], &epsilons));

        let index = nodes.cast(x, DataType::Int32, "index");
        let float = nodes.cast(x, DataType::Float, "levels");
        let mean = nodes.add("ReduceMean", &[&float, TIME], "mean");
        let square = nodes.add("Mul", &[&float, &float], "square");
        let mean_square = nodes.add("ReduceMean", &[&square, TIME], "mean_square");
        let [mean, mean_square] = match &self.windows {
            Some(_) => edged.moments(value, [&mean, &mean_square], nodes)?,
            None => [mean, mean_square],
        };
        let square_mean = nodes.add("Mul", &[&mean, &mean], "square_mean");
        let difference = nodes.add("Sub", &[&mean_square, &square_mean], "difference");
        // Rounding may leave a constant channel below 0.
        let variance = nodes.add("Max", &[&difference, FIRST], "variance");
        let sum = nodes.add("Add", &[&variance, &epsilon], "sum");
        let deviation = nodes.add("Sqrt", &[&sum], "deviation");
        let scale = nodes.add("Reshape", &[scale, ROWS], "scale");
        let bias = nodes.add("Reshape", &[bias, ROWS], "bias");
        let slope = nodes.add("Div", &[&scale, &deviation], "slope");
        let shift = nodes.add("Mul", &[&mean, &slope], "shift");
        let start = nodes.add("Sub", &[&bias, &shift], "start");
        let rise = nodes.add("Mul", &[&ramp, &slope], "rise");
        let entries = nodes.add("Add", &[&rise, &start], "arguments");
        let windows = match &self.windows {
            Some(_) => Some(edged.arguments(value, [&slope, &start], nodes)?),
            None => None,
        };
        Some(Arguments { index, entries, windows })
    }

    /// Index and arguments where the norm's input is a float. `None` where the function does not rise over the range of
    /// the quantization.
    pub(super) fn of_float(
        &self,
        nodes: &mut Nodes,
        tensors: &mut Shared,
        edged: &mut Edged,
    ) -> Option<Arguments> {
        let rows = self.ends.iter().enumerate().map(|(channel, &(low, high))| {
            let (first, last) = self.function.preimage(channel, low, high)?;
            let step = (last - first) / (f64::from(self.entries) - 1.0);
            Some([step, first].map(|number| number as f32))
        });
        let rows: Vec<[f32; 2]> = rows.collect::<Option<_>>()?;
        if !rows.iter().flatten().all(|number| number.is_finite()) {
            return None;
        }
        let mut constant = |what: &str, row: usize| {
            let name = nodes.name(what);
            let values: Vec<f32> = rows.iter().map(|numbers| numbers[row]).collect();
            tensors.add(tensor::from_f32(&name, &[values.len()], &values));
            name
        };
        let (step, first) = (constant("step", 0), constant("first", 1));
        let (ramp, end) = (tensors.ramp(self.entries), tensors.last(self.entries));

        // Cast cuts off, so a half is added for it to round.
        let inverse = nodes.add("Reciprocal", &[&step], "inverse");
        let start = nodes.add("Mul", &[&first, &inverse], "start");
        let offset = nodes.add("Sub", &[HALF, &start], "offset");
        let scale = nodes.add("Mul", &[&self.norm.input[1], &inverse], "scale");
        let product = nodes.add("Mul", &[&self.norm.input[2], &inverse], "product");
        let bias = nodes.add("Add", &[&product, &offset], "bias");
        let position = nodes.add("InstanceNormalization", &[&self.norm.input[0], &scale, &bias], "position");
        if let Some(norm) = nodes.nodes.last_mut() {
            norm.attribute.clone_from(&self.norm.attribute);
        }
        let kept = nodes.add("Clip", &[&position, FIRST, &end], "kept");
        let index = nodes.cast(&kept, DataType::Int32, "index");
        let [step, first] = [(&step, "steps"), (&first, "firsts")]
            .map(|(value, what)| nodes.add("Reshape", &[value, ROWS], what));
        let rise = nodes.add("Mul", &[&ramp, &step], "rise");
        let entries = nodes.add("Add", &[&rise, &first], "arguments");
        let windows = self.windows.as_ref().map(|(_, width)| {
            // What is looked up is cut off at the ends of the table; the windows are not.
            let cut = edged.cut(&position, *width, nodes, "cut");
            let half = nodes.add("Mul", &[&step, HALF], "half_step");
            let lowest = nodes.add("Sub", &[&first, &half], "lowest");
            let rise = nodes.add("Mul", &[&cut, &step], "window_rise");
            nodes.add("Add", &[&rise, &lowest], "window_arguments")
        });
        Some(Arguments { index, entries, windows })
    }
}

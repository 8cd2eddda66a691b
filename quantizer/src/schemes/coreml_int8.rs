//! `coreml-int8`: `weights-int8` of a graph that is rewritten for ONNX Runtime's `CoreML` provider.

use super::{Scheme, Summary, WeightsInt8, pattern};
use crate::error::Result;
use crate::proto::GraphProto;
use crate::{coreml, rewrite};

/// Rewrites the graph by [`coreml::PASSES`] and stores its weights as the scheme within does; what the passes put in stays
/// float.
pub struct CoremlInt8(pub WeightsInt8);

impl Scheme for CoremlInt8 {
    fn name(&self) -> &'static str {
        "coreml-int8"
    }

    fn apply(&self, graph: &mut GraphProto) -> Result<Summary> {
        rewrite::apply(graph, &coreml::PASSES)?;
        // Ones and zeros, which a scale would round.
        let own = format!("^{}", coreml::PREFIX);
        let exclude = match &self.0.exclude {
            Some(exclude) => format!("{own}|{}", exclude.as_str()),
            None => own,
        };
        let WeightsInt8 { min_elements, ref finer, .. } = self.0;
        WeightsInt8 { min_elements, exclude: Some(pattern(&exclude)?), finer: finer.clone() }.apply(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{node, string_attribute};
    use crate::proto::tensor_proto::DataType;
    use crate::proto::{TypeProto, ValueInfoProto, tensor_shape_proto, type_proto};
    use crate::tensor::{element_type, from_f32};

    #[test]
    fn what_the_passes_put_in_stays_float() {
        let dim = |size: i64| tensor_shape_proto::Dimension {
            value: (size > 0).then_some(tensor_shape_proto::dimension::Value::DimValue(size)),
            ..Default::default()
        };
        let shape = crate::proto::TensorShapeProto { dim: [1, 4, 0].map(dim).to_vec() };
        let tensor = type_proto::Tensor { elem_type: Some(DataType::Float.into()), shape: Some(shape) };
        let value = Some(type_proto::Value::TensorType(tensor));
        let x = ValueInfoProto {
            name: Some("x".into()),
            r#type: Some(TypeProto { value, ..Default::default() }),
            ..Default::default()
        };
        let mut resize = node("Resize", "", &["x", "", "scales"], &["h"]);
        resize.attribute.push(string_attribute("coordinate_transformation_mode", "asymmetric"));
        resize.attribute.push(string_attribute("nearest_mode", "floor"));
        let mut graph = GraphProto {
            node: vec![resize, node("Conv", "", &["h", "w"], &["y"])],
            initializer: vec![
                from_f32("scales", &[3], &[1.0, 1.0, 2.0]),
                from_f32("w", &[1, 4, 2], &[1.0, 0.5, -0.25, 2.0, 1.5, -1.0, 0.75, 0.125]),
            ],
            input: vec![x],
            output: vec![ValueInfoProto { name: Some("y".into()), ..Default::default() }],
            ..Default::default()
        };
        for exclude in [None, Some("nothing of this name")] {
            let exclude = exclude.map(|text| pattern(text).unwrap());
            let mut graph = graph.clone();
            let weights = WeightsInt8 { min_elements: 2, exclude, finer: vec![] };
            let summary = CoremlInt8(weights).apply(&mut graph).unwrap();
            let left: Vec<&str> = summary.left.iter().map(|left| left.name.as_str()).collect();
            assert_eq!((summary.quantized, left), (1, vec!["coreml/ones/4_1_2"]));
            let ones = graph.initializer.iter().find(|it| it.name() == "coreml/ones/4_1_2").unwrap();
            assert_eq!(element_type(ones), DataType::Float);
        }
        let weights = WeightsInt8 { min_elements: 2, exclude: Some(pattern("^w$").unwrap()), finer: vec![] };
        assert_eq!(CoremlInt8(weights).apply(&mut graph).unwrap().quantized, 0);
    }
}

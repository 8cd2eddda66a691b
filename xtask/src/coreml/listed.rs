//! The operators that ONNX Runtime lists for the CoreML provider, as its Python package 1.26.0 ships them in
//! `onnxruntime/tools/mobile_helpers/`.
//!
//! The lists are documentation and not what the provider goes by: they lag behind it, and a condition stands in them as a remark
//! at most. They are here because the check of that package looks at nothing else, so that ours can be held against it.

use quantizer::graph::attribute;
use quantizer::proto::NodeProto;

use super::Format;

/// Those of `coreml_supported_mlprogram_ops.md` in ONNX's own domain. `Argmax` is spelled so, and hence stands for no operator.
const ML_PROGRAM: &str = "Add Argmax AveragePool Cast Clip Concat Conv ConvTranspose DepthToSpace Div Elu Erf Exp \
    Gemm Gelu GlobalAveragePool GlobalMaxPool GridSample GroupNormalization HardSigmoid InstanceNormalization \
    LayerNormalization LeakyRelu MatMul MaxPool Max Mul Pow PRelu Reciprocal ReduceSum ReduceMean ReduceMax Relu \
    Reshape Resize Round Shape Slice Softplus Split Sub Sigmoid Softmax Sqrt Squeeze Tanh Transpose Unsqueeze";

/// Those of the same file in the domain `com.microsoft`.
const MICROSOFT_ML_PROGRAM: &str = "QuickGelu";

/// Those of `coreml_supported_neuralnetwork_ops.md`. `ReduceSum` stands there as `ai.onnx.ReduceSum`, which the check does not
/// read as an operator.
const NEURAL_NETWORK: &str = "Add ArgMax AveragePool BatchNormalization Cast Clip Concat Conv DepthToSpace Div Flatten \
    Gather Gemm GlobalAveragePool GlobalMaxPool LeakyRelu LRN MatMul MaxPool Mul Pad Pow PRelu Reciprocal Relu Reshape \
    Resize Shape Sigmoid Slice Softmax Split Squeeze Sqrt Sub Tanh Transpose";

/// The check takes no Transpose of more dimensions, and looks at no other shape.
const MOST_DIMENSIONS: usize = 5;

/// Whether the check of the package would count a node as one that can be taken, with shapes left aside.
pub fn is_listed(node: &NodeProto, format: Format) -> bool {
    let list = match (node.domain(), format) {
        ("" | "ai.onnx", Format::MlProgram) => ML_PROGRAM,
        ("" | "ai.onnx", Format::NeuralNetwork) => NEURAL_NETWORK,
        ("com.microsoft", Format::MlProgram) => MICROSOFT_ML_PROGRAM,
        _ => "",
    };
    let is_large = node.op_type() == "Transpose"
        && attribute(node, "perm").is_some_and(|perm| perm.ints.len() > MOST_DIMENSIONS);
    list.split_whitespace().any(|operator| operator == node.op_type()) && !is_large
}

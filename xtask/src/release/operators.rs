//! The operators that a released model may have.

/// The prefix of Microsoft's operators, as a census writes it.
const MICROSOFT: &str = "com.microsoft.";

/// Those of Microsoft's that the published base has.
const OF_MICROSOFT: [&str; 3] = ["FastGelu", "FusedMatMul", "SkipLayerNormalization"];

/// The operators of the ONNX standard that compute on tensors of numbers, by name; sorted. Without `ConvInteger`, which no
/// scheme may emit, and without control flow, which no export of the model has: what runs is what a census shows.
const STANDARD: &str = "\
    Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool \
    BatchNormalization Bernoulli BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast \
    CastLike Ceil Celu CenterCropPad Clip Col2Im Compress Concat Constant ConstantOfShape Conv \
    ConvTranspose Cos Cosh CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div Dropout \
    DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather \
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater \
    GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax \
    Identity InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual \
    Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean \
    MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Multinomial Neg NonMaxSuppression NonZero \
    Not OneHot Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN \
    RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 \
    ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare \
    Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT ScatterElements ScatterND \
    Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt \
    Squeeze Sub Sum Swish Tan Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu Unique \
    Unsqueeze Where Xor";

/// Whether an operator, named as a census names it, may be in a release.
pub(super) fn is_known(name: &str) -> bool {
    match name.strip_prefix(MICROSOFT) {
        Some(name) => OF_MICROSOFT.contains(&name),
        None => STANDARD.split(' ').any(|known| known == name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_says_no_to_what_no_model_may_have() {
        assert!(STANDARD.split(' ').is_sorted());
        for name in ["Conv", "QLinearConv", "com.microsoft.FastGelu", "LSTM", "STFT"] {
            assert!(is_known(name), "{name}");
        }
        for name in [
            "ConvInteger",
            "If",
            "Loop",
            "com.microsoft.Conv",
            "Conv ",
            "conv",
            "org.example.Conv",
            "Abs Acos",
        ] {
            assert!(!is_known(name), "{name}");
        }
    }
}

//! What an artifact is: the JSON beside an `.onnx` file, and the same data as constants in a binary.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Text that is owned when it was read from JSON and borrowed when it is a constant of the binary.
pub type Text = Cow<'static, str>;

/// A list that is owned when it was read from JSON and borrowed when it is a constant of the binary.
pub type List<T> = Cow<'static, [T]>;

/// The metadata of an artifact. Every digest is SHA-256 in 64 lower-case hexadecimal digits.
///
/// Nothing in it depends on a clock or on the machine, so equal inputs give equal metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The file name of the artifact: `<base>.<scheme>.onnx`.
    pub name: Text,
    /// The quantization scheme that made it, such as `weights-int8`.
    pub scheme: Text,
    /// The digest of the artifact.
    pub sha256: Text,
    /// The size of the artifact in bytes.
    pub bytes: u64,
    /// The float model it was made from.
    pub base: Base,
    /// The digest of the recipe file.
    pub recipe_sha256: Text,
    /// The digest of the precision plan, where the scheme takes one.
    pub plan_sha256: Option<Text>,
    /// The version of the quantizer, as in its package.
    pub tool_version: Text,
    /// The operator sets the graph imports.
    pub onnx_opset: List<OperatorSet>,
    /// The version of the ONNX intermediate representation (`ModelProto.ir_version`).
    pub onnx_ir: i64,
    /// The inputs of the graph, in its order.
    pub inputs: List<TensorInfo>,
    /// The outputs of the graph, in its order.
    pub outputs: List<TensorInfo>,
    /// How many rows the token embedding has: ids `0..vocabulary_size` are valid.
    pub vocabulary_size: u32,
    /// Samples per second of the audio output.
    pub sample_rate: u32,
    /// What the initializers are stored as.
    pub precisions: List<Precision>,
    /// ONNX Runtime session configuration the artifact was gated with, and is to be run with.
    pub session_options: List<SessionOption>,
    /// The licence of the artifact as an SPDX expression.
    pub licence: Text,
    /// Whom to name when the artifact is passed on.
    pub attribution: Text,
    /// The file beside the artifact with which the engine loads it quickly; `null` where none was made.
    pub prepared: Option<PreparedFile>,
    /// The execution providers that it was chosen for, and by what right. It is no part of the JSON, which is written before any
    /// gate: `METADATA` has it from `chosen.json`, and has none where a build was told of a file or a digest instead.
    #[serde(skip)]
    pub gated: List<Gated>,
}

/// An execution provider that an artifact was chosen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gated {
    /// Its name in recipes and on the command line, such as `cpu` or `coreml`.
    pub provider: Text,
    /// Whether the artifact was run on it.
    pub evidence: Evidence,
}

/// By what right an artifact is chosen for an execution provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// It passed the gates there.
    Measured,
    /// It was not run there: it passed the gates on the CPU, and by its graph the provider would take as much of it as of the base, or
    /// more.
    Predicted,
}

/// A `.prepared` file, named as its artifact otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedFile {
    /// Its digest.
    pub sha256: Text,
    /// Its size in bytes.
    pub bytes: u64,
    /// The version of ONNX Runtime that optimized the graph in it, such as `1.26`.
    pub onnxruntime: Text,
}

/// The float model that an artifact was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Its name in the recipe, such as `kokoro-v1.0`.
    pub name: Text,
    /// The digest of its file.
    pub sha256: Text,
    /// The size of its file in bytes.
    pub bytes: u64,
    /// How far it can be trusted.
    pub kind: BaseKind,
}

/// Where a base came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseKind {
    /// The published float model, pinned by digest.
    Official,
    /// Rebuilt from the published INT8 model by undoing its quantization, pinned by digest.
    Restored,
    /// A file of the user's, recorded by digest but pinned by nobody.
    Local,
}

/// One operator set import of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorSet {
    /// The domain; empty for the standard operators.
    pub domain: Text,
    /// The version of the set.
    pub version: i64,
}

/// One input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorInfo {
    /// The name of the value.
    pub name: Text,
    /// The element type in lower case, such as `float32` or `int64`.
    pub element_type: Text,
    /// The dimensions, outermost first.
    pub shape: List<Dimension>,
}

/// One dimension of a shape: an integer in JSON if it is fixed, a string if it is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dimension {
    /// A fixed number of elements.
    Fixed(u64),
    /// A length known at run time only, by its name in the graph; empty if the graph gives none.
    Symbolic(Text),
}

/// How much of an artifact is stored in one element type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "the names are those of the JSON")]
pub struct Precision {
    /// The element type in lower case, such as `int8`.
    pub precision: Text,
    /// How many initializers are stored in it.
    pub tensors: u64,
    /// How many bytes these initializers take.
    pub bytes: u64,
}

/// One session configuration entry of ONNX Runtime, such as `session.disable_quant_qdq` = `1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionOption {
    /// The key.
    pub key: Text,
    /// The value.
    pub value: Text,
}

/// The contents of `artifacts/chosen.json`: which artifact a build embeds.
///
/// The files lie in the folder of `chosen.json` itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// The file name of the artifact.
    pub file: String,
    /// The digest of the artifact.
    pub sha256: String,
    /// The file name of its metadata.
    pub metadata: String,
    /// The digest of its metadata.
    pub metadata_sha256: String,
    /// What is chosen for each execution provider, by its name. The fields above are of that for `cpu`, where there is one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, ChosenFor>,
}

/// Which artifact is chosen for an execution provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenFor {
    /// The file name of the artifact.
    pub file: String,
    /// The digest of the artifact.
    pub sha256: String,
    /// The file name of its metadata.
    pub metadata: String,
    /// The digest of its metadata.
    pub metadata_sha256: String,
    /// Whether it was run there.
    pub evidence: Evidence,
}

impl Chosen {
    /// The artifact of the first fields and no other.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.providers.retain(|_, it| it.metadata_sha256 == self.metadata_sha256);
        self
    }

    /// The artifact that is chosen for `provider` and no other, in the first fields; `None` where nothing is chosen for it.
    #[must_use]
    pub fn alone_for(mut self, provider: &str) -> Option<Self> {
        let ChosenFor { file, sha256, metadata, metadata_sha256, .. } = self.providers.get(provider)?.clone();
        (self.file, self.sha256, self.metadata, self.metadata_sha256) =
            (file, sha256, metadata, metadata_sha256);
        Some(self.alone())
    }

    /// The execution providers that the artifacts are chosen for.
    pub fn gated(&self) -> List<Gated> {
        let gated = |(name, it): (&String, &ChosenFor)| Gated {
            provider: name.clone().into(),
            evidence: it.evidence,
        };
        self.providers.iter().map(gated).collect()
    }
}

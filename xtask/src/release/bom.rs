//! `bom.cdx.json`: what the model is, what it was made from, and how near it is to that.

use kokoro_model::{BaseKind, Dimension, Metadata, TensorInfo};

use super::cyclonedx::{
    Bom, BomMetadata, Component, Considerations, Dependency, Format, Hash, Licence, ModelCard,
    ModelParameters, Pedigree, PerformanceMetric, Property, QuantitativeAnalysis, Risk, Tools,
};
use super::judgement::Judgement;
use crate::digest::Digest;
use crate::gates::Report;
use crate::recipe::{Recipe, SourceFile};

/// The property that marks a release that is not an official one.
pub(super) const UNOFFICIAL: &str = "kokoro-model:unofficial";

/// The files of the artifact by digest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files {
    pub(super) model: Digest,
    pub(super) prepared: Digest,
    pub(super) metadata: Digest,
}

/// The bill of materials of an artifact.
///
/// # Errors
/// The recipe lacks a file that it names.
pub(super) fn bom(
    metadata: &Metadata,
    files: Files,
    judgement: &Judgement,
    recipe: &Recipe,
) -> anyhow::Result<Bom> {
    let unofficial = judgement.unofficial.as_deref();
    let mark = unofficial.map_or(Vec::new(), |why| vec![property(UNOFFICIAL, why)]);
    let name = metadata.name.to_string();
    let about = format!(
        "Kokoro-82M, a text-to-speech model, with weights as INT8 by the scheme {}, for ONNX Runtime",
        metadata.scheme
    );
    let model = Component {
        kind: "machine-learning-model".to_owned(),
        reference: Some(name.clone()),
        description: Some(match unofficial {
            Some(why) => format!("UNOFFICIAL. {why} {about}"),
            None => about,
        }),
        copyright: Some(metadata.attribution.to_string()),
        pedigree: Some(pedigree(metadata, recipe)?),
        model_card: Some(card(metadata, judgement)),
        properties: mark.iter().cloned().chain(properties(metadata, judgement)).collect(),
        ..component(&name, files.model, metadata)
    };
    let stem = name.strip_suffix(".onnx").unwrap_or(&name);
    let beside = [
        (format!("{stem}.prepared"), files.prepared, "the graph of the model, optimized, for a quick start"),
        (format!("{stem}.json"), files.metadata, "the metadata of the model"),
    ];
    let components = beside.map(|(name, sha256, about)| Component {
        kind: "file".to_owned(),
        reference: Some(name.clone()),
        description: Some(about.to_owned()),
        ..component(&name, sha256, metadata)
    });
    let runtime = Component {
        kind: "library".to_owned(),
        reference: Some("onnxruntime".to_owned()),
        name: "onnxruntime".to_owned(),
        version: Some(judgement.onnxruntime.name.clone()),
        description: Some("runs the model; not part of this release".to_owned()),
        hashes: vec![Hash::of(judgement.onnxruntime.sha256)],
        licenses: vec![Licence { expression: "MIT".to_owned() }],
        ..Component::default()
    };
    let components: Vec<Component> = components.into_iter().chain([runtime]).collect();
    let depends_on = components.iter().filter_map(|it| it.reference.clone()).collect();
    Ok(Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json".to_owned(),
        format: "CycloneDX".to_owned(),
        spec_version: "1.6".to_owned(),
        serial_number: serial_number(files.metadata),
        version: 1,
        metadata: BomMetadata {
            tools: Tools {
                components: vec![Component {
                    kind: "application".to_owned(),
                    name: "kokoro-model".to_owned(),
                    version: Some(metadata.tool_version.to_string()),
                    ..Component::default()
                }],
            },
            component: model,
            properties: mark,
        },
        components,
        dependencies: vec![Dependency { reference: name, depends_on }],
    })
}

fn component(name: &str, sha256: Digest, metadata: &Metadata) -> Component {
    Component {
        name: name.to_owned(),
        version: Some(metadata.tool_version.to_string()),
        hashes: vec![Hash::of(sha256)],
        licenses: vec![Licence { expression: metadata.licence.to_string() }],
        ..Component::default()
    }
}

/// A UUID of version 8 (RFC 9562), whose bits are the artifact's: each artifact has its own, and always the same.
fn serial_number(metadata: Digest) -> String {
    let mut hex: Vec<char> = metadata.to_string().chars().take(32).collect();
    hex[12] = '8';
    hex[16] = ['8', '9', 'a', 'b'][hex[16].to_digit(16).unwrap_or(0) as usize % 4];
    let part = |range: std::ops::Range<usize>| hex[range].iter().collect::<String>();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

/// The float model, and the published INT8 file where that is what it was rebuilt from.
fn pedigree(metadata: &Metadata, recipe: &Recipe) -> anyhow::Result<Pedigree> {
    let base = &metadata.base;
    let about = match base.kind {
        BaseKind::Official => "the published float model",
        BaseKind::Restored => {
            "a float model rebuilt from the published INT8 model by undoing its quantization"
        }
        BaseKind::Local => "a float model of whoever made this, pinned by nobody",
    };
    let base = Component {
        kind: "machine-learning-model".to_owned(),
        name: base.name.to_string(),
        description: Some(about.to_owned()),
        hashes: vec![Hash::of(base.sha256.parse()?)],
        licenses: vec![Licence { expression: metadata.licence.to_string() }],
        ..Component::default()
    };
    let mut ancestors = vec![base];
    if metadata.base.kind == BaseKind::Restored {
        let SourceFile { name, sha256, licence, attribution, .. } =
            recipe.file(&recipe.base.restored.from)?;
        ancestors.push(Component {
            kind: "machine-learning-model".to_owned(),
            name: name.clone(),
            description: Some("the published INT8 model".to_owned()),
            hashes: vec![Hash::of(*sha256)],
            licenses: vec![Licence { expression: licence.clone() }],
            copyright: Some(attribution.clone()),
            ..Component::default()
        });
    }
    let notes = format!(
        "Quantized by the scheme {} of the recipe with SHA-256 {}; no training and no data but the recipe's sentences.",
        metadata.scheme, metadata.recipe_sha256
    );
    Ok(Pedigree { ancestors, notes })
}

fn card(metadata: &Metadata, judgement: &Judgement) -> ModelCard {
    let formats = |ports: &[TensorInfo]| ports.iter().map(|port| Format { format: format(port) }).collect();
    let gates = [&judgement.fidelity, &judgement.smoke];
    ModelCard {
        model_parameters: ModelParameters {
            task: "text-to-speech".to_owned(),
            architecture_family: "StyleTTS 2 with an ISTFTNet decoder".to_owned(),
            model_architecture: "Kokoro-82M".to_owned(),
            inputs: formats(&metadata.inputs),
            outputs: formats(&metadata.outputs),
        },
        quantitative_analysis: QuantitativeAnalysis {
            performance_metrics: gates.into_iter().flat_map(measurements).collect(),
        },
        considerations: Considerations {
            use_cases: vec!["speech from phonemes, in the voices that the model was published with".to_owned()],
            technical_limitations: vec![
                format!("takes at most 510 phonemes at once, of a vocabulary of {}", metadata.vocabulary_size),
                format!("speaks at {} samples a second, one channel", metadata.sample_rate),
                "last digits of the sound differ between processors and versions of ONNX Runtime".to_owned(),
            ],
            performance_tradeoffs: vec![
                "nearer to the base is larger or slower; the fidelity metrics say how far this model is from its base"
                    .to_owned(),
            ],
            risks: vec![Risk {
                name: "speech that listeners take for a person's".to_owned(),
                mitigation_strategy: "say that the speech is synthetic; the published voices only, no cloning".to_owned(),
            }],
        },
    }
}

/// Such as `tokens: int64 [1, sequence_length]`.
fn format(port: &TensorInfo) -> String {
    let dimensions = port.shape.iter().map(|dimension| match dimension {
        Dimension::Fixed(size) => size.to_string(),
        Dimension::Symbolic(name) if name.is_empty() => "?".to_owned(),
        Dimension::Symbolic(name) => name.to_string(),
    });
    format!("{}: {} [{}]", port.name, port.element_type, dimensions.collect::<Vec<_>>().join(", "))
}

/// Every check of a gate: what was found, with its unit.
fn measurements(report: &Report) -> impl Iterator<Item = PerformanceMetric> {
    let gate = report.gate;
    report.checks.iter().map(move |check| PerformanceMetric {
        kind: format!("{gate}.{}", check.name),
        value: format!("{} {}", check.value, check.unit).trim_end().to_owned(),
        slice: check.detail.clone(),
    })
}

/// What CycloneDX has no field for: the interface's bounds, and operators and element types as counts.
fn properties(metadata: &Metadata, judgement: &Judgement) -> Vec<Property> {
    let mut properties = vec![
        property("kokoro-model:scheme", &metadata.scheme),
        property("kokoro-model:bytes", &metadata.bytes),
        property("kokoro-model:recipe", &metadata.recipe_sha256),
        property("kokoro-model:vocabulary", &metadata.vocabulary_size),
        property("kokoro-model:sample-rate", &metadata.sample_rate),
    ];
    properties.extend(
        metadata
            .precisions
            .iter()
            .map(|it| property(&format!("kokoro-model:bytes-as-{}", it.precision), &it.bytes)),
    );
    properties.extend(
        judgement.operators.iter().map(|(name, count)| property(&format!("{OPERATOR}{name}"), count)),
    );
    properties
}

/// How the names of properties begin that count nodes of an operator.
pub(super) const OPERATOR: &str = "kokoro-model:operator:";

fn property(name: &str, value: &(impl ToString + ?Sized)) -> Property {
    Property { name: name.to_owned(), value: value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_a_uuid_of_version_8() {
        let number = serial_number(Digest::of(b"abc"));
        assert_eq!(number, "urn:uuid:ba7816bf-8f01-8fea-8141-40de5dae2223");
        let other = serial_number(Digest::of(b""));
        assert!(other[22..].starts_with("-8") && "89ab".contains(&other[28..29]), "{other}");
    }

    #[test]
    fn a_port_is_written_with_its_shape() {
        let shape =
            vec![Dimension::Fixed(1), Dimension::Symbolic("n".into()), Dimension::Symbolic("".into())];
        let port = TensorInfo { name: "tokens".into(), element_type: "int64".into(), shape: shape.into() };
        assert_eq!(format(&port), "tokens: int64 [1, n, ?]");
    }
}

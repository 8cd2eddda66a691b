//! The documents of a release are valid by the schemas that others published, and those schemas can say no.
//!
//! `data/schemas` has CycloneDX 1.6 and what it refers to, as published (Apache-2.0), and a schema of in-toto and SLSA that
//! is derived from the published protobuf definitions, for there is no published one.

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};
use xtask::scheme::SchemeName;

use super::fixture::{Fixture, STEM};

fn schema(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schemas").join(name);
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

/// CycloneDX 1.6. Its parts know each other by file name, beside the address of the whole.
fn cyclonedx() -> Validator {
    let place = "http://cyclonedx.org/schema/";
    let names = ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"];
    let mut registry = Registry::new();
    for name in names {
        registry = registry.add(format!("{place}{name}"), schema(name)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    jsonschema::options().with_registry(&registry).build(&schema("bom-1.6.SNAPSHOT.schema.json")).unwrap()
}

fn slsa() -> Validator {
    jsonschema::validator_for(&schema("slsa-provenance-v1.schema.json")).unwrap()
}

/// The schema that is released, of metadata.
fn metadata() -> Validator {
    let text = include_str!("../../../../schemas/metadata.schema.json");
    let schema = serde_json::from_str(text).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::validator_for(&schema).unwrap()
}

#[track_caller]
fn valid(validator: &Validator, document: &Value) {
    let errors: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, [""; 0]);
}

type Change = fn(&mut Value);

/// That each change makes a valid document one that is not.
#[track_caller]
fn says_no(validator: &Validator, document: &Value, changes: &[(&str, Change)]) {
    for (what, change) in changes {
        let mut damaged = document.clone();
        change(&mut damaged);
        assert!(damaged != *document, "{what}: nothing was changed");
        assert!(!validator.is_valid(&damaged), "{what}: still valid");
    }
}

fn document(fixture: &Fixture, name: &str) -> Value {
    serde_json::from_slice(&fixture.unpacked(None).read(name)).unwrap()
}

#[test]
fn bills_of_materials_are_cyclonedx() {
    let validator = cyclonedx();
    for kind in ["official", "restored", "local"] {
        let bom = document(&Fixture::of_kind(kind), "bom.cdx.json");
        valid(&validator, &bom);
        let model = &bom["metadata"]["component"];
        assert_eq!(model["type"], "machine-learning-model");
        let ancestors = model["pedigree"]["ancestors"].as_array().unwrap();
        assert_eq!(ancestors.len(), if kind == "restored" { 2 } else { 1 });
        assert!(ancestors.iter().all(|it| it["hashes"][0]["content"].as_str().unwrap().len() == 64));
        let card = &model["modelCard"];
        assert_eq!(card["modelParameters"]["inputs"][0]["format"], "tokens: int64 [1, n]");
        let metrics = card["quantitativeAnalysis"]["performanceMetrics"].as_array().unwrap();
        assert!(
            metrics
                .iter()
                .any(|it| it["type"] == "fidelity.lsd_db.mean"
                    && it["value"].as_str().unwrap().ends_with(" dB"))
        );
        says_no(
            &validator,
            &bom,
            &[
                ("an unknown key", |it| it["colour"] = 1.into()),
                ("an unknown type", |it| it["metadata"]["component"]["type"] = "model".into()),
                ("no digest", |it| it["metadata"]["component"]["hashes"][0]["content"] = "abc".into()),
                ("no licence", |it| it["metadata"]["component"]["licenses"] = json!([{ "expression": 1 }])),
                ("no UUID", |it| it["serialNumber"] = "1".into()),
                ("an unknown key in the card", |it| {
                    it["metadata"]["component"]["modelCard"]["colour"] = 1.into();
                }),
                ("a number as a metric", |it| {
                    it["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
                        [0]["value"] = 1.into();
                }),
                ("a reference twice", |it| it["dependencies"] = json!([{ "ref": "a" }, { "ref": "a" }])),
            ],
        );
    }
}

#[test]
fn provenance_is_in_toto_and_slsa() {
    let validator = slsa();
    for kind in ["official", "local"] {
        let statement = document(&Fixture::of_kind(kind), "provenance.intoto.json");
        valid(&validator, &statement);
        assert_eq!(statement["subject"].as_array().unwrap().len(), 3);
        let dependencies =
            statement["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
        for name in
            ["recipe", "plan", "corpus", "proto/onnx.proto", "af_heart", "kokoro-v1.0.onnx", "base clear"]
        {
            assert!(dependencies.iter().any(|it| it["name"] == name), "no `{name}`");
        }
        says_no(
            &validator,
            &statement,
            &[
                ("another type", |it| it["_type"] = "https://in-toto.io/Statement/v0.1".into()),
                ("no subject", |it| it["subject"] = json!([])),
                ("a subject without a digest", |it| it["subject"][0] = json!({ "name": "a" })),
                ("a digest that is none", |it| it["subject"][0]["digest"]["sha256"] = "ABC".into()),
                ("another predicate", |it| it["predicateType"] = "https://slsa.dev/provenance/v0.2".into()),
                ("no builder", |it| {
                    drop(it["predicate"]["runDetails"].as_object_mut().unwrap().remove("builder"));
                }),
                ("an id that is no URI", |it| it["predicate"]["runDetails"]["builder"]["id"] = "me".into()),
                ("an unknown key", |it| it["predicate"]["buildDefinition"]["colour"] = 1.into()),
            ],
        );
    }
}

#[test]
fn metadata_is_by_its_schema() {
    let validator = metadata();
    let fixture = Fixture::local();
    for kind in ["official", "restored", "local"] {
        valid(&validator, &document(&Fixture::of_kind(kind), &format!("{STEM}.json")));
    }
    let good = document(&fixture, &format!("{STEM}.json"));
    let mut planned = good.clone();
    planned["plan_sha256"] = "0".repeat(64).into();
    planned["prepared"] = Value::Null;
    planned["session_options"] = json!([{ "key": "session.disable_quant_qdq", "value": "1" }]);
    valid(&validator, &planned);

    // Every key is required, and none may be more.
    for key in good.as_object().unwrap().keys() {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(key);
        assert!(!validator.is_valid(&without), "valid without `{key}`");
    }
    for (what, place) in [
        ("the whole", ""),
        ("the base", "/base"),
        ("an operator set", "/onnx_opset/0"),
        ("an input", "/inputs/0"),
        ("a precision", "/precisions/0"),
        ("the prepared file", "/prepared"),
    ] {
        let mut more = good.clone();
        more.pointer_mut(place).unwrap()["more"] = 1.into();
        assert!(!validator.is_valid(&more), "a key more in {what}");
    }
    says_no(
        &validator,
        &good,
        &[
            ("a digest in upper case", |it| it["sha256"] = "A".repeat(64).into()),
            ("a short digest", |it| it["base"]["sha256"] = "ab".into()),
            ("a path as a name", |it| it["name"] = "../a.weights-int8.onnx".into()),
            ("another scheme", |it| it["scheme"] = "int4".into()),
            ("another kind", |it| it["base"]["kind"] = "found".into()),
            ("a negative size", |it| it["bytes"] = (-1).into()),
            ("half a byte", |it| it["bytes"] = 1.5.into()),
            ("no inputs", |it| it["inputs"] = json!([])),
            ("a negative dimension", |it| it["inputs"][0]["shape"][0] = (-1).into()),
            ("no element type", |it| it["outputs"][0]["element_type"] = "".into()),
            ("another rate", |it| it["sample_rate"] = 8000.into()),
            ("no licence", |it| it["licence"] = "".into()),
            ("no version", |it| it["prepared"]["onnxruntime"] = "new".into()),
            ("a plan that is none", |it| it["plan_sha256"] = "".into()),
        ],
    );
}

/// What the schema takes, the types take, and the other way round.
#[test]
fn the_schema_has_the_keys_of_the_types() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../../schemas/metadata.schema.json")).unwrap();
    let good = document(&Fixture::local(), &format!("{STEM}.json"));
    let of = |place: &str, keys: &Value| {
        let mut said: Vec<&String> = schema.pointer(place).unwrap().as_object().unwrap().keys().collect();
        let mut found: Vec<&String> = keys.as_object().unwrap().keys().collect();
        said.sort();
        found.sort();
        assert_eq!(said, found, "{place}");
    };
    of("/properties", &good);
    of("/properties/base/properties", &good["base"]);
    of("/properties/prepared/anyOf/0/properties", &good["prepared"]);
    of("/$defs/tensor/properties", &good["inputs"][0]);
    of("/properties/precisions/items/properties", &good["precisions"][0]);
    of("/properties/onnx_opset/items/properties", &good["onnx_opset"][0]);
    assert_eq!(schema["properties"]["scheme"]["enum"], json!(SchemeName::ALL.map(SchemeName::as_str)));
}

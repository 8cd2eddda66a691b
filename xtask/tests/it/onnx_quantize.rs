//! `onnx-quantize` as the user runs it, on models of any kind, with what ONNX Runtime says of what
//! was written.

use std::path::Path;

use crate::support::models;
use crate::support::program::{Ended, Program, users_cache};
use quantizer::graph::node;
use quantizer::proto::StringStringEntryProto;
use quantizer::proto::tensor_proto::{DataLocation, DataType};
use quantizer::tensor::from_f32;
use xtask::host::Host;

/// The lowest signal-to-noise ratio that the check printed, in dB.
fn lowest(ended: &Ended) -> f64 {
    let rows = ended.output.lines().skip_while(|line| !line.contains("SNR dB"));
    let last =
        rows.filter_map(|line| line.trim_matches(|it| it == '|' || it == ' ').split_whitespace().last());
    let figures =
        last.filter_map(|last| if last == "equal" { Some(f64::INFINITY) } else { last.parse().ok() });
    figures.reduce(f64::min).unwrap_or(f64::NAN)
}

/// Those of public bug reports and those of our own, each a small file: what is written loads,
/// runs, and says nearly the same.
#[test]
fn any_model_is_quantized_soundly_or_refused() {
    let program = Program::with_cache(users_cache());
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../quantizer/tests/fixtures");
    let (mut failures, mut tried) = (Vec::new(), 0);
    // Random weights in all of their range are what products that saturate lose most of.
    let lowest_of = |scheme| if scheme == "linear-int8" && Host::here().saturates() { 5.0 } else { 20.0 };
    for entry in ["cases", "kinds"].iter().flat_map(|folder| fs_err::read_dir(fixtures.join(folder)).unwrap())
    {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "onnx") {
            continue;
        }
        let case = path.file_stem().unwrap().to_string_lossy().into_owned();
        for scheme in ["linear-int8", "weights-int8"] {
            tried += 1;
            let (model, output) = (path.display().to_string(), format!("{case}.{scheme}.onnx"));
            let ended = program.run(&["onnx-quantize", scheme, &model, &output, "--check", "--offline"]);
            // Convolutions and recurrent units are nothing for linear-int8.
            let nothing = scheme == "linear-int8" && (case.contains("conv") || case == "recurrent");
            let right = if nothing {
                let told = ended.errors.contains("expected weights that linear-int8 stores, found none");
                ended.code == Some(4) && told && !program.path(&output).exists()
            } else {
                ended.code == Some(0) && lowest(&ended) >= lowest_of(scheme) && program.path(&output).exists()
            };
            if !right {
                let told = format!("{:?}\n{}\n{}", ended.code, ended.output, ended.errors);
                failures.push(format!("{case} by {scheme}: {} dB, exit code {told}", lowest(&ended)));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(tried >= 2 * (16 + 10), "{tried}");
}

#[test]
fn a_model_without_weights_is_written_only_if_asked_for() {
    let program = Program::with_empty_cache();
    fs_err::write(program.path("in.onnx"), models::encode(&models::no_speech())).unwrap();
    let arguments = ["onnx-quantize", "weights-int8", "in.onnx", "out.onnx"];
    let ended = program.run(&arguments);
    assert_eq!(ended.code, Some(4), "{}", ended.errors);
    for text in ["found none", "hint: `--allow-nothing`"] {
        assert!(ended.errors.contains(text), "no `{text}` in: {}", ended.errors);
    }
    assert!(!program.path("out.onnx").exists());
    let ended = program.run(&[&arguments[..], &["--allow-nothing"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(program.path("out.onnx").exists());
}

/// More than protobuf can hold: a sparse file is read, and what is written has its data beside it.
#[cfg(unix)]
#[test]
#[ignore = "reads and writes 2.2 GB"]
fn a_model_above_2_gb_has_its_data_beside_it() {
    let program = Program::with_empty_cache();
    let bytes = 2_200_000_000_u64;
    fs_err::File::create(program.path("in.data")).unwrap().set_len(bytes).unwrap();
    let mut model = models::no_speech();
    let graph = models::graph(&mut model);
    let mut large = from_f32("large", &[0], &[]);
    large.dims = vec![bytes as i64 / 4];
    large.raw_data = None;
    large.data_location = Some(DataLocation::External.into());
    large.external_data =
        vec![StringStringEntryProto { key: Some("location".into()), value: Some("in.data".into()) }];
    let weight: Vec<f32> = (0..4096_u16).map(|at| f32::from(at).sin()).collect();
    graph.initializer.extend([
        large,
        from_f32("w", &[64, 64], &weight),
        from_f32("w2", &[1, 64], &weight[..64]),
    ]);
    graph.node.extend([
        node("MatMul", "product", &["w2", "w"], &["p"]),
        node("ReduceMax", "most", &["large"], &["m"]),
    ]);
    graph
        .output
        .extend([models::value("p", DataType::Float, &[1, 64]), models::value("m", DataType::Float, &[1])]);
    fs_err::write(program.path("in.onnx"), models::encode(&model)).unwrap();
    let ended = program.run(&["onnx-quantize", "weights-int8", "in.onnx", "out.onnx"]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.output.contains("ReduceMax") && ended.output.contains("550000000"), "{}", ended.output);
    assert!(fs_err::metadata(program.path("out.onnx")).unwrap().len() < 1 << 20);
    assert!(fs_err::metadata(program.path("out.onnx.data")).unwrap().len() >= bytes);
    // What was written is a model that is read with its data.
    let again = program.run(&["onnx-quantize", "weights-int8", "out.onnx", "again.onnx", "--allow-nothing"]);
    assert_eq!(again.code, Some(0), "{}", again.errors);
}

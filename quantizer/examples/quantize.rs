//! Quantizes any ONNX model: `cargo run --example quantize -- linear-int8 in.onnx out.onnx [EXCLUDE]`
//!
//! Prints how long the step took, with reading and writing. `benches/against_onnxruntime.py` runs it beside
//! `onnxruntime.quantization`.

use std::io::{BufWriter, Write};
use std::time::Instant;

use quantizer::schemes::{self, LinearInt8, Scheme, WeightsInt8};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scheme, input, output, rest @ ..] = &arguments[..] else {
        return Err("expected SCHEME INPUT.onnx OUTPUT.onnx [EXCLUDE]".into());
    };
    let exclude = rest.first().map(|text| schemes::pattern(text)).transpose()?;
    let scheme: Box<dyn Scheme> = match scheme.as_str() {
        "linear-int8" => Box::new(LinearInt8 { exclude }),
        "weights-int8" => Box::new(WeightsInt8 { min_elements: 1024, exclude, finer: Vec::new() }),
        other => return Err(format!("expected `linear-int8` or `weights-int8`, found `{other}`").into()),
    };

    let start = Instant::now();
    let mut model = quantizer::model::decode(fs_err::read(input)?.into())?;
    let summary = schemes::quantize(&mut model, &*scheme)?;
    let mut file = BufWriter::with_capacity(1 << 20, fs_err::File::create(output)?);
    quantizer::model::encode(&model, &mut file)?;
    file.flush()?;
    println!("{} weights in {:.3} s", summary.quantized, start.elapsed().as_secs_f64());
    Ok(())
}

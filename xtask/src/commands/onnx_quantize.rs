//! `cargo xtask onnx-quantize`: any ONNX model, with its weights as INT8.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use comfy_table::Cell;
use quantizer::schemes::{self, LARGE, LinearInt8, Scheme, Summary, WeightsInt8};
use quantizer::{ErrorKind, external};

use crate::base::read_below;
use crate::failure::Failure;
use crate::fetch::{Console, SourceArgs};
use crate::gates::{figure, table};
use crate::host::Host;
use crate::nearness::{self, Nearness};
use crate::workspace::Workspace;

/// Quantizes any ONNX model and says what was stored as INT8, what was left, and why
///
/// What is written loads wherever the model did and computes nearly the same, or nothing is
/// written. External data is read from beside the model, and written beside the output where that
/// is larger than 2 GiB. `docs/QUANTIZER.md` says which operators and operator sets there are.
#[derive(Debug, Args)]
pub struct OnnxQuantizeArgs {
    /// How the weights are stored, and what computes with them
    #[arg(value_name = "SCHEME")]
    pub scheme: OnnxScheme,

    /// The float model
    #[arg(value_name = "IN")]
    pub input: PathBuf,

    /// Where the quantized model goes
    #[arg(value_name = "OUT")]
    pub output: PathBuf,

    /// Leave what is used by nodes, or for weights-int8 is called, by a name that matches; case
    /// does not matter
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Option<String>,

    /// Leave weights of fewer elements; for weights-int8
    #[arg(long, value_name = "N", default_value_t = LARGE)]
    pub min_elements: usize,

    /// Write the model even if there is nothing in it to quantize
    #[arg(long)]
    pub allow_nothing: bool,

    /// Run both models on random inputs in ONNX Runtime and say how far apart they are
    #[arg(long)]
    pub check: bool,

    /// Name every tensor that was left, and not only how many there are
    #[arg(long)]
    pub verbose: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub sources: SourceArgs,
}

/// A scheme that suits any model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnnxScheme {
    /// MatMul and Gemm compute with INT8, activations are quantized at run time
    LinearInt8,
    /// Every large weight is stored as INT8 per channel, all computation is in float
    WeightsInt8,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Usage`] when there is no such file, or a pattern is none; [`Failure::Model`] for a
/// model that is not sound, that the scheme cannot be written for, or in which there is nothing to
/// quantize; [`Failure::Gate`] when the check says no; the disk's. Nothing is written then.
pub fn run(args: &OnnxQuantizeArgs, workspace: &Workspace) -> Result<()> {
    let console = workspace.console();
    let exclude = args.exclude.as_deref().map(schemes::pattern).transpose().context(Failure::Usage)?;
    let scheme: Box<dyn Scheme> = match args.scheme {
        OnnxScheme::LinearInt8 => Box::new(LinearInt8 { exclude }),
        OnnxScheme::WeightsInt8 => {
            Box::new(WeightsInt8 { min_elements: args.min_elements, exclude, finer: Vec::new() })
        }
    };
    let start = Instant::now();
    let Read { mut model, bytes } = read(&args.input, &console)?;
    let base = args.check.then(|| model.clone());
    let shown = args.input.display();
    let summary = {
        let _busy = console.busy(&format!("quantizing by {}", scheme.name()));
        schemes::quantize(&mut model, &*scheme)
            .with_context(|| format!("`{shown}` cannot be quantized by {}", scheme.name()))
            .context(Failure::Model)?
    };
    if summary.quantized == 0 && !args.allow_nothing {
        let message = format!(
            "`{shown}`: {}\nhint: `--allow-nothing` writes the model as it is",
            summary.nothing(scheme.name())
        );
        return Err(anyhow!(message).context(Failure::Model));
    }
    print!("{}", show(&summary, args.verbose));
    let mut seconds = start.elapsed();
    // What the check says no to is not written.
    if let Some(base) = base {
        if args.scheme == OnnxScheme::LinearInt8 && Host::here().saturates() {
            console.say(
                "note: products of u8 and s8 saturate on this processor, which has no VNNI: linear-int8 is farther off \
                 here than elsewhere",
            );
        }
        let (runtime, _) = workspace.runtime(&workspace.fetcher(&args.sources)?)?;
        let _busy = console.busy("comparing both in ONNX Runtime");
        let nearness = nearness::compare(&runtime, &base, &model)
            .with_context(|| format!("`{shown}` is not written: its `--check` failed"))?;
        print!("{}", show_nearness(&nearness));
    }
    let start = Instant::now();
    let written = {
        let _busy = console.busy(&format!("writing `{}`", args.output.display()));
        nearness::write(model, &args.output)
            .with_context(|| format!("cannot write `{}`", args.output.display()))?
    };
    seconds += start.elapsed();
    println!(
        "{} weights of {shown}: {bytes} → {written} bytes, {:.1} %, in {:.3} s",
        summary.quantized,
        100.0 * written as f64 / bytes.max(1) as f64,
        seconds.as_secs_f64(),
    );
    Ok(())
}

struct Read {
    model: quantizer::proto::ModelProto,
    /// Of the model and of the files that it names.
    bytes: u64,
}

fn read(path: &Path, console: &Console) -> Result<Read> {
    let shown = path.display().to_string();
    let _busy = console.busy(&format!("reading `{shown}`"));
    let file = Bytes::from(fs_err::read(path).context(Failure::Usage)?);
    let mut bytes = file.len() as u64;
    let mut model = crate::base::decode(&shown, &file)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    external::inline_all(&mut model, &mut |location| {
        console.say(&format!("reading `{location}` beside it"));
        let file = read_below(&folder, location)?;
        bytes += file.len() as u64;
        Ok(file)
    })
    .map_err(|error| {
        let is_missing = error.kind() == ErrorKind::ExternalData;
        let hint = "\nhint: the files that a model names have to lie beside it, as its exporter wrote them";
        anyhow!("`{shown}`: {error}{}", if is_missing { hint } else { "" })
    })
    .context(Failure::Model)?;
    Ok(Read { model, bytes })
}

fn show(summary: &Summary, verbose: bool) -> String {
    let mut table = table(&["operator", "weights", "elements", ""]);
    for (operator, count) in &summary.operators {
        table.add_row(vec![
            Cell::new(operator),
            figure(count.to_string()),
            Cell::new(""),
            Cell::new("stored as INT8"),
        ]);
    }
    // By operators and reason; elements that were left are what a smaller file could still lose.
    let mut left = std::collections::BTreeMap::<_, (usize, usize)>::new();
    for it in &summary.left {
        let key =
            (it.operators.join(", "), it.reason.to_string(), if verbose { it.name.as_str() } else { "" });
        let (tensors, elements) = left.entry(key).or_default();
        (*tensors, *elements) = (*tensors + 1, *elements + it.elements);
    }
    for ((operators, reason, name), (tensors, elements)) in left {
        let what =
            if name.is_empty() { format!("left: {reason}") } else { format!("left: {reason} (`{name}`)") };
        table.add_row(vec![
            Cell::new(operators),
            figure(tensors.to_string()),
            figure(elements.to_string()),
            Cell::new(what),
        ]);
    }
    format!("{table}\n")
}

fn show_nearness(nearness: &Nearness) -> String {
    let mut table = table(&["output", "RMS", "largest difference", "SNR dB"]);
    for it in &nearness.outputs {
        let snr = if it.largest == 0.0 { "equal".into() } else { format!("{:.1}", it.snr_db) };
        table.add_row(vec![
            Cell::new(&it.output),
            figure(format!("{:.4e}", it.loudness)),
            figure(format!("{:.4e}", it.largest)),
            figure(snr),
        ]);
    }
    let unread = match nearness.unread.as_slice() {
        [] => String::new(),
        unread => format!("not compared, since they are no tensors of numbers: {}\n", unread.join(", ")),
    };
    format!("inputs: {}\n{table}\n{unread}", nearness.inputs.join(", "))
}

//! The generated code: the bytes, by the quickest way the target allows, and the metadata as constants.

use std::fmt::Write as _;

use super::artifact::Artifact;
use super::metadata::{Base, BaseKind, Dimension, List, Metadata, TensorInfo};
use super::settings::Target;

/// A page: the model can be mapped and is aligned for whatever reads it.
const ALIGNMENT: u64 = 4096;

/// The Rust source of `MODEL` and `METADATA`; without an artifact `MODEL` is empty.
///
/// # Errors
/// A path that is not Unicode, which no source can hold.
pub fn generate(artifact: Option<&Artifact>, target: &Target) -> Result<String, String> {
    let Some(Artifact { copy, metadata, prepared, .. }) = artifact else {
        return Ok(format!("{MODEL} = &[];\n{PREPARED} = &[];\n{}", constants(&nothing())));
    };
    let path = copy.to_str().ok_or_else(|| format!("`{}` is not Unicode", copy.display()))?;
    let model = match Format::of(target) {
        Some(format) => assembled(format, path, metadata),
        None => format!(
            "#[repr(C, align(4096))]\nstruct Aligned<B: ?Sized>(B);\n\
             static BYTES: &Aligned<[u8]> = &Aligned(*include_bytes!({path:?}));\n\
             {MODEL} = &BYTES.0;\n"
        ),
    };
    let prepared = match prepared {
        Some(path) => {
            let path = path.to_str().ok_or_else(|| format!("`{}` is not Unicode", path.display()))?;
            format!("{PREPARED} = include_bytes!({path:?});\n")
        }
        None => format!("{PREPARED} = &[];\n"),
    };
    Ok(model + &prepared + &constants(metadata))
}

/// A static, never a constant: a constant would be copied into each use.
const MODEL: &str = "/// The model in the `.onnx` format, aligned to 4096 bytes; empty where documentation is built, and with\n\
    /// `KOKORO_MODEL_ARTIFACT=none`.\npub static MODEL: &[u8]";

/// A megabyte, which rustc may well read itself.
const PREPARED: &str = "/// What loads [`MODEL`] quickly, see `Synthesizer::from_prepared`; empty where there is none.\npub static PREPARED: &[u8]";

/// The object formats whose assembler syntax is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Linux, Android, the BSDs.
    Elf,
    /// Apple's systems.
    MachO,
    /// Windows.
    Coff,
}

impl Format {
    /// `None` where `global_asm!` is not stable or the format is unknown: `include_bytes!` serves there.
    pub fn of(target: &Target) -> Option<Self> {
        const STABLE: [&str; 8] =
            ["x86", "x86_64", "arm", "aarch64", "riscv32", "riscv64", "loongarch64", "s390x"];
        if !STABLE.contains(&target.arch.as_str()) {
            None
        } else if target.vendor == "apple" {
            Some(Self::MachO)
        } else if target.family.split(',').any(|family| family == "windows") {
            // 32-bit Windows decorates the names of C symbols in a way of its own.
            (target.arch != "x86").then_some(Self::Coff)
        } else if target.family.split(',').any(|family| family == "unix") {
            Some(Self::Elf)
        } else {
            None
        }
    }
}

/// Code with `.incbin`, which rustc hands to the assembler without looking into the bytes.
///
/// The digest stands in the file name and in the symbol: incremental builds compare the source text, not the
/// file, and would keep stale bytes otherwise.
fn assembled(format: Format, path: &str, metadata: &Metadata) -> String {
    let symbol = format!("kokoro_model_{}", metadata.sha256);
    let bytes = metadata.bytes;
    format!(
        "::core::arch::global_asm!({:?}, options(raw));\n\
         unsafe extern \"C\" {{\n    #[link_name = {symbol:?}]\n    static BYTES: [u8; {bytes}];\n}}\n\
         // SAFETY: the assembly above defines the symbol with exactly {bytes} bytes that nothing writes to, in a\n\
         // read-only section; any bytes are valid for `u8`, and a static lives as long as the program.\n\
         {MODEL} = unsafe {{ &BYTES }};\n",
        assembly(format, &symbol, path, bytes),
    )
}

/// The assembly alone.
pub fn assembly(format: Format, symbol: &str, path: &str, bytes: u64) -> String {
    // Hidden symbols: a shared library made of this crate must not export the model under a second name.
    let (section, hide, prefix) = match format {
        Format::Elf => (".section .rodata.kokoro_model,\"a\"", ".hidden", ""),
        Format::MachO => (".section __TEXT,__const", ".private_extern", "_"),
        Format::Coff => (".section .rdata,\"dr\"", "", ""),
    };
    let mut text = format!("{section}\n.balign {ALIGNMENT}\n.globl {prefix}{symbol}\n");
    if !hide.is_empty() {
        let _ = writeln!(text, "{hide} {prefix}{symbol}");
    }
    let _ = writeln!(text, "{prefix}{symbol}:");
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
    let mut start = 0;
    let piece = piece(bytes);
    while start < bytes {
        let length = piece.min(bytes - start);
        // A piece is a multiple of the alignment, so this pads nothing, but begins a new buffer.
        let _ = writeln!(text, ".balign {ALIGNMENT}\n.incbin \"{path}\", {start}, {length}");
        start += length;
    }
    // What the compiler writes next belongs into the section it thinks it is in.
    text + ".text\n"
}

/// Bytes for each `.incbin`: a sixteenth, which saves the assembler 30 MB of buffers beside one piece.
///
/// LLVM maps the file for each piece, but a file whose size is a multiple of the page it reads as a whole, each
/// time (`MemoryBuffer` wants a zero after the end): such a file goes in one piece.
fn piece(bytes: u64) -> u64 {
    if bytes.is_multiple_of(ALIGNMENT) { bytes } else { bytes.div_ceil(16).next_multiple_of(ALIGNMENT) }
}

/// The metadata of a build without a model.
fn nothing() -> Metadata {
    Metadata {
        name: "".into(),
        scheme: "".into(),
        sha256: "".into(),
        bytes: 0,
        base: Base { name: "".into(), sha256: "".into(), bytes: 0, kind: BaseKind::Local },
        recipe_sha256: "".into(),
        plan_sha256: None,
        tool_version: "".into(),
        onnx_opset: List::default(),
        onnx_ir: 0,
        inputs: List::default(),
        outputs: List::default(),
        vocabulary_size: 0,
        sample_rate: 0,
        precisions: List::default(),
        session_options: List::default(),
        licence: "".into(),
        attribution: "".into(),
        prepared: None,
        gated: List::default(),
    }
}

fn constants(metadata: &Metadata) -> String {
    let Metadata { base, .. } = metadata;
    let mut source = String::from(
        "/// The metadata of [`MODEL`]; of nothing, where that is empty.\npub static METADATA: crate::metadata::Metadata = crate::metadata::Metadata {\n",
    );
    let mut field = |name: &str, value: String| {
        let _ = writeln!(source, "    {name}: {value},");
    };
    field("name", text(&metadata.name));
    field("scheme", text(&metadata.scheme));
    field("sha256", text(&metadata.sha256));
    field("bytes", metadata.bytes.to_string());
    field(
        "base",
        format!(
            "crate::metadata::Base {{ name: {}, sha256: {}, bytes: {}, kind: crate::metadata::BaseKind::{:?} }}",
            text(&base.name),
            text(&base.sha256),
            base.bytes,
            base.kind
        ),
    );
    field("recipe_sha256", text(&metadata.recipe_sha256));
    let plan = metadata.plan_sha256.as_ref();
    field("plan_sha256", plan.map_or("None".to_owned(), |sha256| format!("Some({})", text(sha256))));
    field("tool_version", text(&metadata.tool_version));
    let operator_sets = list(&metadata.onnx_opset, |set| {
        let (domain, version) = (text(&set.domain), set.version);
        format!("crate::metadata::OperatorSet {{ domain: {domain}, version: {version} }}")
    });
    field("onnx_opset", operator_sets);
    field("onnx_ir", metadata.onnx_ir.to_string());
    field("inputs", list(&metadata.inputs, tensor));
    field("outputs", list(&metadata.outputs, tensor));
    field("vocabulary_size", metadata.vocabulary_size.to_string());
    field("sample_rate", metadata.sample_rate.to_string());
    let precisions = list(&metadata.precisions, |it| {
        let precision = text(&it.precision);
        format!(
            "crate::metadata::Precision {{ precision: {precision}, tensors: {}, bytes: {} }}",
            it.tensors, it.bytes
        )
    });
    field("precisions", precisions);
    let session_options = list(&metadata.session_options, |option| {
        let (key, value) = (text(&option.key), text(&option.value));
        format!("crate::metadata::SessionOption {{ key: {key}, value: {value} }}")
    });
    field("session_options", session_options);
    field("licence", text(&metadata.licence));
    field("attribution", text(&metadata.attribution));
    let prepared = metadata.prepared.as_ref().map_or("None".to_owned(), |file| {
        let (sha256, onnxruntime) = (text(&file.sha256), text(&file.onnxruntime));
        format!(
            "Some(crate::metadata::PreparedFile {{ sha256: {sha256}, bytes: {}, onnxruntime: {onnxruntime} }})",
            file.bytes
        )
    });
    field("prepared", prepared);
    let gated = list(&metadata.gated, |it| {
        let (provider, evidence) = (text(&it.provider), it.evidence);
        format!(
            "crate::metadata::Gated {{ provider: {provider}, evidence: crate::metadata::Evidence::{evidence:?} }}"
        )
    });
    field("gated", gated);
    source + "};\n"
}

/// A string literal; the debug form of a string is one.
fn text(text: &str) -> String {
    format!("::std::borrow::Cow::Borrowed({text:?})")
}

fn list<T: Clone>(items: &List<T>, item: impl Fn(&T) -> String) -> String {
    let items: Vec<_> = items.iter().map(item).collect();
    format!("::std::borrow::Cow::Borrowed(&[{}])", items.join(", "))
}

fn tensor(info: &TensorInfo) -> String {
    let shape = list(&info.shape, |dimension| match dimension {
        Dimension::Fixed(length) => format!("crate::metadata::Dimension::Fixed({length})"),
        Dimension::Symbolic(name) => format!("crate::metadata::Dimension::Symbolic({})", text(name)),
    });
    let (name, element_type) = (text(&info.name), text(&info.element_type));
    format!("crate::metadata::TensorInfo {{ name: {name}, element_type: {element_type}, shape: {shape} }}")
}

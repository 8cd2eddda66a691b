//! The files of a plan.
//!
//! Ranges are one tensor for each value, float32 [4, channels]: the least, the largest, the mean and the mean of the
//! squares that a channel takes, the first two as calibration clipped them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use kokoro_model::probe::Tensor;
use quantizer::calibration::{Channel, Ranges};
use serde::Deserialize;

use super::Plan;
use crate::digest::Digest;
use crate::files::write_atomically;
use crate::recipe::EdgesRecipe;
use crate::{parts, safetensors};

/// How the name of a plan's file ends.
pub const EXTENSION: &str = ".plan.toml";

/// How the name of the file with its ranges ends.
const RANGES: &str = ".ranges.safetensors";

/// The model that a plan's ranges were measured in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanBase {
    /// Its name.
    pub name: String,
    /// The digest of its file.
    pub sha256: Digest,
}

/// How ranges were measured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How many sentences were said.
    pub sentences: usize,
    /// Their digest, [`crate::corpus::Corpus::calibration_sha256`].
    pub sha256: Digest,
    /// The shares of each channel's range that were tried.
    pub clip_ratios: Vec<f32>,
    /// The ends of sentences that were left out; they are computed apart.
    #[serde(default)]
    pub edges: Vec<EdgesRecipe>,
}

/// `<name>.plan.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    tool: String,
    rewrites: Vec<String>,
    #[serde(rename = "static")]
    convolutions: Vec<String>,
    base: PlanBase,
    calibration: Calibration,
    ranges: RangesFile,
}

/// The file of the ranges, as the plan knows it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangesFile {
    file: String,
    sha256: Digest,
}

pub(super) fn load(path: &Path) -> Result<Plan> {
    let text = fs_err::read_to_string(path)?;
    let PlanFile { tool, rewrites, convolutions, base, calibration, ranges } = toml::from_str(&text)?;
    let beside = ranges_path(path)?;
    let expected = beside.file_name().unwrap_or_default();
    ensure!(
        expected == ranges.file.as_str(),
        "`ranges.file`: expected `{}`, found `{}`",
        expected.display(),
        ranges.file
    );
    let bytes = fs_err::read(&beside)?;
    let found = Digest::of(&bytes);
    ensure!(
        found == ranges.sha256,
        "`ranges.sha256`: expected `{}` to have {}, found {found}",
        beside.display(),
        ranges.sha256
    );
    let ranges = read_ranges(&bytes).with_context(|| format!("`{}`", beside.display()))?;
    let mut names = BTreeSet::new();
    if let Some(twice) = convolutions.iter().find(|name| !names.insert(*name)) {
        bail!("`static`: `{twice}` is given twice");
    }
    let sha256 = Digest::of(text.as_bytes());
    let plan = Plan { tool, rewrites, convolutions, base, calibration, ranges, sha256 };
    plan.passes()?;
    Ok(plan)
}

pub(super) fn write(plan: Plan, path: &Path) -> Result<Plan> {
    let beside = ranges_path(path)?;
    let ranges = written_ranges(&plan.ranges)?;
    let file = beside.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = text(&plan, &RangesFile { file, sha256: Digest::of(&ranges) });
    write_atomically(&beside, |file| file.write_all(&ranges))
        .and_then(|()| write_atomically(path, |file| file.write_all(text.as_bytes())))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Plan { sha256: Digest::of(text.as_bytes()), ..plan })
}

/// The file with the ranges of the plan at `plan`.
///
/// # Errors
/// A name that does not end with [`EXTENSION`].
pub fn ranges_path(plan: &Path) -> Result<PathBuf> {
    let name = plan.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(EXTENSION);
    let stem =
        stem.with_context(|| format!("expected a name that ends with `{EXTENSION}`, found `{name}`"))?;
    Ok(plan.with_file_name(format!("{stem}{RANGES}")))
}

/// The text of the plan. Convolutions of one block stand under its name.
fn text(plan: &Plan, ranges: &RangesFile) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let list = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
    let Plan { tool, rewrites, convolutions, base, calibration, .. } = plan;
    let (mut lines, mut above) = (Vec::new(), None);
    for name in convolutions {
        let block = parts::block(name);
        if above != Some(block) {
            let count = convolutions.iter().filter(|name| parts::block(name) == block).count();
            lines.push(format!("    # {block}: {count}\n"));
            above = Some(block);
        }
        lines.push(format!("    {},\n", quoted(name)));
    }
    let lines = lines.concat();
    let edges = calibration.edges.iter().map(|EdgesRecipe { pattern, positions, times }| {
        format!(
            "\n[[calibration.edges]]\npattern = {}\npositions = {positions}\ntimes = {times:?}\n",
            quoted(pattern)
        )
    });
    let edges: String = edges.collect();
    let ratios: Vec<String> = calibration.clip_ratios.iter().map(|ratio| format!("{ratio:?}")).collect();
    format!(
        "# The plan of `static-int8`, written by `cargo xtask tune`, which replaces it as a whole.\n\
         #\n\
         # A convolution that is taken out of `static` computes in float, its weights stored like all others; one that \
         is put\n\
         # in needs ranges, which there are for all that were measured. Names are those after the rewrites.\n\
         tool = {tool}\n\
         rewrites = [{rewrites}]\n\
         static = [\n{lines}]\n\
         \n\
         [base]\n\
         name = {base_name}\n\
         sha256 = \"{base_sha256}\"\n\
         \n\
         # Of each channel's range the ratio with the least error over these sentences, relative to loudness, was taken.\n\
         [calibration]\n\
         sentences = {sentences}\n\
         sha256 = \"{sentences_sha256}\"\n\
         clip_ratios = [{ratios}]\n\
         {edges}\
         \n\
         # Float32 [4, channels] for each value: least, largest, mean, mean of squares.\n\
         [ranges]\n\
         file = {file}\n\
         sha256 = \"{ranges_sha256}\"\n",
        tool = quoted(tool),
        rewrites = list(rewrites),
        base_name = quoted(&base.name),
        base_sha256 = base.sha256,
        sentences = calibration.sentences,
        sentences_sha256 = calibration.sha256,
        ratios = ratios.join(", "),
        file = quoted(&ranges.file),
        ranges_sha256 = ranges.sha256,
    )
}

pub(super) fn written_ranges(ranges: &Ranges) -> Result<Vec<u8>> {
    let tensor = |channels: &Vec<Channel>| {
        let rows = [
            |it: &Channel| it.low,
            |it: &Channel| it.high,
            |it: &Channel| it.mean,
            |it: &Channel| it.mean_square,
        ];
        let values = rows.iter().flat_map(|row| channels.iter().map(row)).collect();
        Tensor { shape: vec![rows.len(), channels.len()], values }
    };
    let tensors: Vec<(&String, Tensor)> =
        ranges.values.iter().map(|(name, channels)| (name, tensor(channels))).collect();
    let named = tensors.iter();
    safetensors::written(
        named.map(|(name, Tensor { shape, values })| (name.as_str(), (&shape[..], &values[..]))),
    )
}

fn read_ranges(bytes: &[u8]) -> Result<Ranges> {
    let channels = |(name, Tensor { shape, values }): (String, Tensor)| {
        let &[4, count] = shape.as_slice() else {
            bail!("tensor `{name}`: expected float32 [4, channels], found {shape:?}")
        };
        let channel = |at: usize| {
            let row = |row: usize| values[row * count + at];
            Channel { low: row(0), high: row(1), mean: row(2), mean_square: row(3) }
        };
        Ok((name, (0..count).map(channel).collect()))
    };
    let values = safetensors::read(bytes)?.into_iter().map(channels).collect::<Result<_>>()?;
    Ok(Ranges { values })
}

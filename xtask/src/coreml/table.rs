//! A prediction as text for a terminal.

use std::fmt::Write as _;

use comfy_table::Cell;

use super::{Behind, Coverage, Prediction};
use crate::gates::{figure, table};

/// The most partitions whose sizes are written out.
const SIZES: usize = 24;

/// Two tables a prediction: what is taken in each format, and what is left for which reason.
pub fn show(prediction: &Prediction) -> String {
    let mut text =
        format!("CoreML, predicted by the rules of ONNX Runtime {} and not measured\n\n", prediction.rules);
    let mut formats =
        table(&["format", "nodes taken", "", "partitions", "largest", "listed alone", "partitions"]);
    for coverage in &prediction.formats {
        let share = 100.0 * coverage.taken as f64 / prediction.nodes.max(1) as f64;
        formats.add_row(vec![
            Cell::new(coverage.format.name()),
            figure(format!("{} of {}", coverage.taken, prediction.nodes)),
            figure(format!("{share:.1} %")),
            figure(coverage.partitions.len().to_string()),
            figure(coverage.partitions.iter().max().unwrap_or(&0).to_string()),
            figure(coverage.listed.taken.to_string()),
            figure(coverage.listed.partitions.len().to_string()),
        ]);
    }
    let _ = writeln!(text, "{formats}");
    if !prediction.from.is_empty() {
        let _ =
            writeln!(text, "\nof the nodes behind {}\n{}", prediction.from.join(", "), behind(prediction));
    }
    if !prediction.shapes_lost_at.is_empty() {
        let _ = writeln!(text, "\nno shape is known behind");
        for lost in &prediction.shapes_lost_at {
            let _ = writeln!(text, "    {} → {}", lost.operator, lost.output);
        }
    }
    for coverage in &prediction.formats {
        let name = coverage.format.name();
        let _ = writeln!(text, "\n{name}: nodes of each partition, in the order in which they run");
        let _ = writeln!(text, "    {}", sizes(&coverage.partitions));
        if !coverage.left.is_empty() {
            let _ = writeln!(text, "\n{name}: {} nodes left\n{}", coverage.left.len(), left(coverage));
        }
    }
    text
}

fn behind(prediction: &Prediction) -> comfy_table::Table {
    let mut behind = table(&["format", "nodes taken", "", "partitions", "largest"]);
    for coverage in &prediction.formats {
        let Some(Behind { nodes, taken, partitions }) = &coverage.behind else { continue };
        behind.add_row(vec![
            Cell::new(coverage.format.name()),
            figure(format!("{taken} of {nodes}")),
            figure(format!("{:.1} %", 100.0 * *taken as f64 / (*nodes).max(1) as f64)),
            figure(partitions.len().to_string()),
            figure(partitions.iter().max().unwrap_or(&0).to_string()),
        ]);
    }
    behind
}

fn sizes(partitions: &[usize]) -> String {
    if partitions.is_empty() {
        return "none".to_owned();
    }
    let mut text: Vec<String> = partitions.iter().take(SIZES).map(ToString::to_string).collect();
    if let Some(more) = partitions.len().checked_sub(SIZES).filter(|&more| more > 0) {
        text.push(format!("and {more} more"));
    }
    text.join(", ")
}

fn left(coverage: &Coverage) -> comfy_table::Table {
    let mut left = table(&["nodes", "operator", "reason", ""]);
    for group in coverage.groups() {
        left.add_row(vec![
            figure(group.nodes.to_string()),
            Cell::new(group.operator),
            Cell::new(group.reason),
            Cell::new(group.detail),
        ]);
    }
    left
}

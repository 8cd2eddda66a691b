//! Where the bytes are: by precision and by part of the model, as stacked bars.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::models::{Model, Models, mib};
use super::text::{fixed, name, scrolling, section as make};
use crate::results::PrecisionResult;

/// Parts below this share of the base are shown as one.
const SMALL: f64 = 0.01;

/// How wide numbers of a kind are, in the order in which bars are stacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Eight,
    Sixteen,
    Float,
    Other,
}

impl Width {
    fn of(precision: &str) -> Self {
        match precision {
            "int8" | "uint8" => Self::Eight,
            "float16" | "bfloat16" => Self::Sixteen,
            "float32" => Self::Float,
            _ => Self::Other,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Eight => "w8",
            Self::Sixteen => "w16",
            Self::Float => "w32",
            Self::Other => "wx",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Eight => "8-bit integers",
            Self::Sixteen => "16-bit floats",
            Self::Float => "32-bit floats",
            Self::Other => "everything else",
        }
    }
}

pub(super) fn section(models: &Models<'_>) -> Markup {
    let lead = html! {
        "Bytes of the stored tensors, by how they are stored. A file has the graph on top, which is what remains to \
         its whole size."
    };
    let content = html! {
        (legend(models.iter().map(with_graph)))
        (totals(models))
        h3 { "By part of the model" }
        (matrix(models))
    };
    make("size", "Size by part and precision", &lead, &content)
}

/// The kinds of numbers that there are in any model.
fn legend(models: impl Iterator<Item = BTreeMap<Width, usize>>) -> Markup {
    let widths: BTreeSet<Width> = models.flat_map(BTreeMap::into_keys).collect();
    html! {
        p.legend {
            @for width in widths { span.key.(width.class()) { (width.label()) } }
        }
    }
}

/// One bar for each model.
fn totals(models: &Models<'_>) -> Markup {
    let most = models.iter().map(Model::mib).fold(0.0, f64::max);
    let rows = html! {
        table.bars {
            thead { tr { th { "Model" } th.wide { "" } th.n { "MiB" } } }
            tbody {
                @for model in models.iter() {
                    @let widths = with_graph(model);
                    tr {
                        th scope="row" { (name(model)) }
                        td.wide { (bar(&widths, most)) }
                        td.n { (fixed(model.mib(), 1)) }
                    }
                }
            }
        }
    };
    scrolling("Size of each model by precision", &rows)
}

/// The bytes of the whole file: the graph counts as everything else.
fn with_graph(model: &Model<'_>) -> BTreeMap<Width, usize> {
    let mut widths = by_width(model.precisions);
    let stored: usize = widths.values().sum();
    *widths.entry(Width::Other).or_default() += (model.bytes as usize).saturating_sub(stored);
    widths
}

/// A bar for each part and model, all on one scale.
fn matrix(models: &Models<'_>) -> Markup {
    let rows = parts(models);
    let sizes = |row: &Row| {
        let of = |model: &Model<'_>| mib(row.of(model).values().sum::<usize>() as f64);
        models.iter().map(of).fold(0.0, f64::max)
    };
    let most = rows.iter().map(sizes).fold(0.0, f64::max);
    let table = html! {
        table.bars.matrix {
            thead { tr { th { "Part" } @for model in models.iter() { th { (name(model)) } } } }
            tbody {
                @for row in &rows {
                    tr {
                        th scope="row" { (row.label) }
                        @for model in models.iter() {
                            @let widths = row.of(model);
                            td {
                                (bar(&widths, most))
                                span.n { (fixed(mib(widths.values().sum::<usize>() as f64), 2)) }
                            }
                        }
                    }
                }
            }
        }
    };
    scrolling("Size of each part of each model by precision, in MiB", &table)
}

/// A row of the matrix: one part, or all small ones.
struct Row {
    label: String,
    parts: Vec<String>,
}

impl Row {
    fn of(&self, model: &Model<'_>) -> BTreeMap<Width, usize> {
        let mut all = BTreeMap::new();
        for part in &self.parts {
            for (width, bytes) in model.parts.get(part).map(by_width).unwrap_or_default() {
                *all.entry(width).or_default() += bytes;
            }
        }
        all
    }
}

/// The parts of all models, those that are large in the base first.
fn parts(models: &Models<'_>) -> Vec<Row> {
    let base = models.base();
    let weight = |part: &str| -> usize {
        base.parts.get(part).into_iter().flat_map(BTreeMap::values).map(|stored| stored.bytes).sum()
    };
    let mut names: Vec<&String> = models.iter().flat_map(|model| model.parts.keys()).collect();
    names.sort_by_key(|part| (std::cmp::Reverse(weight(part)), *part));
    names.dedup();
    let is_large = |part: &&String| weight(part) as f64 >= SMALL * base.bytes as f64;
    let (large, small): (Vec<_>, Vec<_>) = names.into_iter().partition(is_large);
    let mut rows: Vec<Row> =
        large.into_iter().map(|part| Row { label: part.clone(), parts: vec![part.clone()] }).collect();
    if !small.is_empty() {
        let label = format!("{} smaller parts", small.len());
        rows.push(Row { label, parts: small.into_iter().cloned().collect() });
    }
    rows
}

fn by_width(precisions: &BTreeMap<String, PrecisionResult>) -> BTreeMap<Width, usize> {
    let mut widths = BTreeMap::new();
    for (precision, stored) in precisions {
        *widths.entry(Width::of(precision)).or_default() += stored.bytes;
    }
    widths
}

/// A stacked bar; one of `most` MiB is as wide as there is room.
fn bar(widths: &BTreeMap<Width, usize>, most: f64) -> Markup {
    let total: usize = widths.values().sum();
    let label = format!("{} MiB", fixed(mib(total as f64), 2));
    let share = |bytes: usize| if most > 0.0 { 100.0 * mib(bytes as f64) / most } else { 0.0 };
    let stacked = widths.iter().scan(0.0, |end, (width, bytes)| {
        let from = *end;
        *end += share(*bytes);
        Some((width, *bytes, from))
    });
    html! {
        svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (width, bytes, from) in stacked {
                rect class=(width.class()) x=(format!("{from:.3}")) y="0" width=(format!("{:.3}", share(bytes)))
                    height="10" {
                    title { (width.label()) ": " (fixed(mib(bytes as f64), 2)) " MiB" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_stacked_without_gaps() {
        let widths = BTreeMap::from([(Width::Eight, 3 << 20), (Width::Float, 1 << 20)]);
        let svg = bar(&widths, 8.0).into_string();
        assert!(svg.contains(r#"class="w8" x="0.000" y="0" width="37.500""#), "{svg}");
        assert!(svg.contains(r#"class="w32" x="37.500" y="0" width="12.500""#), "{svg}");
        assert!(svg.contains(r#"aria-label="4.00 MiB""#), "{svg}");
    }

    #[test]
    fn the_legend_has_what_there_is() {
        let one = BTreeMap::from([(Width::Float, 4), (Width::Other, 1)]);
        let other = BTreeMap::from([(Width::Eight, 1), (Width::Other, 1)]);
        let classes = |models: &[&BTreeMap<_, _>]| {
            let text = legend(models.iter().copied().cloned()).into_string();
            ["w8", "w16", "w32", "wx"].map(|class| text.matches(&format!("key {class}\"")).count())
        };
        assert_eq!(classes(&[&one]), [0, 0, 1, 1]);
        assert_eq!(classes(&[&one, &other]), [1, 0, 1, 1]);
    }

    #[test]
    fn signed_or_not_8_bits_are_8_bits() {
        let stored = |bytes| PrecisionResult { tensors: 1, bytes };
        let precisions = [("int8", 1), ("uint8", 2), ("float32", 4), ("int64", 8)]
            .map(|(name, it)| (name.to_owned(), stored(it)));
        let widths: Vec<_> = by_width(&precisions.into()).into_iter().collect();
        assert_eq!(widths, [(Width::Eight, 3), (Width::Float, 4), (Width::Other, 8)]);
    }
}

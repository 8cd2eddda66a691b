//! What gates found, as tables for a terminal.
//!
//! Plain text: without colours there is nothing for `NO_COLOR` to turn off.

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};

use super::{Bound, Check, Comparison, ExecutionProvider, Report, number};
use crate::results::{CandidateResult, ProviderBenchmark, ProviderBenchmarks, ProviderResult, Results};

/// One line below the header and no other, so that a log stays short.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// One row for each model of a comparison, the base first.
pub fn benchmark_table(comparison: &Comparison) -> Table {
    let mut table = table(&[
        "model", "load ms", "mean ms", "P50 ms", "P95 ms", "min ms", "max ms", "runs/s", "RTF", "speed",
        "interval",
    ]);
    for model in &comparison.models {
        let summary = &model.summary;
        let milliseconds =
            [model.load_ms, summary.avg_ms, summary.p50_ms, summary.p95_ms, summary.min_ms, summary.max_ms];
        let mut row = vec![Cell::new(&model.name)];
        row.extend(milliseconds.map(|value| figure(format!("{value:.1}"))));
        row.push(figure(format!("{:.2}", summary.throughput_qps)));
        row.push(figure(format!("{:.3}", model.rtf)));
        match &model.speed_ratio {
            Some(ratio) => {
                row.push(figure(format!("{:.3} ×", ratio.median)));
                row.push(figure(format!("{:.3}–{:.3}", ratio.low, ratio.high)));
            }
            None => row.extend([figure("base".to_owned()), figure(String::new())]),
        }
        table.add_row(row);
    }
    table
}

/// One row for each check of the reports, which are given with the names of their subjects.
pub fn checks_table<'a>(reports: impl IntoIterator<Item = (&'a str, &'a Report)>) -> Table {
    let mut table = table(&["model", "gate", "check", "found", "expected", "", "where"]);
    for (subject, report) in reports {
        for check in &report.checks {
            let Check { name, value, threshold, bound, unit, pass, detail } = check;
            let with_unit = |value| format!("{} {unit}", number(value)).trim_end().to_owned();
            let sign = match bound {
                Bound::AtMost => '≤',
                Bound::AtLeast => '≥',
            };
            table.add_row(vec![
                Cell::new(subject),
                Cell::new(report.gate),
                Cell::new(name),
                figure(with_unit(*value)),
                figure(format!("{sign} {}", with_unit(*threshold))),
                Cell::new(if *pass { "pass" } else { "FAIL" }),
                Cell::new(detail.as_deref().unwrap_or_default()),
            ]);
        }
    }
    table
}

/// One row for the base and one for each candidate of a run: size, speed, verdicts.
pub fn results_table(results: &Results) -> Table {
    let mut table =
        table(&["model", "MiB", "smaller", "nodes", "P50 ms", "RTF", "speed", "LSD dB", "gates", ""]);
    let nodes = |count: usize| figure(count.to_string());
    let mut row = vec![
        Cell::new(&results.base.name),
        figure(format!("{:.2}", results.original_model_mb)),
        Cell::new(""),
        nodes(results.base.operators.values().sum()),
    ];
    row.extend(speed(results.original_benchmark.as_ref()));
    row.extend(["", "", "", "base"].map(Cell::new));
    table.add_row(row);
    for (scheme, candidate) in &results.candidates {
        let mut row = vec![
            Cell::new(scheme),
            figure(format!("{:.2}", candidate.mib)),
            figure(format!("{:.1} %", candidate.size_reduction_percent)),
            nodes(candidate.operators.values().map(|change| change.after).sum()),
        ];
        row.extend(speed(candidate.benchmark.as_ref()));
        row.push(figure(candidate.speed_ratio.map_or(String::new(), |ratio| {
            format!("{:.3} × ({:.3}–{:.3})", ratio.median, ratio.low, ratio.high)
        })));
        let lsd = candidate.fidelity.as_ref().and_then(|it| it.metrics.get("lsd_db")).map(|it| &it.found);
        row.push(figure(lsd.map_or(String::new(), |it| format!("{:.2} / {:.2}", it.mean, it.worst))));
        row.push(Cell::new(verdicts_of(candidate)));
        let is_chosen = results.chosen.as_ref() == Some(scheme);
        row.push(Cell::new(if is_chosen { "chosen" } else { "" }));
        table.add_row(row);
    }
    table
}

/// One row for each model on each provider beside the CPU's that a run asked for, or for the reason that there is none.
pub fn providers_table(results: &Results) -> Table {
    let mut table = table(&["provider", "model", "P50 ms", "over its base", "over the CPU", "gates"]);
    for (provider, found) in &results.providers {
        let gates = match found {
            ProviderResult::Available(gates) => gates,
            ProviderResult::Unavailable(why) => {
                let row = [provider.as_str(), "", "", "", "", &why.reason];
                table.add_row(row.map(Cell::new).to_vec());
                continue;
            }
        };
        for (name, model) in &gates.models {
            let ratio = |ratio: Option<super::Interval>| {
                figure(ratio.map_or(String::new(), |ratio| format!("{:.3} ×", ratio.median)))
            };
            let milliseconds = model.benchmark.as_ref().map(|it| format!("{:.0}", it.summary.p50_ms));
            table.add_row(vec![
                Cell::new(provider),
                Cell::new(name),
                figure(milliseconds.unwrap_or_default()),
                ratio(model.speed_ratio),
                ratio(model.over_cpu),
                Cell::new(verdicts(model.gates.reports())),
            ]);
        }
    }
    table
}

/// The verdicts of a candidate, those of the committed proof marked as such.
fn verdicts_of(candidate: &CandidateResult) -> String {
    let one = |report: &Report| {
        let proved = candidate.proved.is_some() && report.pass && report.gate.can_be_proved();
        let verdict = match (proved, report.pass) {
            (true, _) => "proved",
            (false, true) => "pass",
            (false, false) => "FAIL",
        };
        format!("{} {verdict}", report.gate)
    };
    candidate.gates.reports().map(one).collect::<Vec<_>>().join(", ")
}

fn verdicts<'a>(reports: impl Iterator<Item = &'a Report>) -> String {
    let one = |report: &Report| format!("{} {}", report.gate, if report.pass { "pass" } else { "FAIL" });
    reports.map(one).collect::<Vec<_>>().join(", ")
}

/// Median time and real-time factor on the CPU, empty where nothing was measured.
fn speed(benchmarks: Option<&ProviderBenchmarks>) -> [Cell; 2] {
    let cpu = benchmarks.and_then(|benchmarks| benchmarks.providers.get(&ExecutionProvider::Cpu));
    match cpu {
        Some(ProviderBenchmark::Measured(measured)) => {
            [figure(format!("{:.0}", measured.summary.p50_ms)), figure(format!("{:.3}", measured.rtf))]
        }
        _ => [Cell::new(""), Cell::new("")],
    }
}

/// An empty table in the style of all tables here.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(RULED).set_header(header);
    table
}

/// A number, aligned on the right.
pub(crate) fn figure(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::Gate;

    #[test]
    fn a_failed_check_stands_out() {
        let report = Report::new(
            Gate::Smoke,
            vec![
                Check::at_least("rms", 0.08, 0.005, "").with_detail("sentence `held-1`"),
                Check::at_most("not_finite", 3.0, 0.0, "samples"),
            ],
        );
        let text = checks_table([("weights-int8", &report)]).to_string();
        let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(line("rms").contains("≥ 0.005") && line("rms").contains("pass"), "{text}");
        let failed = line("not_finite");
        assert!(
            failed.contains("3 samples") && failed.contains("≤ 0 samples") && failed.contains("FAIL"),
            "{text}"
        );
    }
}

//! Every check of every gate: what was found, what is asked for, and how much room is left.

use maud::{Markup, html};

use super::models::{Model, Models};
use super::text::{fixed, name, number, scrolling, section as make};
use crate::gates::{Bound, Check, Report};

pub(super) fn section(models: &Models<'_>) -> Markup {
    let lead = html! {
        "A candidate that misses one threshold is refused. The margin is the room to the threshold, as a share of it \
         where it is not zero."
    };
    let judged: Vec<&Model<'_>> = models.others().filter(|it| it.gates.is_some()).collect();
    let content = html! {
        @for model in judged {
            @let reports: Vec<&Report> = model.gates.iter().flat_map(|gates| gates.reports()).collect();
            h3 { (name(model)) }
            @if reports.is_empty() { p.note { "No gate was run." } }
            @else { (scrolling(&format!("Gates of {}", model.name), &table(&reports))) }
        }
    };
    make("gates", "Gates", &lead, &content)
}

fn table(reports: &[&Report]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { "Gate" } th { "Check" } th.n { "found" } th.n { "threshold" } th.n { "margin" } th { "" }
                    th { "where" }
                }
            }
            @for report in reports {
                tbody {
                    @for (index, check) in report.checks.iter().enumerate() {
                        tr.refusal[!check.pass] {
                            td { @if index == 0 { strong { (report.gate) } } }
                            th scope="row" { (check.name) }
                            td.n { (number(Some(check.value))) (unit(check)) }
                            td.n { (sign(check)) " " (number(Some(check.threshold))) (unit(check)) }
                            td.n { (margin(check)) }
                            td { @if check.pass { span.pass { "pass" } } @else { span.fail { "fail" } } }
                            td.quiet.where { (check.detail.as_deref().unwrap_or_default().replace('`', "")) }
                        }
                    }
                }
            }
        }
    }
}

fn unit(check: &Check) -> Markup {
    html! { @if !check.unit.is_empty() { span.unit { " " (check.unit) } } }
}

fn sign(check: &Check) -> char {
    match check.bound {
        Bound::AtMost => '≤',
        Bound::AtLeast => '≥',
    }
}

/// How far the value is on the good side: negative where it is on the bad one.
fn margin(check: &Check) -> String {
    let room = match check.bound {
        Bound::AtMost => check.threshold - check.value,
        Bound::AtLeast => check.value - check.threshold,
    };
    if check.threshold == 0.0 {
        return number(Some(room));
    }
    let share = 100.0 * room / check.threshold.abs();
    // What cannot be measured is beyond all bounds.
    if share.abs() >= 10_000.0 { "−∞".to_owned() } else { format!("{} %", fixed(share, 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_are_positive_on_the_good_side() {
        for (check, expected) in [
            (Check::at_most("a", 0.3, 0.4, "dB"), "25.0 %"),
            (Check::at_most("a", 0.5, 0.4, "dB"), "−25.0 %"),
            (Check::at_least("a", 0.99, 0.9, ""), "10.0 %"),
            (Check::at_most("a", 0.0, 0.0, "nodes"), "0"),
            (Check::at_most("a", 3.0, 0.0, "nodes"), "−3"),
            (Check::at_most("a", f64::NAN, 1.0, ""), "−∞"),
        ] {
            assert_eq!(margin(&check), expected, "{check:?}");
        }
    }
}
